import type { FieldError } from '@pilothouse/apimachinery';
import { deepEqual, fieldError, FieldPath, isJsonObject } from '@pilothouse/apimachinery';
import type { JsonSchema } from './schema.ts';
import { itemsOf, memberOf } from './schema.ts';

/** Elements of lists of type `set` and `map` must be told apart by value or by their keys. */
export function validateListUniqueness(
  value: unknown,
  schema: JsonSchema | undefined,
  path = new FieldPath(),
): FieldError[] {
  if (schema === undefined) return [];
  const errors: FieldError[] = [];
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    const listType = schema['x-kubernetes-list-type'];
    if (listType === 'set' || listType === 'map') {
      const keys = schema['x-kubernetes-list-map-keys'] ?? [];
      const identities: unknown[] = value.map((item: unknown) =>
        listType === 'set' ? item : keysOf(item, keys, items),
      );
      identities.forEach((identity, index) => {
        // Told once for each value that is there again, not for each repetition.
        const earlier = identities.slice(0, index).filter((other) => deepEqual(other, identity)).length;
        if (earlier === 1) errors.push(fieldError.duplicate(path.index(index), sortedCopy(identity)));
      });
    }
    value.forEach((item: unknown, index) =>
      errors.push(...validateListUniqueness(item, items, path.index(index))),
    );
    return errors;
  }
  if (!isJsonObject(value)) return [];
  for (const name of Object.keys(value).sort()) {
    const isDeclared = schema.properties !== undefined && Object.hasOwn(schema.properties, name);
    const at = isDeclared ? path.child(name) : path.key(name);
    errors.push(...validateListUniqueness(value[name], memberOf(schema, name), at));
  }
  return errors;
}

function keysOf(
  item: unknown,
  keys: readonly string[],
  items: JsonSchema | undefined,
): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  if (!isJsonObject(item)) return out;
  for (const key of keys) {
    const value = item[key] ?? items?.properties?.[key]?.default;
    if (value !== undefined) out[key] = value;
  }
  return out;
}

function sortedCopy(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, value[key]]),
  );
}
