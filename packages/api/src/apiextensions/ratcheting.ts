import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { deepEqual, isJsonObject } from '@pilothouse/apimachinery';
import type { JsonSchema } from './schema.ts';
import { validateValue } from './validate-value.ts';

/**
 * Checks an update: what an unchanged part violated before is let pass (upstream's CRDValidationRatcheting), so that a schema may become
 * stricter while objects are there.
 */
export function validateWithRatcheting(
  object: KubeObject,
  old: KubeObject,
  schema: JsonSchema,
): FieldError[] {
  const errors = validateValue(object, schema);
  if (errors.length === 0) return errors;
  const before = new Set(validateValue(old, schema).map(keyOf));
  return errors.filter((error) => !before.has(keyOf(error)) || !isUnchanged(object, old, error.field));
}

const keyOf = (error: FieldError): string => `${error.type}|${error.field}|${error.message}`;

/** Whether the value at a path is the same in both. Steps over list positions count as changed unless the lists are the same. */
function isUnchanged(object: unknown, old: unknown, path: string): boolean {
  if (deepEqual(object, old)) return true;
  let left: unknown = object;
  let right: unknown = old;
  for (const step of path.split(/[.[\]]/).filter((each) => each !== '' && each !== '<nil>')) {
    if (Array.isArray(left) || Array.isArray(right)) return deepEqual(left, right);
    if (!isJsonObject(left) || !isJsonObject(right)) return false;
    left = left[step];
    right = right[step];
    if (deepEqual(left, right)) return true;
  }
  return false;
}
