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

/** Whether an expression reads `oldSelf`, text in quotes aside. */
export function mentionsOldSelf(expression: string): boolean {
  const code = expression.replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/g, '""');
  return /(?<![.\w])oldSelf\b/.test(code);
}
