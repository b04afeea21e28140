import type { KubeObject } from '@pilothouse/apimachinery';
import type { Condition } from '../../common/conditions.ts';
import { findCondition } from '../../common/conditions.ts';

/** A group and the plural name of a resource, as `spec.resource` has it. */
export interface GroupResource {
  readonly group?: string;
  readonly resource: string;
}

export const resourceOf = (migration: KubeObject): GroupResource =>
  migration['spec'].resource as GroupResource;

export const sameResource = (one: KubeObject, two: KubeObject): boolean =>
  resourceOf(one).resource === resourceOf(two).resource &&
  (resourceOf(one).group ?? '') === (resourceOf(two).group ?? '');

const conditionsOf = (migration: KubeObject): readonly Condition[] =>
  (migration['status']?.conditions ?? []) as Condition[];

const holds = (migration: KubeObject, type: string): boolean =>
  findCondition(conditionsOf(migration), type)?.status === 'True';

export const isRunning = (migration: KubeObject): boolean => holds(migration, 'Running');
export const hasSucceeded = (migration: KubeObject): boolean => holds(migration, 'Succeeded');
export const hasEnded = (migration: KubeObject): boolean =>
  hasSucceeded(migration) || holds(migration, 'Failed');

/**
 * The one of these migrations of the same resource that may start: the oldest that neither runs nor has ended, when none runs.
 * One that has ended stands in nobody's way, though it still says that it runs.
 */
export function nextToStart(migrations: readonly KubeObject[]): KubeObject | undefined {
  if (migrations.some((each) => isRunning(each) && !hasEnded(each))) return undefined;
  return migrations
    .filter((each) => !hasEnded(each))
    .sort((one, two) => orderOf(one) - orderOf(two) || byName(one, two))[0];
}

const orderOf = (migration: KubeObject): number => Date.parse(migration.metadata.creationTimestamp ?? '');

function byName(one: KubeObject, two: KubeObject): number {
  const [a, b] = [one.metadata.name ?? '', two.metadata.name ?? ''];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The status with one more condition, which is True. One that is there already stays as it is. */
export function withCondition(
  migration: KubeObject,
  type: 'Running' | 'Succeeded' | 'Failed',
  reason: string,
  message: string,
  now: string,
): KubeObject {
  const conditions = conditionsOf(migration);
  if (findCondition(conditions, type) !== undefined) return migration;
  const added: Condition = { type, status: 'True', lastTransitionTime: now, reason, message };
  return { ...migration, status: { ...migration['status'], conditions: [...conditions, added] } };
}

/** The status of a migration that runs no longer. */
export function stopped(migration: KubeObject, now: string): KubeObject {
  const conditions = conditionsOf(migration).map((each) =>
    each.type === 'Running' && each.status === 'True'
      ? {
          ...each,
          status: 'False',
          lastTransitionTime: now,
          reason: 'MigrationCompleted',
          message: 'Migration completed',
          ...(migration.metadata.generation === undefined
            ? {}
            : { observedGeneration: migration.metadata.generation }),
        }
      : each,
  );
  return { ...migration, status: { ...migration['status'], conditions } };
}

/** Whether an object was last written after the checkpoint, and so in today's version. Revisions are whole numbers. */
export const isNewer = (resourceVersion: string, checkpoint: string): boolean =>
  BigInt(resourceVersion) > BigInt(checkpoint);

export const isRevision = (text: string): boolean => /^[1-9][0-9]*$/.test(text);
