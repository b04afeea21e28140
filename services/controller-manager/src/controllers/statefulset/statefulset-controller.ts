import type { KubeObject, OwnerReference } from '@pilothouse/apimachinery';
import { hasReason, labelSelectorOf } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { ReconcileResult } from '@pilothouse/client';
import { Controller, objectKey } from '@pilothouse/client';
import { syncRevisions, truncateRevisions } from '../../common/controller-revisions.ts';
import { claim, controllerOf } from '../../common/ownership.ts';
import { isNamespaceTerminating } from '../../common/pod-control.ts';
import { isPodAvailable, isPodReady, podPhase, untilAvailableMs } from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import {
  claimName,
  claimTemplates,
  kind,
  ordinalOf,
  revisionLabel,
  startOrdinal,
  statefulClaims,
  statefulPod,
} from './stateful-pod.ts';

const isTerminating = (pod: KubeObject): boolean => pod.metadata.deletionTimestamp !== undefined;
const isCreated = (pod: KubeObject): boolean => podPhase(pod) !== '';
const isRunningAndReady = (pod: KubeObject): boolean => podPhase(pod) === 'Running' && isPodReady(pod);

class StatefulSetController {
  readonly #context: ControllerContext;
  readonly #sets;
  readonly #pods;
  readonly #claims;
  readonly #revisions;
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#sets = context.informers.informer(resources.statefulSets);
    this.#pods = context.informers.informer(resources.pods);
    this.#claims = context.informers.informer(resources.persistentVolumeClaims);
    this.#revisions = context.informers.informer(resources.controllerRevisions);
    this.loop = new Controller(loopOptions(context), (key) => this.#sync(key));
    const enqueue = (set: KubeObject): void => this.loop.queue.add(objectKey(set));
    this.#sets.addHandler({ onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
    const podChanged = (pod: KubeObject): void => {
      const owner = controllerOf(pod);
      if (owner?.kind === 'StatefulSet') this.loop.queue.add(`${pod.metadata.namespace}/${owner.name}`);
      else if (!owner)
        for (const set of this.#sets.lister.list(pod.metadata.namespace))
          if (labelSelectorOf(set['spec'].selector).matches(pod.metadata.labels ?? {})) enqueue(set);
    };
    this.#pods.addHandler({
      onAdd: podChanged,
      onUpdate: (pod, old) => {
        if (controllerOf(old)?.uid !== controllerOf(pod)?.uid) podChanged(old);
        podChanged(pod);
      },
      onDelete: podChanged,
    });
  }

  async #sync(key: string): Promise<ReconcileResult | void> {
    const { client, clock } = this.#context;
    const set = this.#sets.lister.getByKey(key);
    if (!set) return;
    const options = { client, ownerRef: resources.statefulSets, selector: set['spec'].selector };
    const pods = await claim(set, kind, this.#pods.lister.list(set.metadata.namespace), {
      ...options,
      childRef: resources.pods,
      extraFilter: (pod) => ordinalOf(set, pod) >= 0,
    });
    const known = await claim(set, kind, this.#revisions.lister.list(set.metadata.namespace), {
      ...options,
      childRef: resources.controllerRevisions,
    });
    const collisions = (set['status']?.collisionCount as number | undefined) ?? 0;
    const {
      current: updateRevision,
      all,
      collisionCount,
    } = await syncRevisions(client, set, kind, known, collisions);
    const currentName = set['status']?.currentRevision as string | undefined;
    const currentRevision = all.find((each) => each.metadata.name === currentName) ?? updateRevision;
    const outcome = await this.#converge(set, pods, currentRevision, updateRevision, collisionCount);
    const live = new Set([
      currentRevision.metadata.name ?? '',
      updateRevision.metadata.name ?? '',
      ...pods.map((pod) => pod.metadata.labels?.[revisionLabel] ?? ''),
    ]);
    await truncateRevisions(
      client,
      all,
      live,
      (set['spec'].revisionHistoryLimit as number | undefined) ?? 10,
    );
    if (outcome.error !== undefined && !isNamespaceTerminating(outcome.error)) throw outcome.error;
    const minReady = (set['spec'].minReadySeconds as number | undefined) ?? 0;
    const waits = pods
      .map((pod) => untilAvailableMs(pod, minReady, clock.now()))
      .filter((each) => each !== undefined);
    return waits.length > 0 ? { requeueAfterMs: Math.min(...waits) } : undefined;
  }

  async #converge(
    set: KubeObject,
    pods: readonly KubeObject[],
    current: KubeObject,
    update: KubeObject,
    collisionCount: number,
  ): Promise<{ error: unknown }> {
    const { clock } = this.#context;
    const replicas = (set['spec'].replicas as number | undefined) ?? 1;
    const start = startOrdinal(set);
    const end = start + replicas;
    const minReady = (set['spec'].minReadySeconds as number | undefined) ?? 0;
    const partition =
      set['spec'].updateStrategy?.type === 'OnDelete'
        ? 0
        : ((set['spec'].updateStrategy?.rollingUpdate?.partition as number | undefined) ?? 0);
    const currentName = current.metadata.name ?? '';
    const updateName = update.metadata.name ?? '';
    const revisionOf = (pod: KubeObject): string => pod.metadata.labels?.[revisionLabel] ?? '';
    const slots: (KubeObject | undefined)[] = Array.from({ length: replicas }, () => undefined);
    const condemned: KubeObject[] = [];
    for (const pod of pods) {
      const ordinal = ordinalOf(set, pod);
      if (ordinal >= start && ordinal < end) slots[ordinal - start] = pod;
      else condemned.push(pod);
    }
    condemned.sort((a, b) => ordinalOf(set, b) - ordinalOf(set, a));
    // Which revision a missing pod is made at: the update's from the partition on, the current one below it.
    const revisionFor = (ordinal: number): KubeObject => {
      const currentReplicas = (set['status']?.currentReplicas as number | undefined) ?? 0;
      if (set['spec'].updateStrategy?.type === 'OnDelete' || currentName === updateName)
        return currentName === updateName ? update : ordinal < start + currentReplicas ? current : update;
      const rolling = set['spec'].updateStrategy?.rollingUpdate;
      if (
        rolling === undefined || rolling === null
          ? ordinal < start + currentReplicas
          : ordinal < start + partition
      )
        return current;
      return update;
    };
    const made: (KubeObject | undefined)[] = [...slots];
    let error: unknown;
    if (set.metadata.deletionTimestamp === undefined) {
      try {
        await this.#manage(set, slots, made, condemned, revisionFor, minReady);
        if (set['spec'].updateStrategy?.type !== 'OnDelete')
          await this.#rollingUpdate(set, made, condemned, updateName, partition, minReady);
      } catch (thrown) {
        error = thrown;
      }
    }
    await this.#claimOwners(set, pods);
    const all = [...made.filter((pod) => pod !== undefined), ...condemned];
    const counts = { replicas: 0, ready: 0, available: 0, current: 0, updated: 0 };
    for (const pod of all) {
      if (isCreated(pod)) counts.replicas++;
      if (isRunningAndReady(pod)) {
        counts.ready++;
        if (isPodAvailable(pod, minReady, clock.now())) counts.available++;
      }
      if (isCreated(pod) && !isTerminating(pod)) {
        if (revisionOf(pod) === currentName) counts.current++;
        if (revisionOf(pod) === updateName) counts.updated++;
      }
    }
    const rolled =
      set['spec'].updateStrategy?.type !== 'OnDelete' &&
      counts.updated === counts.replicas &&
      counts.ready === counts.replicas &&
      counts.replicas === replicas;
    const finished = rolled && currentName !== updateName;
    const old = (set['status'] ?? {}) as Record<string, unknown>;
    const status: Record<string, unknown> = {
      observedGeneration: set.metadata.generation ?? 0,
      replicas: counts.replicas,
      ...(counts.ready === 0 ? {} : { readyReplicas: counts.ready }),
      ...((finished ? counts.updated : counts.current) === 0
        ? {}
        : { currentReplicas: finished ? counts.updated : counts.current }),
      ...(counts.updated === 0 ? {} : { updatedReplicas: counts.updated }),
      currentRevision: finished ? updateName : currentName,
      updateRevision: updateName,
      collisionCount,
      ...(old['conditions'] === undefined ? {} : { conditions: old['conditions'] }),
      availableReplicas: counts.available,
    };
    if (canonical(status) !== canonical(old))
      await this.#context.client.update(
        resources.statefulSets,
        { ...set, status },
        { subresource: 'status' },
      );
    return { error };
  }

  /** Creates, replaces and scales down, one at a time and in order unless pod management is parallel. */
  async #manage(
    set: KubeObject,
    slots: readonly (KubeObject | undefined)[],
    made: (KubeObject | undefined)[],
    condemned: readonly KubeObject[],
    revisionFor: (ordinal: number) => KubeObject,
    minReady: number,
  ): Promise<void> {
    const { clock } = this.#context;
    const monotonic = set['spec'].podManagementPolicy !== 'Parallel';
    const start = startOrdinal(set);
    for (const [index, slot] of slots.entries()) {
      const ordinal = start + index;
      let pod = slot;
      if (pod && (podPhase(pod) === 'Failed' || podPhase(pod) === 'Succeeded') && !isTerminating(pod)) {
        await this.#deletePod(set, pod);
        pod = undefined;
        made[index] = undefined;
        if (monotonic) {
          // The name is free once the object is gone; the watch will tell.
          return;
        }
        continue;
      }
      if (!pod) {
        made[index] = await this.#createPod(set, ordinal, revisionFor(ordinal));
        if (monotonic) return;
        continue;
      }
      if (isTerminating(pod)) {
        if (monotonic) return;
        continue;
      }
      if (monotonic && !(isRunningAndReady(pod) && isPodAvailable(pod, minReady, clock.now()))) return;
      await this.#createClaims(set, ordinal);
    }
    const firstUnhealthy = [...slots.filter((pod) => pod !== undefined), ...condemned]
      .filter((pod) => !isRunningAndReady(pod) || isTerminating(pod))
      .sort((a, b) => ordinalOf(set, a) - ordinalOf(set, b))[0];
    for (const pod of condemned) {
      if (isTerminating(pod)) {
        if (monotonic) return;
        continue;
      }
      // Scaling down waits while a lower pod is unhealthy: the set must not get smaller than it looks.
      if (monotonic && !isRunningAndReady(pod) && pod !== firstUnhealthy) return;
      if (
        monotonic &&
        firstUnhealthy &&
        firstUnhealthy !== pod &&
        ordinalOf(set, firstUnhealthy) < ordinalOf(set, pod)
      )
        return;
      await this.#deletePod(set, pod);
      if (monotonic) return;
    }
  }

  async #rollingUpdate(
    set: KubeObject,
    pods: readonly (KubeObject | undefined)[],
    condemned: readonly KubeObject[],
    updateName: string,
    partition: number,
    minReady: number,
  ): Promise<void> {
    const { clock } = this.#context;
    const start = startOrdinal(set);
    const present = pods.filter((pod) => pod !== undefined);
    if (present.length < pods.length || condemned.length > 0) {
      if (set['spec'].podManagementPolicy !== 'Parallel') return;
    }
    const isDown = (pod: KubeObject): boolean =>
      isTerminating(pod) || !isRunningAndReady(pod) || !isPodAvailable(pod, minReady, clock.now());
    // From the top, one pod at a time: rollingUpdate.maxUnavailable is behind a gate (MaxUnavailableStatefulSet) that is off.
    for (let index = pods.length - 1; index >= Math.max(0, partition - start); index--) {
      const pod = pods[index];
      if (!pod) return;
      const isOld = (pod.metadata.labels?.[revisionLabel] ?? '') !== updateName;
      if (isOld && !isTerminating(pod)) {
        await this.#deletePod(set, pod);
        return;
      }
      if (isDown(pod)) return;
    }
  }

  async #createPod(set: KubeObject, ordinal: number, revision: KubeObject): Promise<KubeObject | undefined> {
    const { client, recorder } = this.#context;
    const template = { ...(revision['data'].spec.template as Record<string, unknown>) };
    delete template['$patch'];
    const pod = statefulPod(set, template, revision.metadata.name ?? '', ordinal);
    try {
      await this.#createClaims(set, ordinal);
      const created = await client.create(resources.pods, pod);
      recorder.event(
        set,
        'Normal',
        'SuccessfulCreate',
        `Create Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`,
      );
      return created;
    } catch (error) {
      if (hasReason(error, 'AlreadyExists')) return undefined;
      if (!isNamespaceTerminating(error))
        recorder.event(
          set,
          'Warning',
          'FailedCreate',
          `Create Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} failed error: ${errorMessage(error)}`,
        );
      throw error;
    }
  }

  async #deletePod(set: KubeObject, pod: KubeObject): Promise<void> {
    const { client, recorder } = this.#context;
    try {
      await client.delete(resources.pods, pod.metadata.name ?? '', {
        namespace: pod.metadata.namespace ?? '',
        ...(pod.metadata.uid === undefined ? {} : { preconditions: { uid: pod.metadata.uid } }),
      });
      recorder.event(
        set,
        'Normal',
        'SuccessfulDelete',
        `Delete Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`,
      );
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
  }

  async #createClaims(set: KubeObject, ordinal: number): Promise<void> {
    const { client, recorder } = this.#context;
    for (const wanted of statefulClaims(set, ordinal)) {
      if (this.#claims.lister.get(wanted.metadata.name ?? '', set.metadata.namespace)) continue;
      try {
        await client.create(resources.persistentVolumeClaims, wanted);
        recorder.event(
          set,
          'Normal',
          'SuccessfulCreate',
          `Create Claim ${wanted.metadata.name} Pod ${set.metadata.name}-${ordinal} in StatefulSet ${set.metadata.name} success`,
        );
      } catch (error) {
        if (!hasReason(error, 'AlreadyExists')) throw error;
      }
    }
  }

  /** persistentVolumeClaimRetentionPolicy: a claim that is to be deleted with the set or its pod gets that as owner. */
  async #claimOwners(set: KubeObject, pods: readonly KubeObject[]): Promise<void> {
    if (claimTemplates(set).length === 0) return;
    const policy = set['spec'].persistentVolumeClaimRetentionPolicy ?? {};
    const replicas = (set['spec'].replicas as number | undefined) ?? 1;
    const start = startOrdinal(set);
    for (const pod of pods) {
      const ordinal = ordinalOf(set, pod);
      const condemned = ordinal < start || ordinal >= start + replicas;
      for (const template of claimTemplates(set)) {
        const found = this.#claims.lister.get(claimName(set, template, ordinal), set.metadata.namespace);
        if (!found) continue;
        const setOwner: OwnerReference = {
          apiVersion: 'apps/v1',
          kind: 'StatefulSet',
          name: set.metadata.name ?? '',
          uid: set.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        };
        const podOwner: OwnerReference = {
          apiVersion: 'v1',
          kind: 'Pod',
          name: pod.metadata.name ?? '',
          uid: pod.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        };
        const others = (found.metadata.ownerReferences ?? []).filter(
          (each) => each.uid !== setOwner.uid && each.kind !== 'Pod',
        );
        const owners = [...others];
        if (policy.whenScaled === 'Delete' && condemned) owners.push(podOwner);
        else if (policy.whenDeleted === 'Delete') owners.push(setOwner);
        if (canonical(owners) === canonical(found.metadata.ownerReferences ?? [])) continue;
        const { ownerReferences: _old, ...metadata } = found.metadata;
        await this.#context.client.update(resources.persistentVolumeClaims, {
          ...found,
          metadata: { ...metadata, ...(owners.length === 0 ? {} : { ownerReferences: owners }) },
        });
      }
    }
  }
}

export const createStatefulSetController: ControllerFactory = (context) =>
  new StatefulSetController(context).loop;
