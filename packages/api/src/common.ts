import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { FieldPath } from '@pilothouse/apimachinery';
import type { UpdateHooks } from './strategy.ts';
import { clone, semanticEqual } from './validation/values.ts';

export const specPath = new FieldPath('spec');
export const statusPath = new FieldPath('status');
export const metadataPath = new FieldPath('metadata');
export const rootPath = new FieldPath();

/** A new object starts at generation 1. */
export function startGeneration(object: KubeObject): void {
  object.metadata.generation = 1;
}

/** Takes over the stored generation and counts one up when one of these fields changed. */
export function bumpGeneration(object: KubeObject, old: KubeObject, ...fields: string[]): void {
  keepGeneration(object, old);
  const names = fields.length === 0 ? ['spec'] : fields;
  if (names.some((name) => !semanticEqual(object[name], old[name])))
    object.metadata.generation = (old.metadata.generation ?? 0) + 1;
}

export function keepGeneration(object: KubeObject, old: KubeObject): void {
  if (old.metadata.generation === undefined) delete object.metadata.generation;
  else object.metadata.generation = old.metadata.generation;
}

/** Puts back what the path may not write. */
export function restore(object: KubeObject, old: KubeObject, ...fields: string[]): void {
  for (const field of fields) {
    if (old[field] === undefined) delete object[field];
    else object[field] = clone(old[field] as unknown);
  }
}

/** The usual /status: everything but status stays; labels and annotations may be written, as upstream lets them. */
export function statusHooks(
  validateUpdate?: (object: KubeObject, old: KubeObject) => FieldError[],
  /** `keepMeta`: labels and their like are those of before; `all`: all of the metadata is. */
  options: { readonly keepMeta?: boolean | 'all'; readonly kept?: readonly string[] } = {},
): UpdateHooks {
  const kept = options.kept ?? ['spec'];
  return {
    resetFields: options.keepMeta === undefined ? kept : [...kept, 'metadata'],
    prepareForUpdate(object, old) {
      restore(object, old, ...kept);
      if (options.keepMeta === true) {
        keepLabels(object, old);
        keepDeletion(object, old);
      }
      if (options.keepMeta === 'all') keepMetadata(object, old);
      keepGeneration(object, old);
    },
    ...(validateUpdate === undefined ? {} : { validateUpdate }),
  };
}

/** When an object is to be deleted is not for a status to say. */
function keepDeletion(object: KubeObject, old: KubeObject): void {
  const before = old.metadata.deletionTimestamp;
  if (before === undefined) delete object.metadata.deletionTimestamp;
  else object.metadata.deletionTimestamp = before;
}

function keepMetadata(object: KubeObject, old: KubeObject): void {
  // In place: whoever asked holds the metadata already.
  const metadata = object.metadata as Partial<KubeObject['metadata']>;
  for (const member of Object.keys(metadata) as (keyof typeof metadata)[])
    if (member !== 'managedFields') delete metadata[member];
  const { managedFields: _, ...before } = clone(old.metadata);
  Object.assign(metadata, before);
}

export function keepLabels(object: KubeObject, old: KubeObject): void {
  for (const field of ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const) {
    const before = old.metadata[field];
    if (before === undefined) delete object.metadata[field];
    else (object.metadata as unknown as Record<string, unknown>)[field] = clone(before);
  }
}
