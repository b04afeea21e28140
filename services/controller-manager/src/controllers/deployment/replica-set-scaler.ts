import type { KubeObject } from '@pilothouse/apimachinery';
import type { EventRecorder, RestClient } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import { desiredReplicasAnnotation, maxReplicasAnnotation } from './annotations.ts';
import {
  byCreation,
  isRollingUpdate,
  proportion,
  replicasOf,
  rollingLimits,
  statusNumber,
  sumReplicas,
} from './rolling-update.ts';

/** Changes the sizes of a Deployment's replica sets. */
export class ReplicaSetScaler {
  readonly #client: RestClient;
  readonly #recorder: EventRecorder;

  constructor(client: RestClient, recorder: EventRecorder) {
    this.#client = client;
    this.#recorder = recorder;
  }

  /** Gives a set its size, and the annotations by which a later scaling is shared. */
  async scaleSet(deployment: KubeObject, set: KubeObject, replicas: number): Promise<KubeObject> {
    const client = this.#client;
    const recorder = this.#recorder;
    const before = replicasOf(set);
    const desired = String(replicasOf(deployment));
    const most = String(replicasOf(deployment) + rollingLimits(deployment).maxSurge);
    const annotations = set.metadata.annotations ?? {};
    const sameSize = before === replicas;
    if (
      sameSize &&
      annotations[desiredReplicasAnnotation] === desired &&
      annotations[maxReplicasAnnotation] === most
    )
      return set;
    const updated = await client.update(resources.replicaSets, {
      ...set,
      metadata: {
        ...set.metadata,
        annotations: { ...annotations, [desiredReplicasAnnotation]: desired, [maxReplicasAnnotation]: most },
      },
      spec: { ...set['spec'], replicas },
    });
    if (!sameSize) {
      recorder.event(
        deployment,
        'Normal',
        'ScalingReplicaSet',
        `Scaled ${before < replicas ? 'up' : 'down'} replica set ${set.metadata.name} from ${before} to ${replicas}`,
      );
    }
    return updated;
  }

  /** A change of spec.replicas: one active set takes it whole, a rollout under way shares it in proportion. */
  async scale(
    deployment: KubeObject,
    newest: KubeObject | undefined,
    old: readonly KubeObject[],
  ): Promise<void> {
    const wanted = replicasOf(deployment);
    const active = [...old, ...(newest ? [newest] : [])].filter((set) => replicasOf(set) > 0);
    const only =
      active.length === 1
        ? active[0]
        : active.length === 0
          ? (newest ?? [...old].sort(byCreation).at(-1))
          : undefined;
    if (only) {
      if (replicasOf(only) !== wanted) await this.scaleSet(deployment, only, wanted);
      return;
    }
    const saturated =
      newest !== undefined &&
      replicasOf(newest) === wanted &&
      newest.metadata.annotations?.[desiredReplicasAnnotation] === String(wanted) &&
      statusNumber(newest, 'availableReplicas') === wanted;
    if (saturated) {
      for (const set of old) if (replicasOf(set) > 0) await this.scaleSet(deployment, set, 0);
      return;
    }
    if (!isRollingUpdate(deployment)) return;
    const allowed = wanted > 0 ? wanted + rollingLimits(deployment).maxSurge : 0;
    const toAdd = allowed - sumReplicas(active);
    const sorted = [...active].sort(
      (a, b) => replicasOf(b) - replicasOf(a) || (toAdd > 0 ? byCreation(b, a) : byCreation(a, b)),
    );
    const sizes: number[] = [];
    let added = 0;
    for (const set of sorted) {
      const share = toAdd === 0 ? 0 : proportion(set, deployment, toAdd, added);
      sizes.push(replicasOf(set) + share);
      added += share;
    }
    if (sizes.length > 0) sizes[0] = Math.max(0, (sizes[0] as number) + toAdd - added);
    for (const [index, set] of sorted.entries()) await this.scaleSet(deployment, set, sizes[index] as number);
  }

  /** Takes from the old sets what the update may do without; tells whether it took anything. */
  async scaleDownOld(
    deployment: KubeObject,
    old: readonly KubeObject[],
    newest: KubeObject,
  ): Promise<boolean> {
    const active = old.filter((set) => replicasOf(set) > 0);
    if (active.length === 0) return false;
    const minAvailable = replicasOf(deployment) - rollingLimits(deployment).maxUnavailable;
    const newUnavailable = Math.max(0, replicasOf(newest) - statusNumber(newest, 'availableReplicas'));
    let left = sumReplicas([...old, newest]) - minAvailable - newUnavailable;
    if (left <= 0) return false;
    const sorted = [...active].sort(byCreation);
    const current = new Map(sorted.map((set) => [set.metadata.uid, set]));
    let scaled = false;
    // Unhealthy old pods go first: they hold the rollout back and nobody misses them.
    for (const set of sorted) {
      const unhealthy = replicasOf(set) - statusNumber(set, 'availableReplicas');
      const count = Math.min(left, unhealthy);
      if (count <= 0 || statusNumber(set, 'observedGeneration') < (set.metadata.generation ?? 0)) continue;
      current.set(set.metadata.uid, await this.scaleSet(deployment, set, replicasOf(set) - count));
      left -= count;
      scaled = true;
    }
    // A set that was scaled down just now still reports the pods that it is about to delete; they are no reserve.
    const available = [...old, newest].reduce(
      (total, set) => total + Math.min(statusNumber(set, 'availableReplicas'), replicasOf(set)),
      0,
    );
    let spare = available - minAvailable;
    for (const set of current.values()) {
      const count = Math.min(spare, replicasOf(set));
      if (count <= 0) continue;
      await this.scaleSet(deployment, set, replicasOf(set) - count);
      spare -= count;
      scaled = true;
    }
    return scaled;
  }
}
