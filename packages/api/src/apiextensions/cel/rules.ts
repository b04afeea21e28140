import type { JsonSchema } from '../schema.ts';
import { additionalOf, itemsOf } from '../schema.ts';

const known = new WeakMap<JsonSchema, boolean>();

/** Whether a schema has rules in or below it. */
export function hasRules(schema: JsonSchema): boolean {
  let found = known.get(schema);
  if (found === undefined) {
    const children = [...Object.values(schema.properties ?? {}), additionalOf(schema), itemsOf(schema)];
    found =
      (schema['x-kubernetes-validations'] ?? []).length > 0 ||
      children.some((child) => child !== undefined && hasRules(child));
    known.set(schema, found);
  }
  return found;
}
