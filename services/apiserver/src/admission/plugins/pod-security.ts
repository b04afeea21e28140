import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import type { Container } from '@pilothouse/api/quota';
import { podSpec } from '@pilothouse/api/quota';
import { errorMessage } from '@pilothouse/base';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import type { PodSecurityConfig } from '../plugin-configs.ts';
import { openEvaluator } from '../pod-security/evaluator.ts';
import type { Evaluate } from '../pod-security/evaluator.ts';
import type { Finding, PodView } from '../pod-security/finding.ts';
import { podView } from '../pod-security/finding.ts';
import { PodSecurityMeter } from '../pod-security/meter.ts';
import type { LevelVersion, NamespacePolicy } from '../pod-security/namespace-policy.ts';
import {
  isPrivileged,
  labelPrefix,
  levelText,
  namespacePolicy,
  openPolicy,
} from '../pod-security/namespace-policy.ts';
import { reviewNamespace } from '../pod-security/namespace-review.ts';
import { forbid, joinFindings } from '../refusal.ts';
import { findNamespace } from './namespace-lifecycle.ts';

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

/** Subresources of pods that carry no pod, or none that could break a level. Any other is judged. */
const ignoredSubresources: ReadonlySet<string> = new Set([
  'exec',
  'attach',
  'binding',
  'eviction',
  'log',
  'portforward',
  'proxy',
  'status',
]);

const noConfig: PodSecurityConfig = {
  defaults: openPolicy,
  exemptions: { usernames: [], namespaces: [], runtimeClasses: [] },
};

/** Pod Security Standards by the labels of the namespace: refuses pods, and warns about them and about controllers. */
export function podSecurity(dependencies: AdmissionDependencies): AdmissionPlugin {
  const { objects, configs, clock } = dependencies;
  const config = configs?.podSecurity ?? noConfig;
  const meter = new PodSecurityMeter();
  const evaluate = openEvaluator(dependencies.emulatedMinor);
  const judge = new PodJudge(config, meter, evaluate);
  const review = {
    config,
    clock,
    evaluate,
    listPods: (namespace: string) => objects.cached(resources.pods).list(namespace),
  };

  const validatePod = async (attributes: AdmissionAttributes): Promise<void> => {
    if (ignoredSubresources.has(attributes.subresource) || judge.isExempt(attributes)) return;
    const namespace = await findNamespace(objects, attributes.namespace).catch((error: unknown) => {
      meter.failed(true, attributes);
      const text = `failed to lookup namespace ${goQuote(attributes.namespace)}`;
      annotate(attributes, 'error', `Internal error occurred: ${text}: ${errorMessage(error)}`);
      throw statusErrors.internal(text);
    });
    const { policy, errors } = namespacePolicy(namespace.metadata.labels, config.defaults);
    if (errors.length === 0 && isPrivileged(policy)) {
      annotate(attributes, 'enforce-policy', levelText(openPolicy.enforce));
      meter.evaluated('allow', policy.enforce, 'enforce', attributes);
      return;
    }
    const { object, oldObject } = attributes;
    if (object === undefined) return;
    if (attributes.operation === 'UPDATE' && oldObject !== undefined && !isSignificant(object, oldObject))
      return;
    judge.evaluate(attributes, policy, errors, podView(object), true);
  };

  const validateController = async (
    attributes: AdmissionAttributes,
    path: readonly string[],
  ): Promise<void> => {
    if (attributes.subresource !== '' || judge.isExempt(attributes)) return;
    let labels: Record<string, string> | undefined;
    try {
      labels = (await findNamespace(objects, attributes.namespace)).metadata.labels;
    } catch (error) {
      meter.failed(true, attributes);
      annotate(
        attributes,
        'error',
        `failed to lookup namespace ${goQuote(attributes.namespace)}: ${errorMessage(error)}`,
      );
      return;
    }
    const { policy, errors } = namespacePolicy(labels, config.defaults);
    if (errors.length === 0 && policy.audit.level === 'privileged' && policy.warn.level === 'privileged')
      return;
    let template: unknown = attributes.object;
    for (const field of path) template = (template as Record<string, unknown> | undefined)?.[field];
    if (template === undefined || template === null) return;
    judge.evaluate(attributes, policy, errors, podView(template as KubeObject), false);
  };

  return {
    name: 'PodSecurity',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    measure: (times) => meter.measure(times),
    async validate(attributes) {
      const key = `${attributes.resource.resource}.${attributes.resource.group}`;
      if (key === 'namespaces.') return reviewNamespace(review, attributes);
      if (key === 'pods.') return validatePod(attributes);
      const path = templatePaths[key];
      if (path !== undefined) return validateController(attributes, path);
    },
  };
}

/** Judges pods and templates by the policy of their namespace, and tells everyone what came of it. */
class PodJudge {
  readonly #config: PodSecurityConfig;
  readonly #meter: PodSecurityMeter;
  readonly #evaluate: Evaluate;

  constructor(config: PodSecurityConfig, meter: PodSecurityMeter, evaluate: Evaluate) {
    this.#config = config;
    this.#meter = meter;
    this.#evaluate = evaluate;
  }

  /** Whether the namespace or the user is not looked at; then it is told, too. */
  isExempt(attributes: AdmissionAttributes): boolean {
    const { namespaces, usernames } = this.#config.exemptions;
    const reason = namespaces.includes(attributes.namespace)
      ? 'namespace'
      : usernames.includes(attributes.user.name)
        ? 'user'
        : undefined;
    if (reason !== undefined) this.#exempted(attributes, reason);
    return reason !== undefined;
  }

  /** `isEnforced`: of pods, not of templates. Throws StatusError 403 when the pod breaks the level that is enforced. */
  evaluate(
    attributes: AdmissionAttributes,
    policy: NamespacePolicy,
    errors: readonly FieldError[],
    pod: PodView,
    isEnforced: boolean,
  ): void {
    const runtimeClass = pod.spec.runtimeClassName ?? '';
    if (runtimeClass !== '' && this.#config.exemptions.runtimeClasses.includes(runtimeClass))
      return this.#exempted(attributes, 'runtimeClass');
    if (errors.length > 0) {
      const text = joinFindings(errors.map(({ field, message }) => `${field}: ${message}`));
      annotate(attributes, 'error', `Failed to parse policy: ${text}`);
      this.#meter.failed(false, attributes);
    }
    // The same level is not judged twice.
    const known = new Map<string, Finding[]>();
    const findingsOf = (level: LevelVersion): Finding[] => {
      const key = levelText(level);
      const findings = known.get(key) ?? this.#evaluate(level, pod);
      known.set(key, findings);
      return findings;
    };
    let refused: Error | undefined;
    if (isEnforced) {
      annotate(attributes, 'enforce-policy', levelText(policy.enforce));
      const findings = findingsOf(policy.enforce);
      const decision = findings.length > 0 ? 'deny' : 'allow';
      this.#meter.evaluated(decision, policy.enforce, 'enforce', attributes);
      if (findings.length > 0) refused = forbid(attributes, violation('violates', policy.enforce, findings));
    }
    const audited = findingsOf(policy.audit);
    if (audited.length > 0) {
      annotate(attributes, 'audit-violations', violation('would violate', policy.audit, audited));
      this.#meter.evaluated('deny', policy.audit, 'audit', attributes);
    }
    if (refused !== undefined) throw refused;
    const warned = findingsOf(policy.warn);
    if (warned.length === 0) return;
    attributes.addWarning(violation('would violate', policy.warn, warned));
    this.#meter.evaluated('deny', policy.warn, 'warn', attributes);
  }

  #exempted(attributes: AdmissionAttributes, reason: 'namespace' | 'user' | 'runtimeClass'): void {
    annotate(attributes, 'exempt', reason);
    this.#meter.exempted(attributes);
  }
}

function annotate(attributes: AdmissionAttributes, key: string, value: string): void {
  attributes.addAuditAnnotation(`${labelPrefix}${key}`, value);
}

function violation(verb: string, level: LevelVersion, findings: readonly Finding[]): string {
  const text = findings.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');
  return `${verb} PodSecurity ${goQuote(levelText(level))}: ${text}`;
}

/** Whether an update runs something else than before: other images, other containers. Nothing else that checks look at can change. */
function isSignificant(object: KubeObject, old: KubeObject): boolean {
  const [now, before] = [podSpec(object), podSpec(old)];
  for (const list of ['containers', 'initContainers'] as const) {
    const [own, earlier] = [now[list] ?? [], before[list] ?? []];
    if (own.length !== earlier.length) return true;
    if (own.some((container, index) => container['image'] !== earlier[index]?.['image'])) return true;
  }
  const earlier = new Map<string, Container>(
    (before.ephemeralContainers ?? []).map((container) => [container.name, container]),
  );
  return (now.ephemeralContainers ?? []).some(
    ({ name, image }) => !earlier.has(name) || earlier.get(name)?.['image'] !== image,
  );
}
