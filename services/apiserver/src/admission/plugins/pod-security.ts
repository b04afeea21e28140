import { isDeepStrictEqual } from 'node:util';
import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import type { Finding, PodView } from '../pod-security/finding.ts';
import type { PodSecurityConfig } from '../plugin-configs.ts';
import type { LevelVersion, NamespacePolicy } from '../pod-security/namespace-policy.ts';
import { compareLevels, levelText, namespacePolicy, openPolicy } from '../pod-security/namespace-policy.ts';
import { evaluatePod } from '../pod-security/restricted.ts';
import { podSpec } from '@pilothouse/api/quota';
import { forbid, joinFindings } from '../refusal.ts';
import { findNamespace } from './namespace-lifecycle.ts';

/** Pods that are looked at when a namespace gets a stricter level. */
const existingPodsMax = 3000;
const labelPrefix = 'pod-security.kubernetes.io/';

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
export function podSecurity({ objects, configs }: AdmissionDependencies): AdmissionPlugin {
  const config = configs?.podSecurity ?? noConfig;
  const isExempt = ({ namespace, user }: AdmissionAttributes): boolean =>
    config.exemptions.namespaces.includes(namespace) || config.exemptions.usernames.includes(user.name);
  const validate = async (attributes: AdmissionAttributes): Promise<void> => {
    const key = `${attributes.resource.resource}.${attributes.resource.group}`;
    if (key === 'namespaces.') return validateNamespace(objects, config, attributes);
    const path = templatePaths[key];
    if (key !== 'pods.' && path === undefined) return;
    if (isExempt(attributes)) return exempt(attributes, 'user or namespace', config);
    if (path === undefined) return validatePod(objects, config, attributes);
    return validateController(objects, config, attributes, path);
  };
  return {
    name: 'PodSecurity',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    validate,
  };
}

const noConfig: PodSecurityConfig = {
  defaults: openPolicy,
  exemptions: { usernames: [], namespaces: [], runtimeClasses: [] },
};

function exempt(
  attributes: AdmissionAttributes,
  why: 'user or namespace' | 'runtimeClass',
  config: PodSecurityConfig,
): void {
  const reason =
    why === 'runtimeClass'
      ? why
      : config.exemptions.namespaces.includes(attributes.namespace)
        ? 'namespace'
        : 'user';
  attributes.addAuditAnnotation('pod-security.kubernetes.io/exempt', reason);
}

/** What an exempt namespace says in vain. */
function exemptWarning(
  name: string,
  labels: Readonly<Record<string, string>>,
  policy: NamespacePolicy,
  defaults: NamespacePolicy,
): string {
  const modes = ['enforce', 'audit', 'warn'] as const;
  if (modes.every((mode) => policy[mode].level === 'privileged') || isDeepStrictEqual(policy, defaults))
    return '';
  const said = modes.filter(
    (mode) =>
      policy[mode].level !== 'privileged' &&
      [`${labelPrefix}${mode}`, `${labelPrefix}${mode}-version`].some((label) => labels[label] !== undefined),
  );
  const text = said.map((mode) => `${mode}=${levelText(policy[mode])}`).join(', ');
  return `namespace ${goQuote(name)} is exempt from Pod Security, and the policy (${text}) will be ignored`;
}

function validateNamespace(
  objects: AdmissionDependencies['objects'],
  config: PodSecurityConfig,
  attributes: AdmissionAttributes,
): void {
  const { object, oldObject } = attributes;
  if (attributes.subresource !== '' || object === undefined) return;
  const next = namespacePolicy(object.metadata.labels, config.defaults);
  const name = object.metadata.name ?? '';
  const isExempt = config.exemptions.namespaces.includes(name);
  const tellExempt = (): void => {
    const text = exemptWarning(name, object.metadata.labels ?? {}, next.policy, config.defaults);
    if (text !== '') attributes.addWarning(text);
  };
  const invalid = (): Error =>
    statusErrors.invalid({ group: '', kind: 'Namespace' }, object.metadata.name ?? '', next.errors);
  if (attributes.operation === 'CREATE') {
    if (next.errors.length > 0) throw invalid();
    if (isExempt) tellExempt();
    return;
  }
  const old = namespacePolicy(oldObject?.metadata.labels, config.defaults);
  // Labels that were wrong before may stay, so that a namespace can be repaired step by step.
  if (next.errors.length > 0 && !isDeepStrictEqual(next.errors, old.errors)) throw invalid();
  const { enforce } = next.policy;
  const stricter =
    compareLevels(enforce.level, old.policy.enforce.level) > 0 ||
    (enforce.level !== 'privileged' && enforce.version !== old.policy.enforce.version);
  if (!stricter) return;
  if (isExempt) return tellExempt();
  const pods = objects
    .cached(resources.pods)
    .list(name)
    .filter((pod) => !config.exemptions.runtimeClasses.includes(podSpec(pod).runtimeClassName ?? ''));
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
  config: PodSecurityConfig,
  attributes: AdmissionAttributes,
): Promise<void> {
  const { object, oldObject, subresource } = attributes;
  if (object === undefined || (subresource !== '' && subresource !== 'ephemeralcontainers')) return;
  if (attributes.operation === 'UPDATE' && oldObject !== undefined && !isSignificant(object, oldObject))
    return;
  const labels = (await findNamespace(objects, attributes.namespace)).metadata.labels;
  const { policy, errors } = namespacePolicy(labels, config.defaults);
  const view = podView(object);
  if (config.exemptions.runtimeClasses.includes(view.spec.runtimeClassName ?? ''))
    return exempt(attributes, 'runtimeClass', config);
  const evaluate = ({ level }: LevelVersion): Finding[] => evaluatePod(level, view);
  tellErrors(attributes, errors);
  attributes.addAuditAnnotation('pod-security.kubernetes.io/enforce-policy', levelText(policy.enforce));
  const enforced = evaluate(policy.enforce);
  tellAudit(attributes, policy.audit, evaluate);
  if (enforced.length > 0) {
    throw forbid(
      attributes,
      `violates PodSecurity ${goQuote(levelText(policy.enforce))}: ${textOf(enforced)}`,
    );
  }
  tellWarning(attributes, policy.warn, evaluate);
}

async function validateController(
  objects: AdmissionDependencies['objects'],
  config: PodSecurityConfig,
  attributes: AdmissionAttributes,
  path: readonly string[],
): Promise<void> {
  if (attributes.subresource !== '' || attributes.object === undefined) return;
  let template: unknown = attributes.object;
  for (const field of path) template = (template as Record<string, unknown> | undefined)?.[field];
  if (template === undefined || template === null) return;
  const labels = (await findNamespace(objects, attributes.namespace)).metadata.labels;
  const { policy, errors } = namespacePolicy(labels, config.defaults);
  if (errors.length === 0 && policy.audit.level === 'privileged' && policy.warn.level === 'privileged')
    return;
  const view = podView(template as KubeObject);
  if (config.exemptions.runtimeClasses.includes(view.spec.runtimeClassName ?? ''))
    return exempt(attributes, 'runtimeClass', config);
  const evaluate = ({ level }: LevelVersion): Finding[] => evaluatePod(level, view);
  tellErrors(attributes, errors);
  tellAudit(attributes, policy.audit, evaluate);
  tellWarning(attributes, policy.warn, evaluate);
}

function tellErrors(attributes: AdmissionAttributes, errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  const text = joinFindings(errors.map(({ field, message }) => `${field}: ${message}`));
  attributes.addAuditAnnotation('pod-security.kubernetes.io/error', `Failed to parse policy: ${text}`);
}

const violation = (level: LevelVersion, findings: readonly Finding[]): string =>
  `would violate PodSecurity ${goQuote(levelText(level))}: ${textOf(findings)}`;

function tellAudit(
  attributes: AdmissionAttributes,
  level: LevelVersion,
  evaluate: (level: LevelVersion) => Finding[],
): void {
  const findings = evaluate(level);
  if (findings.length > 0)
    attributes.addAuditAnnotation('pod-security.kubernetes.io/audit-violations', violation(level, findings));
}

function tellWarning(
  attributes: AdmissionAttributes,
  level: LevelVersion,
  evaluate: (level: LevelVersion) => Finding[],
): void {
  const findings = evaluate(level);
  if (findings.length > 0) attributes.addWarning(violation(level, findings));
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
