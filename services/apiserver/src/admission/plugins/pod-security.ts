import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import type { Finding, PodView } from '../pod-security/finding.ts';
import type { LevelVersion } from '../pod-security/namespace-policy.ts';
import { compareLevels, levelText, namespacePolicy } from '../pod-security/namespace-policy.ts';
import { evaluatePod } from '../pod-security/restricted.ts';
import { podSpec } from '@pilothouse/api/quota';
import { forbid } from '../refusal.ts';
import { findNamespace } from './namespace-lifecycle.ts';

/** Pods that are looked at when a namespace gets a stricter level. */
const existingPodsMax = 3000;

/** Where the pod template is, by kind. */
const templatePaths: Readonly<Record<string, readonly string[]>> = {
  'podtemplates.': ['template'],
  'replicationcontrollers.': ['spec', 'template'],
  'replicasets.apps': ['spec', 'template'],
  'deployments.apps': ['spec', 'template'],
  'statefulsets.apps': ['spec', 'template'],
  'daemonsets.apps': ['spec', 'template'],
  'jobs.batch': ['spec', 'template'],
  'cronjobs.batch': ['spec', 'jobTemplate', 'spec', 'template'],
};

/** Pod Security Standards by the labels of the namespace: refuses pods, and warns about them and about controllers. */
export function podSecurity({ objects }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      const key = `${attributes.resource.resource}.${attributes.resource.group}`;
      if (key === 'namespaces.') return validateNamespace(objects, attributes);
      if (key === 'pods.') return validatePod(objects, attributes);
      const path = templatePaths[key];
      if (path !== undefined) return validateController(objects, attributes, path);
    },
  };
}

function validateNamespace(objects: AdmissionDependencies['objects'], attributes: AdmissionAttributes): void {
  const { object, oldObject } = attributes;
  if (attributes.subresource !== '' || object === undefined) return;
  const next = namespacePolicy(object.metadata.labels);
  const invalid = (): Error =>
    statusErrors.invalid({ group: '', kind: 'Namespace' }, object.metadata.name ?? '', next.errors);
  if (attributes.operation === 'CREATE') {
    if (next.errors.length > 0) throw invalid();
    return;
  }
  const old = namespacePolicy(oldObject?.metadata.labels);
  // Labels that were wrong before may stay, so that a namespace can be repaired step by step.
  if (next.errors.length > 0 && old.errors.length === 0) throw invalid();
  const { enforce } = next.policy;
  const stricter =
    compareLevels(enforce.level, old.policy.enforce.level) > 0 ||
    (enforce.level !== 'privileged' && enforce.version !== old.policy.enforce.version);
  if (!stricter) return;
  const pods = objects.cached(resources.pods).list(object.metadata.name ?? '');
  const warnings = existingPodWarnings(pods.slice(0, existingPodsMax), enforce);
  if (warnings.length === 0) return;
  attributes.addWarning(
    `existing pods in namespace ${goQuote(object.metadata.name ?? '')} violate the new PodSecurity enforce level ${goQuote(levelText(enforce))}`,
  );
  for (const warning of warnings) attributes.addWarning(warning);
}

/** One line for each set of findings: `first-pod (and 2 other pods): host namespaces, hostPort`. */
function existingPodWarnings(pods: readonly KubeObject[], enforce: LevelVersion): string[] {
  const byFinding = new Map<string, string[]>();
  for (const pod of pods) {
    const findings = evaluatePod(enforce.level, podView(pod));
    if (findings.length === 0) continue;
    const text = findings.map((finding) => finding.reason).join(', ');
    byFinding.set(text, [...(byFinding.get(text) ?? []), pod.metadata.name ?? '']);
  }
  const lines = [...byFinding].map(([text, names]) => {
    const [first, ...others] = names.sort();
    if (others.length === 0) return `${first}: ${text}`;
    return `${first} (and ${others.length} other ${others.length === 1 ? 'pod' : 'pods'}): ${text}`;
  });
  return lines.sort();
}

async function validatePod(
  objects: AdmissionDependencies['objects'],
  attributes: AdmissionAttributes,
): Promise<void> {
  const { object, oldObject, subresource } = attributes;
  if (object === undefined || (subresource !== '' && subresource !== 'ephemeralcontainers')) return;
  if (attributes.operation === 'UPDATE' && oldObject !== undefined && !isSignificant(object, oldObject))
    return;
  const { policy, errors } = namespacePolicy(
    (await findNamespace(objects, attributes.namespace)).metadata.labels,
  );
  const evaluate = ({ level }: LevelVersion): Finding[] => evaluatePod(level, podView(object));
  attributes.addAuditAnnotation('pod-security.kubernetes.io/enforce-policy', levelText(policy.enforce));
  const enforced = evaluate(policy.enforce);
  if (enforced.length > 0) {
    throw forbid(
      attributes,
      `violates PodSecurity ${goQuote(levelText(policy.enforce))}: ${textOf(enforced)}`,
    );
  }
  if (errors.length > 0) return;
  tell(attributes, policy.audit, policy.warn, evaluate);
}

async function validateController(
  objects: AdmissionDependencies['objects'],
  attributes: AdmissionAttributes,
  path: readonly string[],
): Promise<void> {
  if (attributes.subresource !== '' || attributes.object === undefined) return;
  let template: unknown = attributes.object;
  for (const field of path) template = (template as Record<string, unknown> | undefined)?.[field];
  if (template === undefined || template === null) return;
  const { policy } = namespacePolicy((await findNamespace(objects, attributes.namespace)).metadata.labels);
  if (policy.audit.level === 'privileged' && policy.warn.level === 'privileged') return;
  const pod = template as KubeObject;
  tell(attributes, policy.audit, policy.warn, ({ level }) =>
    evaluatePod(level, { metadata: pod.metadata ?? {}, spec: podView(pod).spec }),
  );
}

function tell(
  attributes: AdmissionAttributes,
  audit: LevelVersion,
  warn: LevelVersion,
  evaluate: (level: LevelVersion) => Finding[],
): void {
  const text = (level: LevelVersion, findings: readonly Finding[]): string =>
    `would violate PodSecurity ${goQuote(levelText(level))}: ${textOf(findings)}`;
  const audited = evaluate(audit);
  if (audited.length > 0) {
    attributes.addAuditAnnotation('pod-security.kubernetes.io/audit-violations', text(audit, audited));
  }
  const warned = evaluate(warn);
  if (warned.length > 0) attributes.addWarning(text(warn, warned));
}

function textOf(findings: readonly Finding[]): string {
  return findings.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');
}

function podView(pod: KubeObject): PodView {
  return { metadata: pod.metadata ?? {}, spec: podSpec({ ...pod, spec: { ...(pod['spec'] as object) } }) };
}

/** Whether an update changes what a check looks at: metadata, images and a few other fields may change freely. */
function isSignificant(object: KubeObject, old: KubeObject): boolean {
  const annotations = (pod: KubeObject): [string, string][] =>
    Object.entries(pod.metadata.annotations ?? {})
      .filter(([key]) => key.startsWith('container.apparmor.security.beta.kubernetes.io/'))
      .sort(([a], [b]) => (a < b ? -1 : 1));
  if (!isDeepStrictEqual(annotations(object), annotations(old))) return true;
  const relevant = (pod: KubeObject): unknown => {
    const {
      containers,
      initContainers,
      tolerations: _,
      activeDeadlineSeconds: __,
      ...rest
    } = (pod['spec'] ?? {}) as Record<string, Record<string, unknown>[]>;
    const withoutImages = (list: Record<string, unknown>[] | undefined): unknown =>
      (list ?? []).map(({ image: ___, ...container }) => container);
    return { ...rest, containers: withoutImages(containers), initContainers: withoutImages(initContainers) };
  };
  return !isDeepStrictEqual(relevant(object), relevant(old));
}
