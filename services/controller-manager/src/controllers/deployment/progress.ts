import type { KubeObject } from '@pilothouse/apimachinery';
import type { Condition } from '../../common/conditions.ts';
import { findCondition } from '../../common/conditions.ts';
import { replicasOf, rollingLimits, sumReplicas, sumStatus } from './rolling-update.ts';

type Status = Readonly<Record<string, unknown>>;

const count = (status: Status, field: string): number => (status[field] as number | undefined) ?? 0;

/** Numbers and the Available condition of a Deployment's status; the other conditions are carried over. */
export function deploymentStatus(
  deployment: KubeObject,
  all: readonly KubeObject[],
  newest: KubeObject | undefined,
  now: string,
): Record<string, unknown> {
  const old = (deployment['status'] ?? {}) as Record<string, unknown>;
  const available = sumStatus(all, 'availableReplicas');
  const unavailable = Math.max(0, sumReplicas(all) - available);
  const minAvailable = replicasOf(deployment) - rollingLimits(deployment).maxUnavailable;
  const isAvailable = available >= minAvailable;
  const status = isAvailable ? 'True' : 'False';
  const conditions = (old['conditions'] ?? []) as Condition[];
  const current = findCondition(conditions, 'Available');
  const reason = isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable';
  const message = isAvailable
    ? 'Deployment has minimum availability.'
    : 'Deployment does not have minimum availability.';
  const next =
    current?.status === status && current.reason === reason
      ? conditions
      : [
          ...conditions.filter((each) => each.type !== 'Available'),
          {
            type: 'Available',
            status,
            lastUpdateTime: now,
            lastTransitionTime: current?.status === status ? (current.lastTransitionTime ?? now) : now,
            reason,
            message,
          },
        ];
  const numbers: Record<string, number> = {
    replicas: sumStatus(all, 'replicas'),
    updatedReplicas: newest ? sumStatus([newest], 'replicas') : 0,
    readyReplicas: sumStatus(all, 'readyReplicas'),
    availableReplicas: available,
    unavailableReplicas: unavailable,
  };
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== 0)),
    terminatingReplicas: sumStatus(all, 'terminatingReplicas'),
    ...(old['collisionCount'] === undefined ? {} : { collisionCount: old['collisionCount'] }),
    conditions: next,
  };
}

/** Every wanted pod is of the newest template and available, and no other is left. */
export function isComplete(deployment: KubeObject, status: Status): boolean {
  const wanted = replicasOf(deployment);
  return (
    count(status, 'updatedReplicas') === wanted &&
    count(status, 'replicas') === wanted &&
    count(status, 'availableReplicas') === wanted &&
    count(status, 'observedGeneration') >= (deployment.metadata.generation ?? 0)
  );
}

/** Something moved in the right direction between two statuses. */
export function isProgressing(old: Status, next: Status): boolean {
  const outdated = (status: Status): number => count(status, 'replicas') - count(status, 'updatedReplicas');
  return (
    count(next, 'updatedReplicas') > count(old, 'updatedReplicas') ||
    outdated(next) < outdated(old) ||
    count(next, 'readyReplicas') > count(old, 'readyReplicas') ||
    count(next, 'availableReplicas') > count(old, 'availableReplicas')
  );
}

/** Milliseconds until the progress deadline passes; 0 or less: passed; Infinity: no deadline runs. */
export function timeout(deployment: KubeObject, status: Status, nowMs: number): number {
  const condition = findCondition(status['conditions'] as Condition[] | undefined, 'Progressing');
  const seconds = deployment['spec'].progressDeadlineSeconds as number | undefined;
  if (!condition || seconds === undefined || seconds === 2_147_483_647 || deployment['spec'].paused === true)
    return Infinity;
  if (condition.reason === 'NewReplicaSetAvailable') return Infinity;
  if (condition.reason === 'ProgressDeadlineExceeded') return 0;
  return Date.parse(condition.lastUpdateTime ?? '') + seconds * 1000 - nowMs;
}
