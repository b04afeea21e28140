import type { KubeObject } from '@pilothouse/apimachinery';

/** Keeps metadata.managedFields of one kind; the field manager of apimachinery behind a small port. */
export interface FieldTracker {
  /**
   * `object` with the managedFields of a write by `manager`: what changed against `live` (undefined: the object is new) becomes its own.
   * Never throws: bad managedFields are dropped. `object` may be changed and returned.
   */
  update(live: KubeObject | undefined, object: KubeObject, write: FieldWrite): KubeObject;
  /**
   * Server-side apply of `patch` to `live`. Throws StatusError 409 with a cause per field when another manager owns one and `force` is off.
   */
  apply(
    live: KubeObject | undefined,
    patch: KubeObject,
    write: FieldWrite & { readonly force: boolean },
  ): KubeObject;
}

export interface FieldWrite {
  readonly manager: string;
  readonly subresource: string;
  /** RFC 3339. */
  readonly now: string;
  /** Dotted paths that this way of writing never owns. */
  readonly resetFields: readonly string[];
}
