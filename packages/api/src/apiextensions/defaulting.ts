import { deepClone, isJsonObject, setOwn } from '@pilothouse/apimachinery';
import type { JsonSchema } from './schema.ts';
import { additionalOf, itemsOf, memberOf } from './schema.ts';

const isNullable = (schema: JsonSchema): boolean => schema.nullable === true;

/**
 * Fills the defaults of a structural schema in place. A null of a member that may not be null counts as absent: it is replaced by
 * the default, or dropped when there is none.
 */
export function applyDefaults(value: unknown, schema: JsonSchema | undefined): void {
  if (schema === undefined) return;
  fill(value, schema);
  dropNulls(value, schema);
}

function fill(value: unknown, schema: JsonSchema): void {
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (items === undefined) return;
    value.forEach((item: unknown, index) => {
      if (item === null && !isNullable(items) && hasDefault(items)) value[index] = deepClone(items.default);
      fill(value[index], items);
    });
    return;
  }
  if (!isJsonObject(value)) return;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (!hasDefault(property)) continue;
    const own = Object.hasOwn(value, name) ? value[name] : undefined;
    if (own === undefined || (own === null && !isNullable(property)))
      setOwn(value, name, deepClone(property.default));
  }
  const additional = additionalOf(schema);
  for (const name of Object.keys(value)) {
    const member = memberOf(schema, name);
    if (member === undefined) continue;
    if (member === additional && value[name] === null && !isNullable(member) && hasDefault(member))
      setOwn(value, name, deepClone(member.default));
    fill(value[name], member);
  }
}

function hasDefault(schema: JsonSchema): boolean {
  return schema.default !== undefined && schema.default !== null;
}

function dropNulls(value: unknown, schema: JsonSchema): void {
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (items !== undefined) for (const item of value) dropNulls(item, items);
    return;
  }
  if (!isJsonObject(value)) return;
  for (const name of Object.keys(value)) {
    const member = memberOf(schema, name);
    if (member === undefined) continue;
    if (value[name] === null && !isNullable(member)) delete value[name];
    else dropNulls(value[name], member);
  }
}
