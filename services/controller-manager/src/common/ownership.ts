import type { KubeObject, OwnerReference } from '@pilothouse/apimachinery';
import { hasReason, labelSelectorOf } from '@pilothouse/apimachinery';
import type { ResourceRef, RestClient } from '@pilothouse/client';

export interface OwnerKind {
  readonly apiVersion: string;
  readonly kind: string;
}

/** The one owner that manages the object. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((each) => each.controller === true);
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

export function newControllerRef(owner: KubeObject, kind: OwnerKind): OwnerReference {
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    name: owner.metadata.name ?? '',
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

/**
 * Objects of `candidates` that belong to `owner`: its own, plus matching orphans, which it adopts; its own that no longer match
 * are released. Before the first adoption the owner is read anew from the API: a cache that does not know yet that the owner was
 * deleted must not take new children.
 */
export async function claim(
  owner: KubeObject,
  kind: OwnerKind,
  candidates: readonly KubeObject[],
  options: {
    client: RestClient;
    ownerRef: ResourceRef;
    childRef: ResourceRef;
    selector: unknown;
    extraFilter?(child: KubeObject): boolean;
  },
): Promise<KubeObject[]> {
  const selector = labelSelectorOf(options.selector as Parameters<typeof labelSelectorOf>[0]);
  const claimed: KubeObject[] = [];
  let mayAdopt: Promise<boolean> | undefined;
  const namespace = owner.metadata.namespace ?? '';
  for (const child of candidates) {
    const controller = controllerOf(child);
    const matches = selector.matches(child.metadata.labels ?? {}) && (options.extraFilter?.(child) ?? true);
    if (controller) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (matches) {
        claimed.push(child);
        continue;
      }
      if (owner.metadata.deletionTimestamp !== undefined) continue;
      await options.client
        .patch(
          options.childRef,
          child.metadata.name ?? '',
          {
            metadata: {
              uid: child.metadata.uid,
              ownerReferences: [{ $patch: 'delete', uid: owner.metadata.uid }],
            },
          },
          { type: 'strategic', namespace },
        )
        .catch((error: unknown) => {
          if (!hasReason(error, 'NotFound') && !hasReason(error, 'Invalid')) throw error;
        });
      continue;
    }
    if (
      !matches ||
      owner.metadata.deletionTimestamp !== undefined ||
      child.metadata.deletionTimestamp !== undefined
    )
      continue;
    mayAdopt ??= options.client.get(options.ownerRef, owner.metadata.name ?? '', { namespace }).then(
      (fresh) => fresh.metadata.uid === owner.metadata.uid && fresh.metadata.deletionTimestamp === undefined,
      () => false,
    );
    if (!(await mayAdopt)) continue;
    try {
      claimed.push(
        await options.client.patch(
          options.childRef,
          child.metadata.name ?? '',
          { metadata: { uid: child.metadata.uid, ownerReferences: [newControllerRef(owner, kind)] } },
          { type: 'strategic', namespace },
        ),
      );
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Invalid') && !hasReason(error, 'Conflict'))
        throw error;
    }
  }
  return claimed;
}
