import type { KubeObject } from '@pilothouse/apimachinery';
import { scaledValue } from '../../common/int-or-percent.ts';
import { maxReplicasAnnotation } from './annotations.ts';

/** A replica set in numbers: what is wanted and what is there. */
export interface ReplicaSetSize {
  readonly replicas: number;
  readonly available: number;
}

/** Oldest first. */
export const byCreation = (a: KubeObject, b: KubeObject): number => {
  const left = a.metadata.creationTimestamp ?? '';
  const right = b.metadata.creationTimestamp ?? '';
  return left < right ? -1 : left > right ? 1 : (a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1;
};

export const replicasOf = (object: KubeObject | undefined): number =>
  (object?.['spec']?.replicas as number | undefined) ?? (object === undefined ? 0 : 1);
export const statusNumber = (object: KubeObject, field: string): number =>
  (object['status'] as Record<string, number> | undefined)?.[field] ?? 0;
export const sumReplicas = (sets: readonly KubeObject[]): number =>
  sets.reduce((total, each) => total + replicasOf(each), 0);
export const sumStatus = (sets: readonly KubeObject[], field: string): number =>
  sets.reduce((total, each) => total + statusNumber(each, field), 0);

export const isRollingUpdate = (deployment: KubeObject): boolean =>
  deployment['spec'].strategy?.type !== 'Recreate';

/** maxSurge and maxUnavailable as numbers; both zero is impossible, so one pod may be missing then. */
export function rollingLimits(deployment: KubeObject): { maxSurge: number; maxUnavailable: number } {
  if (!isRollingUpdate(deployment)) return { maxSurge: 0, maxUnavailable: 0 };
  const replicas = replicasOf(deployment);
  const update = deployment['spec'].strategy?.rollingUpdate ?? {};
  const maxSurge = scaledValue(update.maxSurge, replicas, 'up');
  let maxUnavailable = scaledValue(update.maxUnavailable, replicas, 'down');
  if (maxSurge === 0 && maxUnavailable === 0) maxUnavailable = 1;
  return { maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) };
}

/** How large the newest replica set may be now. */
export function newSetReplicas(
  deployment: KubeObject,
  all: readonly KubeObject[],
  newest: KubeObject | undefined,
): number {
  const replicas = replicasOf(deployment);
  if (!isRollingUpdate(deployment)) return replicas;
  const current = sumReplicas(all);
  const most = replicas + rollingLimits(deployment).maxSurge;
  const own = newest === undefined ? 0 : replicasOf(newest);
  return current >= most ? own : own + Math.min(most - current, replicas - own);
}

/** Share of a scaling by `toAdd` pods that goes to one replica set, in proportion to its size. */
export function proportion(set: KubeObject, deployment: KubeObject, toAdd: number, added: number): number {
  const own = replicasOf(set);
  if (own === 0 || toAdd === 0 || toAdd === added) return 0;
  const wanted = replicasOf(deployment);
  let fraction: number;
  if (wanted === 0) fraction = -own;
  else {
    const most = wanted + rollingLimits(deployment).maxSurge;
    const before =
      Number(set.metadata.annotations?.[maxReplicasAnnotation] ?? 0) ||
      statusNumber(deployment, 'replicas') ||
      most;
    fraction = Math.round((own * most) / before) - own;
  }
  const allowed = toAdd - added;
  return toAdd > 0 ? Math.min(fraction, allowed) : Math.max(fraction, allowed);
}
