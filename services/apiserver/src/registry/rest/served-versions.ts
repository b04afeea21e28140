import type { GroupVersionKind, GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';

/** A resource in one of the versions (or groups) it is served in, with the kind of its bodies. */
export interface VersionedResource {
  readonly resource: GroupVersionResource;
  readonly kind: GroupVersionKind;
}

/** All versions in which the same objects are served. The storages of each share one. */
export interface ServedVersions {
  /** In the order in which they are looked through. */
  readonly members: readonly VersionedResource[];
  /** A new object in the version of a member. Rejects when it cannot be converted. */
  convert(object: KubeObject, target: GroupVersionKind): Promise<KubeObject>;
}
