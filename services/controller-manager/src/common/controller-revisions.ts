import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { RestClient } from '@pilothouse/client';
import { newControllerRef } from './ownership.ts';
import type { OwnerKind } from './ownership.ts';
import { resources } from './resources.ts';
import { canonical, templateHash } from './template-hash.ts';

/** The label with a revision's hash. The kinds differ in it; clients look for the one of their kind. */
export const hashLabels = {
  DaemonSet: 'controller-revision-hash',
  StatefulSet: 'controller.kubernetes.io/hash',
} as const;

const byRevision = (a: KubeObject, b: KubeObject): number =>
  (a['revision'] as number) - (b['revision'] as number);

/**
 * The recorded template of an owner: a strategic patch that puts it back. Its keys are sorted, for clients find the revision of a template
 * by comparing bytes.
 */
export const revisionData = (template: unknown): Record<string, unknown> =>
  JSON.parse(canonical({ spec: { template: { ...(template as object), $patch: 'replace' } } })) as Record<
    string,
    unknown
  >;

export interface Revisions {
  readonly current: KubeObject;
  /** All revisions of the owner, oldest first, the current one last. */
  readonly all: readonly KubeObject[];
  readonly collisionCount: number;
}

/**
 * Finds or makes the revision of the owner's template. A template that was there before gets its old revision back with a new,
 * highest number, as a rollback does.
 */
export async function syncRevisions(
  client: RestClient,
  owner: KubeObject,
  kind: OwnerKind,
  existing: readonly KubeObject[],
  collisions: number,
): Promise<Revisions> {
  const sorted = [...existing].sort(byRevision);
  const data = revisionData(owner['spec'].template);
  const text = canonical(data);
  const hashLabel = hashLabels[kind.kind as keyof typeof hashLabels];
  const next = sorted.length === 0 ? 1 : ((sorted.at(-1) as KubeObject)['revision'] as number) + 1;
  const equal = sorted.filter((each) => canonical(each['data']) === text);
  const found = equal.at(-1);
  if (found) {
    const labels = found.metadata.labels ?? {};
    const labelled = labels[hashLabel] !== undefined;
    if (labelled && found === sorted.at(-1))
      return { current: found, all: sorted, collisionCount: collisions };
    // A revision somebody restored without its label gets one: without it no pod counts as one of it.
    const updated = await client.update(resources.controllerRevisions, {
      ...found,
      metadata: {
        ...found.metadata,
        labels: labelled ? labels : { ...labels, [hashLabel]: found.metadata.name ?? '' },
      },
      revision: found === sorted.at(-1) ? found['revision'] : next,
    });
    return {
      current: updated,
      all: [...sorted.filter((each) => each !== found), updated],
      collisionCount: collisions,
    };
  }
  for (let collisionCount = collisions; ; collisionCount++) {
    const hash = templateHash(data, collisionCount === 0 ? undefined : collisionCount);
    const wanted: KubeObject = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: `${owner.metadata.name}-${hash}`,
        namespace: owner.metadata.namespace ?? '',
        labels: { ...owner['spec'].template.metadata?.labels, [hashLabel]: hash },
        ...(owner.metadata.annotations === undefined
          ? {}
          : { annotations: { ...owner.metadata.annotations } }),
        ownerReferences: [newControllerRef(owner, kind)],
      },
      data,
      revision: next,
    };
    try {
      const current = await client.create(resources.controllerRevisions, wanted);
      return { current, all: [...sorted, current], collisionCount };
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists')) throw error;
      const there = await client.get(resources.controllerRevisions, wanted.metadata.name ?? '', {
        namespace: owner.metadata.namespace ?? '',
      });
      if (canonical(there['data']) === text)
        return { current: there, all: [...sorted, there], collisionCount };
    }
  }
}

/** Deletes the oldest revisions that no pod uses, beyond the limit. */
export async function truncateRevisions(
  client: RestClient,
  revisions: readonly KubeObject[],
  live: ReadonlySet<string>,
  limit: number,
): Promise<void> {
  const history = revisions.filter((each) => !live.has(each.metadata.name ?? ''));
  for (const each of history.slice(0, Math.max(0, history.length - limit))) {
    await client
      .delete(resources.controllerRevisions, each.metadata.name ?? '', {
        namespace: each.metadata.namespace ?? '',
      })
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound')) throw error;
      });
  }
}
