import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason, labelSelectorOf } from '@pilothouse/apimachinery';
import type { ReconcileResult } from '@pilothouse/client';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import type { Condition } from '../../common/conditions.ts';
import { setCondition } from '../../common/conditions.ts';
import { goSelector } from '../../common/go-selector.ts';
import { scaledValue } from '../../common/int-or-percent.ts';
import { controllerOf } from '../../common/ownership.ts';
import { isPodReady, isPodTerminal } from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import { resourceOfKind } from '../../common/scales.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

/** An eviction that was granted counts as a disruption until its pod is gone, or for this long. */
const disruptionTimeoutMs = 120_000;

interface Expected {
  readonly expected: number;
  readonly desired: number;
  readonly unmanaged: readonly string[];
}

/** Keeps the status of PodDisruptionBudgets, by which the eviction API decides. */
class DisruptionController {
  readonly #context: ControllerContext;
  readonly #budgets;
  readonly #pods;
  readonly #owners;
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { informers } = context;
    this.#budgets = informers.informer(resources.podDisruptionBudgets);
    this.#pods = informers.informer(resources.pods);
    this.#owners = {
      ReplicaSet: informers.informer(resources.replicaSets),
      ReplicationController: informers.informer(resources.replicationControllers),
      StatefulSet: informers.informer(resources.statefulSets),
      Deployment: informers.informer(resources.deployments),
    };
    this.loop = new Controller(loopOptions(context), (key) => this.#sync(key));
    const enqueue = (budget: KubeObject): void => this.loop.queue.add(objectKey(budget));
    this.#budgets.addHandler({ onAdd: enqueue, onUpdate: enqueue });
    const podChanged = (pod: KubeObject): void => {
      for (const budget of this.#budgets.lister.list(pod.metadata.namespace))
        if (selects(budget, pod)) enqueue(budget);
    };
    this.#pods.addHandler({
      onAdd: podChanged,
      onUpdate: (pod, old) => {
        podChanged(pod);
        if (canonical(pod.metadata.labels ?? {}) !== canonical(old.metadata.labels ?? {})) podChanged(old);
      },
      onDelete: podChanged,
    });
    const ownerChanged = (owner: KubeObject): void =>
      this.#budgets.lister.list(owner.metadata.namespace).forEach(enqueue);
    for (const informer of Object.values(this.#owners)) {
      informer.addHandler({
        onUpdate: (owner, old) => {
          if (owner['spec']?.replicas !== old['spec']?.replicas) ownerChanged(owner);
        },
      });
    }
  }

  async #sync(key: string): Promise<ReconcileResult | void> {
    const { recorder } = this.#context;
    const budget = this.#budgets.lister.getByKey(key);
    if (!budget) return;
    const pods = this.#pods.lister.list(budget.metadata.namespace).filter((pod) => selects(budget, pod));
    if (pods.length === 0) recorder.event(budget, 'Normal', 'NoPods', 'No matching pods found');
    let expected: Expected;
    try {
      expected = await this.#expected(budget, pods);
    } catch (error) {
      recorder.event(
        budget,
        'Warning',
        'CalculateExpectedPodCountFailed',
        `Failed to calculate the number of expected pods: ${(error as Error).message}`,
      );
      await this.#write(budget, {
        healthy: 0,
        desired: 0,
        expected: 0,
        allowed: 0,
        disrupted: undefined,
        reason: 'SyncFailed',
        message: (error as Error).message,
      });
      throw error;
    }
    if (expected.unmanaged.length > 0 && budget['spec'].minAvailable === undefined) {
      recorder.event(
        budget,
        'Warning',
        'UnmanagedPods',
        `Pods selected by this PodDisruptionBudget (selector: ${goSelector(budget['spec'].selector)}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`,
      );
    }
    const nowMs = this.#context.clock.now();
    const disrupted = { ...(budget['status']?.disruptedPods as Record<string, string> | undefined) };
    let recheckMs: number | undefined;
    for (const [name, time] of Object.entries(disrupted)) {
      const pod = pods.find((each) => each.metadata.name === name);
      const left = Date.parse(time) + disruptionTimeoutMs - nowMs;
      if (!pod || pod.metadata.deletionTimestamp !== undefined || left <= 0) delete disrupted[name];
      else recheckMs = Math.min(recheckMs ?? Infinity, left);
    }
    const healthy = pods.filter(
      (pod) =>
        !isPodTerminal(pod) &&
        pod.metadata.deletionTimestamp === undefined &&
        disrupted[pod.metadata.name ?? ''] === undefined &&
        isPodReady(pod),
    ).length;
    const allowed = expected.expected <= 0 ? 0 : Math.max(0, healthy - expected.desired);
    await this.#write(budget, {
      healthy,
      desired: expected.desired,
      expected: expected.expected,
      allowed,
      disrupted: Object.keys(disrupted).length === 0 ? undefined : disrupted,
      reason: allowed > 0 ? 'SufficientPods' : 'InsufficientPods',
      message: '',
    });
    return recheckMs === undefined ? undefined : { requeueAfterMs: recheckMs };
  }

  async #expected(budget: KubeObject, pods: readonly KubeObject[]): Promise<Expected> {
    const { maxUnavailable, minAvailable } = budget['spec'] as {
      maxUnavailable?: number | string;
      minAvailable?: number | string;
    };
    if (maxUnavailable !== undefined) {
      const scale = await this.#scale(pods);
      return {
        ...scale,
        desired: Math.max(0, scale.expected - scaledValue(maxUnavailable, scale.expected, 'up')),
      };
    }
    if (typeof minAvailable === 'string') {
      const scale = await this.#scale(pods);
      return { ...scale, desired: scaledValue(minAvailable, scale.expected, 'up') };
    }
    return { expected: pods.length, desired: minAvailable ?? 0, unmanaged: [] };
  }

  /** The sum of the scales of all controllers behind the pods, each counted once; pods without one are named. */
  async #scale(pods: readonly KubeObject[]): Promise<{ expected: number; unmanaged: string[] }> {
    const seen = new Map<string, number>();
    const unmanaged: string[] = [];
    for (const pod of pods) {
      const owner = controllerOf(pod);
      if (!owner) {
        unmanaged.push(pod.metadata.name ?? '');
        continue;
      }
      if (seen.has(owner.uid)) continue;
      const namespace = pod.metadata.namespace ?? '';
      let found: KubeObject | undefined;
      if (
        owner.kind === 'ReplicaSet' ||
        owner.kind === 'ReplicationController' ||
        owner.kind === 'StatefulSet'
      ) {
        found = this.#owners[owner.kind].lister.get(owner.name, namespace);
        const above = found && controllerOf(found);
        if (owner.kind === 'ReplicaSet' && above?.kind === 'Deployment') {
          found = this.#owners.Deployment.lister.get(above.name, namespace) ?? found;
          if (seen.has(above.uid)) continue;
          seen.set(above.uid, (found?.['spec']?.replicas as number | undefined) ?? 1);
          continue;
        }
        if (found) seen.set(owner.uid, (found['spec']?.replicas as number | undefined) ?? 1);
        continue;
      }
      seen.set(owner.uid, await this.#scaleOf(owner.apiVersion, owner.kind, owner.name, namespace));
    }
    return { expected: [...seen.values()].reduce((total, each) => total + each, 0), unmanaged };
  }

  /** Any other controller says its size through its scale subresource. */
  async #scaleOf(apiVersion: string, kind: string, name: string, namespace: string): Promise<number> {
    const ref = await resourceOfKind(this.#context.client, apiVersion, kind);
    if (!ref) throw new Error(`found no controllers for pod "${name}"`);
    const scale = await this.#context.client.get(ref, name, { namespace, subresource: 'scale' });
    return (scale['spec']?.replicas as number | undefined) ?? 0;
  }

  async #write(
    budget: KubeObject,
    facts: {
      healthy: number;
      desired: number;
      expected: number;
      allowed: number;
      disrupted: Record<string, string> | undefined;
      reason: string;
      message: string;
    },
  ): Promise<void> {
    const old = (budget['status'] ?? {}) as { conditions?: Condition[] };
    const generation = budget.metadata.generation ?? 0;
    const status = {
      observedGeneration: generation,
      ...(facts.disrupted === undefined ? {} : { disruptedPods: facts.disrupted }),
      disruptionsAllowed: facts.allowed,
      currentHealthy: facts.healthy,
      desiredHealthy: facts.desired,
      expectedPods: facts.expected,
      conditions: setCondition(old.conditions, {
        type: 'DisruptionAllowed',
        status: facts.allowed > 0 ? 'True' : 'False',
        observedGeneration: generation,
        lastTransitionTime: secondTime(this.#context.clock.now()),
        reason: facts.reason,
        message: facts.message,
      }),
    };
    if (canonical(status) === canonical(old)) return;
    await this.#context.client
      .update(resources.podDisruptionBudgets, { ...budget, status }, { subresource: 'status' })
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound')) throw error;
      });
  }
}

function selects(budget: KubeObject, pod: KubeObject): boolean {
  const selector = budget['spec'].selector as Parameters<typeof labelSelectorOf>[0] | undefined;
  return selector !== undefined && labelSelectorOf(selector).matches(pod.metadata.labels ?? {});
}

export const createDisruptionController: ControllerFactory = (context) =>
  new DisruptionController(context).loop;
