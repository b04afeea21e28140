import type { KubeObject, Status } from '@pilothouse/apimachinery';
import {
  hasReason,
  isConditionTrue,
  labelSelectorOf,
  StatusError,
  statusErrors,
} from '@pilothouse/apimachinery';
import { deepClone } from '../../../storage/deep.ts';
import type { GenericStore } from '../../generic/store.ts';
import type {
  AdmissionHooks,
  CreateOptions,
  DeleteOptions,
  ResourceDescriptor,
  RestContext,
  RestStorage,
} from '../../rest/rest-storage.ts';
import { noAdmission } from '../../rest/rest-storage.ts';
import { createdStatus } from './binding.ts';

/** Pods that a budget remembers as being evicted, at most; the controller removes them once they are gone. */
const disruptedPodsMax = 2000;
const conflictAttempts = 20;

/** pods/eviction: a delete that a PodDisruptionBudget may refuse with 429. */
export class EvictionStore implements RestStorage {
  readonly resource: ResourceDescriptor;
  readonly #pods: GenericStore;
  readonly #budgetsOf: () => GenericStore | undefined;

  constructor(pods: GenericStore, budgets: () => GenericStore | undefined, resource: ResourceDescriptor) {
    this.#pods = pods;
    this.#budgetsOf = budgets;
    this.resource = resource;
  }

  async create(
    context: RestContext,
    name: string,
    given: KubeObject,
    options: CreateOptions,
    admission: AdmissionHooks,
  ): Promise<Status> {
    const eviction = (await admission.admit('CREATE', given, undefined)) ?? given;
    if ((eviction.metadata.name ?? '') !== name) {
      throw statusErrors.badRequest('name in URL does not match name in Eviction object');
    }
    await admission.validate('CREATE', eviction, undefined);
    const asked = (eviction['deleteOptions'] ?? {}) as DeleteOptions;
    const bodyDryRun = (asked.dryRun ?? []).length > 0 || (options.dryRun ?? []).length > 0;
    const inner: RestContext = {
      ...context,
      dryRun: context.dryRun || bodyDryRun,
      addWarning: (text) => context.addWarning(text),
    };
    for (let attempt = 1; ; attempt++) {
      const pod = (await this.#pods.get(context, name, { resourceVersion: '' })).object;
      if (!needsBudget(pod)) {
        // Guard against a pod that changed since: only this state may go without asking a budget.
        const guarded = isDone(pod) || isLeaving(pod) ? asked : withRevision(asked, pod);
        try {
          await this.#pods.delete(inner, name, guarded, noAdmission);
          return createdStatus;
        } catch (error) {
          const ownRevision =
            asked.preconditions?.resourceVersion !== undefined || asked.preconditions?.uid !== undefined;
          if (!hasReason(error, 'Conflict') || ownRevision || attempt >= conflictAttempts) throw error;
          continue;
        }
      }
      const charged = await this.#charge(inner, pod);
      const deletion = charged ? asked : withRevision(asked, pod);
      await this.#pods.delete(inner, name, deletion, noAdmission);
      return createdStatus;
    }
  }

  /** Takes one disruption of the budget of the pod. False: no budget, or the pod is not healthy and may go anyway. */
  async #charge(context: RestContext, pod: KubeObject): Promise<boolean> {
    const store = this.#budgetsOf();
    if (store === undefined) return true;
    const budgets = [...(await store.list(context, {})).items]
      .map((item) => item.object)
      .filter((budget) => {
        const selector = budget['spec']?.selector as object | undefined;
        return selector !== undefined && labelSelectorOf(selector).matches(pod.metadata.labels);
      });
    const budget = budgets[0];
    if (budget === undefined) return true;
    if (budgets.length > 1) {
      throw new StatusError(
        500,
        '',
        'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
      );
    }
    const conditions = (pod['status']?.conditions ?? []) as Parameters<typeof isConditionTrue>[0];
    const ready = isConditionTrue(conditions, 'Ready');
    const status = (budget['status'] ?? {}) as Record<string, number>;
    if (!ready) {
      const policy = budget['spec']?.unhealthyPodEvictionPolicy as string | undefined;
      const healthy =
        (status['currentHealthy'] ?? 0) >= (status['desiredHealthy'] ?? 0) &&
        (status['desiredHealthy'] ?? 0) > 0;
      if (policy === 'AlwaysAllow' || healthy) return false;
    }
    const path = {
      subresource: 'status',
      hooks: store.strategy.subresources?.['status'] ?? {},
      mayCreate: false,
    };
    const podName = pod.metadata.name ?? '';
    await store.updateThrough(
      path,
      { ...context, fieldManager: 'kube-apiserver' },
      budget.metadata.name ?? '',
      { updatedObject: (inner, existing) => disrupt(existing as KubeObject, podName, inner.now) },
      { fieldManager: 'kube-apiserver' },
      noAdmission,
    );
    return true;
  }
}

/** A budget with one disruption less and the pod on record. Throws 429 with the cause that clients read when there is none left. */
function disrupt(existing: KubeObject, podName: string, now: string): KubeObject {
  const budget = deepClone(existing);
  const name = budget.metadata.name ?? '';
  const refuse = (cause: string): StatusError => {
    const error = statusErrors.tooManyRequests(
      "Cannot evict pod as it would violate the pod's disruption budget.",
      0,
    );
    error.status.details = { causes: [{ reason: 'DisruptionBudget', message: cause }] };
    return error;
  };
  const status = (budget['status'] ?? {}) as {
    observedGeneration?: number;
    disruptionsAllowed?: number;
    desiredHealthy?: number;
    currentHealthy?: number;
    disruptedPods?: Record<string, string>;
  };
  if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 0)) {
    const error = refuse(`The disruption budget ${name} is still being processed by the server.`);
    error.status.details = { ...error.status.details, retryAfterSeconds: 10 };
    throw error;
  }
  const allowed = status.disruptionsAllowed ?? 0;
  const disrupted = status.disruptedPods ?? {};
  if (allowed < 0) {
    throw statusErrors.forbidden(
      { group: 'policy', resource: 'poddisruptionbudget' },
      name,
      'pdb disruptions allowed is negative',
    );
  }
  if (Object.keys(disrupted).length > disruptedPodsMax) {
    throw statusErrors.forbidden(
      { group: 'policy', resource: 'poddisruptionbudget' },
      name,
      'DisruptedPods map too big - too many evictions not confirmed by PDB controller',
    );
  }
  if (allowed === 0) {
    throw refuse(refusal(name, budget));
  }
  const left = allowed - 1;
  budget['status'] = {
    ...status,
    disruptionsAllowed: left,
    disruptedPods: { ...disrupted, [podName]: now },
    ...(left === 0 && { conditions: withoutDisruptions(budget, now) }),
  };
  return budget;
}

interface Condition {
  readonly type: string;
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

const conditionsOf = (budget: KubeObject): readonly Condition[] =>
  (budget['status']?.conditions ?? []) as Condition[];

const allowedType = 'DisruptionAllowed';

/** Why a budget without disruptions refuses. When its controller could not count, its numbers mean nothing. */
function refusal(name: string, budget: KubeObject): string {
  const status = (budget['status'] ?? {}) as { desiredHealthy?: number; currentHealthy?: number };
  const { desiredHealthy = 0, currentHealthy = 0 } = status;
  const condition = conditionsOf(budget).find((each) => each.type === allowedType);
  const told = condition?.status === 'False' && (condition.message ?? '') !== '' ? condition : undefined;
  const text = `The disruption budget ${name} does not allow evicting pods currently`;
  if (told?.reason === 'SyncFailed') return `${text} because it failed sync: ${told.message}`;
  if (currentHealthy <= desiredHealthy)
    return `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`;
  return told ? `${text} (${told.reason}): ${told.message}` : text;
}

/** The conditions when the last disruption is taken. */
function withoutDisruptions(budget: KubeObject, now: string): Condition[] {
  const old = conditionsOf(budget).find((each) => each.type === allowedType);
  return [
    ...conditionsOf(budget).filter((each) => each !== old),
    {
      type: allowedType,
      status: 'False',
      observedGeneration: (budget['status']?.observedGeneration as number | undefined) ?? 0,
      lastTransitionTime: old?.status === 'False' ? (old.lastTransitionTime ?? now) : now,
      reason: 'InsufficientPods',
      message: '',
    } as Condition,
  ];
}

/** A pod that runs nothing that could be disrupted goes without asking. */
function needsBudget(pod: KubeObject): boolean {
  return !isDone(pod) && !isLeaving(pod) && pod['status']?.phase !== 'Pending';
}

function isDone(pod: KubeObject): boolean {
  const phase = pod['status']?.phase as string | undefined;
  return phase === 'Succeeded' || phase === 'Failed';
}

function isLeaving(pod: KubeObject): boolean {
  return (pod.metadata.deletionTimestamp ?? '') !== '';
}

function withRevision(options: DeleteOptions, pod: KubeObject): DeleteOptions {
  if (options.preconditions?.resourceVersion !== undefined) return options;
  const { resourceVersion } = pod.metadata;
  if (resourceVersion === undefined) return options;
  return { ...options, preconditions: { ...options.preconditions, resourceVersion } };
}
