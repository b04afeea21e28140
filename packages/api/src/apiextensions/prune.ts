import { isJsonObject } from '@pilothouse/apimachinery';
import type { JsonSchema } from './schema.ts';
import { additionalOf, itemsOf, propertyOf } from './schema.ts';

const typeMembers = new Set(['apiVersion', 'kind', 'metadata']);

/**
 * Drops in place what the structural schema does not know, and gives the paths of it, sorted. metadata is left alone: it is an
 * ObjectMeta, not part of the schema.
 */
export function prune(value: unknown, schema: JsonSchema | undefined, isRoot: boolean): string[] {
  const dropped: string[] = [];
  pruneAt(value, schema, isRoot, '', dropped);
  return dropped.sort();
}

function pruneAt(
  value: unknown,
  schema: JsonSchema | undefined,
  isRoot: boolean,
  path: string,
  dropped: string[],
): void {
  const keeps = schema?.['x-kubernetes-preserve-unknown-fields'] === true;
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (keeps && items === undefined) return;
    value.forEach((item, index) => pruneAt(item, items, false, `${path}[${index}]`, dropped));
    return;
  }
  if (!isJsonObject(value)) return;
  const isResource = isRoot || schema?.['x-kubernetes-embedded-resource'] === true;
  const additional = schema?.additionalProperties;
  for (const name of Object.keys(value)) {
    if (isResource && typeMembers.has(name)) continue;
    const at = path === '' ? name : `${path}.${name}`;
    const property = propertyOf(schema, name);
    if (property !== undefined) pruneAt(value[name], property, false, at, dropped);
    else if (additional !== undefined && additional !== false)
      pruneAt(value[name], additionalOf(schema), false, at, dropped);
    else if (!keeps) {
      delete value[name];
      dropped.push(at);
    }
  }
}
