import { BuiltObject, CelObject, toJson } from '@pilothouse/api/cel';
import type {
  JsonObject,
  JsonPatchOperation,
  JsonValue,
  KubeObject,
  MapType,
} from '@pilothouse/apimachinery';
import { applyJsonPatch, decodeJsonPatch, mergeTyped, typeErrors } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';

/** The object after the operations that a JSONPatch mutation gave. A failed `test` leaves it as it was. Throws an Error. */
export function jsonPatched(object: KubeObject, result: unknown): KubeObject {
  if (!Array.isArray(result))
    throw new Error('type mismatch: JSONPatchType.expression should evaluate to array');
  const operations = result.map((each: unknown): JsonValue => {
    if (!(each instanceof CelObject))
      throw new Error('type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch');
    const value = each.get('value');
    if (value instanceof BuiltObject) checkTypeNames(value, value.type.name);
    const from = each.get('from');
    return {
      op: (each.get('op') ?? '') as string,
      path: (each.get('path') ?? '') as string,
      ...(typeof from === 'string' && from !== '' ? { from } : {}),
      ...(value === undefined ? {} : { value: toJson(value) as JsonValue }),
    };
  });
  const decoded: JsonPatchOperation[] = decodeJsonPatch(operations);
  try {
    return applyJsonPatch(copyOf(object), decoded) as unknown as KubeObject;
  } catch (error) {
    if (/^testing value/.test(errorMessage(error)) && /failed$/.test(errorMessage(error))) return object;
    throw new Error(`JSON Patch: ${errorMessage(error)}`, { cause: error });
  }
}

/** The object after the configuration that an ApplyConfiguration mutation gave is merged into it. Throws an Error. */
export function configurationApplied(object: KubeObject, result: unknown, type: MapType): KubeObject {
  if (!(result instanceof BuiltObject))
    throw new Error('type mismatch: ApplyConfiguration.expression should evaluate to Object');
  checkTypeNames(result, 'Object');
  const patch = toJson(result) as JsonObject;
  for (const key of ['apiVersion', 'kind'] as const) {
    if (patch[key] !== undefined && patch[key] !== object[key])
      throw new Error(
        `patch (${String(patch['apiVersion'] ?? object.apiVersion)}, Kind=${String(patch['kind'] ?? object.kind)}) and original object (${object.apiVersion}, Kind=${object.kind}) are not of the same gvk`,
      );
  }
  const configuration: JsonObject = {
    ...patch,
    apiVersion: object.apiVersion as JsonValue,
    kind: object.kind as JsonValue,
  };
  const problems = typeErrors(configuration, type);
  if (problems.length > 0)
    throw new Error(`failed to convert patch object to typed object: ${problems.join(', ')}`);
  const atomics = atomicPlaces(patch, type, '');
  if (atomics.length > 0)
    throw new Error(
      `invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomics.join(', ')}`,
    );
  return mergeTyped(copyOf(object), configuration, type) as unknown as KubeObject;
}

const copyOf = (object: KubeObject): JsonValue => structuredClone(object) as unknown as JsonValue;

/** `Object.spec{…}` belongs under `spec` of an `Object`. */
function checkTypeNames(object: BuiltObject, expected: string): void {
  const { name } = object.type;
  if (name !== expected)
    throw new Error(
      `type mismatch: unexpected type name ${JSON.stringify(name)}, expected ${JSON.stringify(expected)}, which matches field name path from root Object type`,
    );
  for (const [field, value] of object.members) {
    const below = `${expected}.${field}`;
    for (const each of Array.isArray(value) ? (value as unknown[]) : [value])
      if (each instanceof BuiltObject) checkTypeNames(each, below);
  }
}

/** Where a configuration sets a list, map or struct that is merged as a whole. */
function atomicPlaces(value: JsonValue, type: MapType['element'], path: string): string[] {
  if (type === undefined || typeof value !== 'object' || value === null) return [];
  if (type.kind === 'list') {
    if (type.relationship === 'atomic') return [path];
    return (value as JsonValue[]).flatMap((each) => atomicPlaces(each, type.element, `${path}[]`));
  }
  if (type.kind === 'map') {
    if (type.relationship === 'atomic') return [path];
    return Object.entries(value as JsonObject).flatMap(([name, each]) =>
      atomicPlaces(each, type.fields().get(name) ?? type.element, `${path}.${name}`),
    );
  }
  return type.kind === 'atomic' ? [path] : [];
}
