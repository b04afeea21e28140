import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import { podSpec } from '@pilothouse/api/quota';
import type { AdmissionAttributes } from '../interface.ts';
import type { PodSecurityConfig } from '../plugin-configs.ts';
import type { Evaluate } from './evaluator.ts';
import { podView } from './finding.ts';
import type { LevelVersion, NamespacePolicy } from './namespace-policy.ts';
import {
  compareLevels,
  isPrivileged,
  labelPrefix,
  levelText,
  namespacePolicy,
  samePolicy,
} from './namespace-policy.ts';

/** Pods that are looked at when a namespace gets another level, and how long that may take. */
const existingPodsMax = 3000;
const existingPodsMs = 1000;

/** What a change of a namespace needs to be judged. */
export interface NamespaceReview {
  readonly config: PodSecurityConfig;
  readonly clock: Clock;
  readonly evaluate: Evaluate;
  listPods(namespace: string): readonly KubeObject[];
}

/** Refuses labels that cannot be read, and warns about pods that break the level to come. Throws StatusError 422. */
export function reviewNamespace(review: NamespaceReview, attributes: AdmissionAttributes): void {
  const { config } = review;
  const { object, oldObject } = attributes;
  if (attributes.subresource !== '' || object === undefined) return;
  const name = object.metadata.name ?? '';
  const next = namespacePolicy(object.metadata.labels, config.defaults);
  const old =
    attributes.operation === 'CREATE'
      ? undefined
      : namespacePolicy(oldObject?.metadata.labels, config.defaults);
  // Labels that were wrong before may stay, so that a namespace can be repaired step by step.
  if (next.errors.length > 0 && !isDeepStrictEqual(next.errors, old?.errors))
    throw statusErrors.invalid({ group: '', kind: 'Namespace' }, name, next.errors);
  const { enforce } = next.policy;
  if (old !== undefined && !mayBreakPods(enforce, old.policy.enforce)) return;
  if (config.exemptions.namespaces.includes(name)) {
    const text = exemptWarning(name, object.metadata.labels ?? {}, next.policy, config.defaults);
    if (text !== '') attributes.addWarning(text);
    return;
  }
  if (old === undefined) return;
  for (const warning of existingPodWarnings(review, name, enforce)) attributes.addWarning(warning);
}

/** Whether pods that passed under the old level may break the new one. */
function mayBreakPods(next: LevelVersion, old: LevelVersion): boolean {
  if (next.level === 'privileged') return false;
  return next.version !== old.version || compareLevels(next.level, old.level) > 0;
}

/** What an exempt namespace says in vain. */
function exemptWarning(
  name: string,
  labels: Readonly<Record<string, string>>,
  policy: NamespacePolicy,
  defaults: NamespacePolicy,
): string {
  if (isPrivileged(policy) || samePolicy(policy, defaults)) return '';
  const said = (['enforce', 'audit', 'warn'] as const).filter(
    (mode) =>
      policy[mode].level !== 'privileged' &&
      [`${labelPrefix}${mode}`, `${labelPrefix}${mode}-version`].some((label) => labels[label] !== undefined),
  );
  const text = said.map((mode) => `${mode}=${levelText(policy[mode])}`).join(', ');
  return `namespace ${goQuote(name)} is exempt from Pod Security, and the policy (${text}) will be ignored`;
}

/** A heading and one line for each set of findings: `first-pod (and 2 other pods): host namespaces, hostPort`. */
function existingPodWarnings(review: NamespaceReview, namespace: string, enforce: LevelVersion): string[] {
  const { clock, evaluate } = review;
  const runtimeClasses = review.config.exemptions.runtimeClasses;
  const pods = differentFirst(
    review.listPods(namespace).filter((pod) => !runtimeClasses.includes(podSpec(pod).runtimeClassName ?? '')),
  );
  const end = clock.monotonic() + existingPodsMs;
  const byFinding = new Map<string, string[]>();
  let checked = 0;
  for (const pod of pods.slice(0, existingPodsMax)) {
    const findings = evaluate(enforce, podView(pod));
    if (findings.length > 0) {
      const text = findings.map(({ reason }) => reason).join(', ');
      byFinding.set(text, [...(byFinding.get(text) ?? []), pod.metadata.name ?? '']);
    }
    checked += 1;
    if (clock.monotonic() > end) break;
  }
  const warnings: string[] = [];
  if (checked < pods.length)
    warnings.push(
      `new PodSecurity enforce level only checked against the first ${checked} of ${pods.length} existing pods`,
    );
  if (byFinding.size > 0)
    warnings.push(
      `existing pods in namespace ${goQuote(namespace)} violate the new PodSecurity enforce level ${goQuote(levelText(enforce))}`,
    );
  const lines = [...byFinding].map(([text, names]) => {
    const [first, ...others] = names.sort();
    if (others.length === 0) return `${first}: ${text}`;
    return `${first} (and ${others.length} other ${others.length === 1 ? 'pod' : 'pods'}): ${text}`;
  });
  return [...warnings, ...lines.sort()];
}

/** Pods of one controller are alike: the first of each comes before all others, so that a limit cuts off what is known. */
function differentFirst(pods: readonly KubeObject[]): KubeObject[] {
  const seen = new Set<string>();
  const first: KubeObject[] = [];
  const alike: KubeObject[] = [];
  for (const pod of pods) {
    const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true)?.uid;
    if (owner !== undefined && seen.has(owner)) alike.push(pod);
    else first.push(pod);
    if (owner !== undefined) seen.add(owner);
  }
  return [...first, ...alike];
}
