import type { KubeObject } from '@pilothouse/apimachinery';
import { labelSelectorOf } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { ReconcileResult, ResourceRef } from '@pilothouse/client';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import { setCondition } from '../../common/conditions.ts';
import type { Condition } from '../../common/conditions.ts';
import { Expectations } from '../../common/expectations.ts';
import type { OwnerKind } from '../../common/ownership.ts';
import { claim, controllerOf, newControllerRef } from '../../common/ownership.ts';
import { isNamespaceTerminating, PodControl, podFromTemplate, slowStart } from '../../common/pod-control.ts';
import {
  compareForDeletion,
  isPodActive,
  isPodAvailable,
  isPodReady,
  isPodTerminating,
  untilAvailableMs,
} from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

/** Most pods created or deleted in one pass over one owner. */
const burstReplicas = 500;

interface ReplicaSetStatus {
  replicas: number;
  fullyLabeledReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  terminatingReplicas?: number;
  observedGeneration?: number;
  conditions?: Condition[];
}

/** A ReplicationController is a ReplicaSet with an older selector; both run the same code. */
interface Flavour {
  readonly ref: ResourceRef;
  readonly kind: OwnerKind;
  selector(owner: KubeObject): unknown;
  readonly countsTerminating: boolean;
}

const replicaSetFlavour: Flavour = {
  ref: resources.replicaSets,
  kind: { apiVersion: 'apps/v1', kind: 'ReplicaSet' },
  selector: (owner) => owner['spec'].selector,
  countsTerminating: true,
};

const replicationControllerFlavour: Flavour = {
  ref: resources.replicationControllers,
  kind: { apiVersion: 'v1', kind: 'ReplicationController' },
  selector: (owner) => ({ matchLabels: owner['spec'].selector ?? {} }),
  countsTerminating: false,
};

class ReplicaSetController {
  readonly #context: ControllerContext;
  readonly #flavour: Flavour;
  readonly #owners;
  readonly #pods;
  readonly #expectations: Expectations;
  readonly #control: PodControl;
  readonly loop: Controller;

  constructor(context: ControllerContext, flavour: Flavour) {
    this.#context = context;
    this.#flavour = flavour;
    this.#expectations = new Expectations(context.clock);
    this.#control = new PodControl(context.client, context.recorder);
    this.#owners = context.informers.informer(flavour.ref);
    this.#pods = context.informers.informer(resources.pods);
    this.loop = new Controller(loopOptions(context), (key) => this.#sync(key));
    const enqueue = (owner: KubeObject): void => this.loop.queue.add(objectKey(owner));
    this.#owners.addHandler({
      onAdd: enqueue,
      onUpdate: enqueue,
      onDelete: (owner) => {
        this.#expectations.forget(objectKey(owner));
        enqueue(owner);
      },
    });
    this.#pods.addHandler({
      onAdd: (pod) => this.#podChanged(pod, 'added'),
      onUpdate: (pod, old) => {
        const before = controllerOf(old);
        if (before && before.uid !== controllerOf(pod)?.uid) this.#podChanged(old, 'changed');
        this.#podChanged(pod, pod.metadata.deletionTimestamp === undefined ? 'changed' : 'deleted');
      },
      onDelete: (pod) => this.#podChanged(pod, 'deleted'),
    });
  }

  #podChanged(pod: KubeObject, what: 'added' | 'changed' | 'deleted'): void {
    const controller = controllerOf(pod);
    if (controller) {
      if (
        controller.kind !== this.#flavour.kind.kind ||
        controller.apiVersion !== this.#flavour.kind.apiVersion
      )
        return;
      const key = `${pod.metadata.namespace}/${controller.name}`;
      if (what === 'added' && pod.metadata.deletionTimestamp === undefined)
        this.#expectations.creationObserved(key);
      if (what === 'deleted' || pod.metadata.deletionTimestamp !== undefined)
        this.#expectations.deletionObserved(key, objectKey(pod));
      this.loop.queue.add(key);
      return;
    }
    if (what === 'deleted') return;
    for (const owner of this.#owners.lister.list(pod.metadata.namespace)) {
      if (labelSelectorOf(this.#flavour.selector(owner) as never).matches(pod.metadata.labels ?? {}))
        this.loop.queue.add(objectKey(owner));
    }
  }

  async #sync(key: string): Promise<ReconcileResult | void> {
    const { client, clock } = this.#context;
    const owner = this.#owners.lister.getByKey(key);
    if (!owner) return;
    const ready = this.#expectations.satisfied(key);
    const candidates = this.#pods.lister.list(owner.metadata.namespace);
    const selector = this.#flavour.selector(owner);
    const owned = await claim(owner, this.#flavour.kind, candidates, {
      client,
      ownerRef: this.#flavour.ref,
      childRef: resources.pods,
      selector,
      extraFilter: () => true,
    });
    const active = owned.filter(isPodActive);
    const terminating = owned.filter(isPodTerminating);
    let failure: unknown;
    if (ready && owner.metadata.deletionTimestamp === undefined)
      failure = await this.#manage(key, owner, active);
    const nowMs = clock.now();
    const minReadySeconds = (owner['spec'].minReadySeconds as number | undefined) ?? 0;
    const updated = await this.#writeStatus(owner, active, terminating, failure, minReadySeconds);
    if (failure !== undefined && !isNamespaceTerminating(failure)) throw failure;
    const waits = active
      .map((pod) => untilAvailableMs(pod, minReadySeconds, nowMs))
      .filter((each) => each !== undefined);
    return updated && waits.length > 0 ? { requeueAfterMs: Math.min(...waits) } : undefined;
  }

  /** Creates what is missing or deletes what is too many; gives the first error. */
  async #manage(key: string, owner: KubeObject, active: readonly KubeObject[]): Promise<unknown> {
    const wanted = (owner['spec'].replicas as number | undefined) ?? 1;
    const missing = Math.min(burstReplicas, wanted - active.length);
    if (missing > 0) {
      this.#expectations.expectCreations(key, missing);
      const ownerRef = newControllerRef(owner, this.#flavour.kind);
      const { succeeded, error } = await slowStart(missing, async () => {
        await this.#control.create(podFromTemplate(owner['spec'].template, owner, ownerRef), owner);
      });
      for (let count = missing - succeeded; count > 0; count--) this.#expectations.creationObserved(key);
      return error;
    }
    if (missing < 0) {
      const surplus = this.#chooseForDeletion(owner, active, Math.min(burstReplicas, active.length - wanted));
      this.#expectations.expectDeletions(key, surplus.map(objectKey));
      const results = await Promise.allSettled(
        surplus.map(async (pod) => {
          try {
            await this.#control.delete(pod, owner);
          } catch (error) {
            this.#expectations.deletionObserved(key, objectKey(pod));
            throw error;
          }
        }),
      );
      return results.find((each) => each.status === 'rejected')?.reason;
    }
    return undefined;
  }

  #chooseForDeletion(owner: KubeObject, active: readonly KubeObject[], count: number): KubeObject[] {
    if (count >= active.length) return [...active];
    const nodeOf = (pod: KubeObject): string => (pod['spec'].nodeName as string | undefined) ?? '';
    // Pods of sibling replica sets count too: spreading is about the whole Deployment.
    const grandOwner = controllerOf(owner)?.uid;
    const siblings = new Set(
      grandOwner === undefined
        ? [owner.metadata.uid]
        : this.#owners.lister
            .list(owner.metadata.namespace)
            .filter((each) => controllerOf(each)?.uid === grandOwner)
            .map((each) => each.metadata.uid),
    );
    const perNode = new Map<string, number>();
    for (const pod of this.#pods.lister.list(owner.metadata.namespace)) {
      if (siblings.has(controllerOf(pod)?.uid) && isPodActive(pod))
        perNode.set(nodeOf(pod), (perNode.get(nodeOf(pod)) ?? 0) + 1);
    }
    return [...active]
      .sort(compareForDeletion(this.#context.clock.now(), (pod) => perNode.get(nodeOf(pod)) ?? 0))
      .slice(0, count);
  }

  /** True when the status now says what was computed. */
  async #writeStatus(
    owner: KubeObject,
    active: readonly KubeObject[],
    terminating: readonly KubeObject[],
    failure: unknown,
    minReadySeconds: number,
  ): Promise<boolean> {
    const { client, clock } = this.#context;
    const old = (owner['status'] ?? { replicas: 0 }) as ReplicaSetStatus;
    const templateLabels = Object.entries(
      (owner['spec'].template?.metadata?.labels ?? {}) as Record<string, string>,
    );
    const fullyLabeled = active.filter((pod) =>
      templateLabels.every(([name, value]) => pod.metadata.labels?.[name] === value),
    ).length;
    const readyCount = active.filter(isPodReady).length;
    const available = active.filter((pod) => isPodAvailable(pod, minReadySeconds, clock.now())).length;
    let conditions = old.conditions;
    if (failure !== undefined) {
      const reason =
        ((owner['spec'].replicas as number | undefined) ?? 1) > active.length
          ? 'FailedCreate'
          : 'FailedDelete';
      conditions = setCondition(conditions, {
        type: 'ReplicaFailure',
        status: 'True',
        lastTransitionTime: secondTime(clock.now()),
        reason,
        message: errorMessage(failure),
      });
    } else if (this.#expectations.satisfied(objectKey(owner)) || conditions === undefined) {
      conditions = conditions?.filter((each) => each.type !== 'ReplicaFailure');
    }
    const status: ReplicaSetStatus = {
      replicas: active.length,
      ...(fullyLabeled === 0 ? {} : { fullyLabeledReplicas: fullyLabeled }),
      ...(readyCount === 0 ? {} : { readyReplicas: readyCount }),
      ...(available === 0 ? {} : { availableReplicas: available }),
      ...(this.#flavour.countsTerminating ? { terminatingReplicas: terminating.length } : {}),
      observedGeneration: owner.metadata.generation ?? 0,
      ...(conditions === undefined || conditions.length === 0 ? {} : { conditions }),
    };
    if (canonical(status) === canonical(old)) return true;
    const body = { ...owner, status };
    await client.update(this.#flavour.ref, body, { subresource: 'status' });
    return true;
  }
}

export const createReplicaSetController: ControllerFactory = (context) =>
  new ReplicaSetController(context, replicaSetFlavour).loop;
export const createReplicationController: ControllerFactory = (context) =>
  new ReplicaSetController(context, replicationControllerFlavour).loop;
