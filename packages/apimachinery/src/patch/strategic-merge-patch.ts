import type { JsonObject } from '../json.ts';
import { deepClone, deepEqual, goFormat, goJsonKind, isJsonObject, setOwn } from '../json.ts';
import type { JsonValue } from '../meta.ts';
import { fieldsByName } from '../schema-fields.ts';
import type { MessageSchema, SchemaRegistry, TypeRef } from '../schema.ts';
import { statusErrors } from '../status-error.ts';
import { unclassifiedPatchError } from './patch-errors.ts';

const directiveKey = '$patch';
const retainKeysKey = '$retainKeys';
const deleteListPrefix = '$deleteFromPrimitiveList/';
const elementOrderPrefix = '$setElementOrder/';

/** Checks a decoded application/strategic-merge-patch+json body; null changes nothing. @throws StatusError 400 */
export function decodeStrategicMergePatch(body: JsonValue): JsonObject {
  if (body === null) return {};
  if (!isJsonObject(body)) {
    throw statusErrors.badRequest(
      `json: cannot unmarshal ${goJsonKind(body)} into Go value of type map[string]interface {}`,
    );
  }
  return body;
}

/**
 * Applies a strategic merge patch: maps are merged, lists follow the patch strategy and merge key of their field, and the directives
 * ($patch, $retainKeys, $setElementOrder/…, $deleteFromPrimitiveList/…) are obeyed. Neither argument is changed.
 * @throws StatusError 400 for malformed directives, 500 without a reason where upstream does not classify the failure
 */
export function applyStrategicMergePatch(
  original: JsonObject,
  patch: JsonObject,
  schema: { readonly registry: SchemaRegistry; readonly message: MessageSchema },
): JsonObject {
  const root: Cursor = { registry: schema.registry, message: schema.message, element: undefined };
  return mergeMap(original, deepClone(patch), root);
}

/** Where in the type we are: a message with fields, a map with one value type, or somewhere untyped. */
interface Cursor {
  readonly registry: SchemaRegistry;
  readonly message: MessageSchema | undefined;
  readonly element: TypeRef | undefined;
}

interface Lookup {
  readonly cursor: Cursor;
  readonly strategy: 'merge' | 'replace' | '';
  readonly mergeKey: string;
}

function cursorOf(registry: SchemaRegistry, type: TypeRef | undefined): Cursor {
  if (type?.kind === 'message')
    return { registry, message: registry.message(type.message), element: undefined };
  if (type?.kind === 'map') return { registry, message: undefined, element: type.value };
  return { registry, message: undefined, element: undefined };
}

function lookup(cursor: Cursor, key: string): Lookup {
  if (cursor.message === undefined)
    return { cursor: cursorOf(cursor.registry, cursor.element), strategy: '', mergeKey: '' };
  const field = fieldsByName(cursor.registry, cursor.message).get(key);
  const type = field?.type.kind === 'list' ? field.type.element : field?.type;
  const strategies = (field?.patchStrategy ?? '').split(',');
  const strategy = strategies.includes('merge') ? 'merge' : strategies.includes('replace') ? 'replace' : '';
  return { cursor: cursorOf(cursor.registry, type), strategy, mergeKey: field?.patchMergeKey ?? '' };
}

function mergeMap(original: JsonObject | undefined, patch: JsonObject, cursor: Cursor): JsonObject {
  const directive = patch[directiveKey];
  if (directive !== undefined) {
    if (directive === 'delete') return {};
    if (directive !== 'replace') throw badPatchType(directive, patch);
    Reflect.deleteProperty(patch, directiveKey);
    return patch;
  }
  const out: JsonObject = { ...original };
  applyRetainKeys(out, patch);
  applyElementOrders(out, patch, cursor);
  for (const [rawKey, value] of Object.entries(patch)) {
    const deletesFromList = rawKey.startsWith(deleteListPrefix);
    const key = deletesFromList ? rawKey.slice(deleteListPrefix.length) : rawKey;
    if (value === null) {
      Reflect.deleteProperty(out, key);
      continue;
    }
    const old = Object.hasOwn(out, key) ? out[key] : undefined;
    if (old === undefined || goJsonKind(old) !== goJsonKind(value)) {
      if (old === undefined && isDirected(value)) continue;
      if (!deletesFromList) setOwn(out, key, withoutDirectives(withoutNulls(value)));
      continue;
    }
    if (isJsonObject(old) && isJsonObject(value)) {
      const { cursor: inner, strategy } = lookup(cursor, key);
      setOwn(out, key, strategy === 'replace' ? value : mergeMap(old, value, inner));
    } else if (Array.isArray(old) && Array.isArray(value)) {
      setOwn(out, key, mergeListField(old, value, lookup(cursor, key), deletesFromList));
    } else setOwn(out, key, value);
  }
  return out;
}

function mergeListField(
  original: JsonValue[],
  patch: JsonValue[],
  field: Lookup,
  deletes: boolean,
): JsonValue[] {
  return field.strategy === 'merge' ? mergeList(original, patch, field, deletes) : patch;
}

function applyRetainKeys(original: JsonObject, patch: JsonObject): void {
  const retained = patch[retainKeysKey];
  if (retained === undefined) return;
  Reflect.deleteProperty(patch, retainKeysKey);
  const invalid = 'invalid patch format of retainKeys';
  if (!Array.isArray(retained)) throw statusErrors.badRequest(invalid);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || key.startsWith(deleteListPrefix) || key.startsWith(elementOrderPrefix)) continue;
    if (!retained.includes(key)) throw statusErrors.badRequest(invalid);
  }
  for (const key of Object.keys(original)) if (!retained.includes(key)) Reflect.deleteProperty(original, key);
}

/** Handles $setElementOrder/<list> together with the list of the same name, and takes both out of the patch. */
function applyElementOrders(original: JsonObject, patch: JsonObject, cursor: Cursor): void {
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(elementOrderPrefix)) continue;
    Reflect.deleteProperty(patch, key);
    const listKey = key.slice(elementOrderPrefix.length);
    if (!Array.isArray(order)) throw statusErrors.badRequest('invalid patch format of setElementOrder list');
    const field = lookup(cursor, listKey);
    const oldList = listOrUndefined(original[listKey]);
    const patchList = listOrUndefined(patch[listKey]);
    checkOrder(patchList ?? [], order, field.mergeKey);
    let merged: JsonValue[];
    if (oldList !== undefined && patchList !== undefined)
      merged = mergeListField(oldList, patchList, field, false);
    else if (oldList !== undefined) merged = oldList;
    else if (patchList !== undefined) merged = withoutDirectives(patchList) as JsonValue[];
    else continue;
    setOwn(original, listKey, orderList(merged, order, oldList ?? [], field.mergeKey));
    Reflect.deleteProperty(patch, listKey);
  }
}

function listOrUndefined(value: JsonValue | undefined): JsonValue[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) {
    throw unclassifiedPatchError(
      `expected a []interface {}, but received a ${isJsonObject(value) ? 'map[string]interface {}' : typeof value}`,
    );
  }
  return value;
}

function checkOrder(patchList: readonly JsonValue[], order: readonly JsonValue[], mergeKey: string): void {
  if (patchList.length === 0 || order.length === 0) return;
  const kept =
    mergeKey === ''
      ? patchList
      : patchList.filter((element) => !isJsonObject(element) || element[directiveKey] !== 'delete');
  let next = 0;
  for (const wanted of order) {
    if (next >= kept.length) break;
    if (sameElement(kept[next] as JsonValue, wanted, mergeKey)) next++;
  }
  if (next < kept.length) {
    const text = `The order in patch list:\n${goFormat(patchList)}\n doesn't match $setElementOrder list:\n${goFormat(order)}\n`;
    throw unclassifiedPatchError(text);
  }
}

function sameElement(left: JsonValue, right: JsonValue, mergeKey: string): boolean {
  if (mergeKey === '' || !isJsonObject(left) || !isJsonObject(right)) return deepEqual(left, right);
  return deepEqual(left[mergeKey], right[mergeKey]);
}

function mergeList(original: JsonValue[], patch: JsonValue[], field: Lookup, deletes: boolean): JsonValue[] {
  if (original.length === 0 && patch.length === 0) return original;
  const kind = elementKind(original, patch);
  if (kind !== 'object') {
    if (deletes) return original.filter((element) => !patch.some((each) => deepEqual(each, element)));
    const both: JsonValue[] = [];
    for (const element of [...original, ...patch])
      if (!both.some((each) => deepEqual(each, element))) both.push(element);
    return orderList(both, patch, original, '');
  }
  const { mergeKey } = field;
  if (mergeKey === '') {
    throw unclassifiedPatchError(
      `cannot merge lists without merge key for ${field.cursor.message?.name.split('.').at(-1) ?? ''}`,
    );
  }
  let base = original;
  const additions: JsonObject[] = [];
  let replaces = false;
  for (const element of patch as JsonObject[]) {
    const directive = element[directiveKey];
    if (directive === undefined) additions.push(element);
    else if (directive === 'delete') {
      const wanted = mergeValue(element, mergeKey);
      base = base.filter((each, index) => !deepEqual(memberOfElement(each, mergeKey, index), wanted));
    } else if (directive === 'replace') replaces = true;
    else if (directive === 'merge')
      throw unclassifiedPatchError('merging lists cannot yet be specified in the patch');
    else throw badPatchType(directive, element);
  }
  if (replaces) return additions;
  const merged = [...base];
  for (const element of additions) {
    const wanted = mergeValue(element, mergeKey);
    const index = merged.findIndex((each, position) =>
      deepEqual(memberOfElement(each, mergeKey, position), wanted),
    );
    if (index < 0) merged.push(withoutDirectives(withoutNulls(element)));
    else merged[index] = mergeMap(merged[index] as JsonObject, element, field.cursor);
  }
  return orderList(merged, additions, base, mergeKey);
}

function mergeValue(element: JsonObject, mergeKey: string): JsonValue {
  const value = element[mergeKey];
  if (value === undefined)
    throw unclassifiedPatchError(
      `map: ${goFormat(element)} does not contain declared merge key: ${mergeKey}`,
    );
  return value;
}

function memberOfElement(element: JsonValue, mergeKey: string, index: number): JsonValue | undefined {
  if (!isJsonObject(element)) throw unclassifiedPatchError(`value for key ${index} is not a map`);
  return element[mergeKey];
}

/**
 * Brings a merged list in order: elements that the patch names follow `order`; those only the server has keep their place relative to
 * what stood before them in `serverOrder`.
 */
function orderList(
  merged: readonly JsonValue[],
  order: readonly JsonValue[],
  serverOrder: readonly JsonValue[],
  mergeKey: string,
): JsonValue[] {
  const indexIn = (list: readonly JsonValue[], element: JsonValue): number => {
    if (mergeKey === '') return list.findIndex((each) => deepEqual(each, element));
    const wanted = (element as JsonObject)[mergeKey];
    return list.findIndex((each, index) => deepEqual(memberOfElement(each, mergeKey, index), wanted));
  };
  const fromPatch: JsonValue[] = [];
  const fromServer: JsonValue[] = [];
  for (const element of merged) (indexIn(order, element) >= 0 ? fromPatch : fromServer).push(element);
  const byOrder = (list: readonly JsonValue[]) => (left: JsonValue, right: JsonValue) => {
    const a = indexIn(list, left);
    const b = indexIn(list, right);
    return a < 0 || b < 0 ? 0 : a - b;
  };
  fromPatch.sort(byOrder(order));
  fromServer.sort(byOrder(serverOrder));
  const out: JsonValue[] = [];
  let left = 0;
  let right = 0;
  while (left < fromServer.length || right < fromPatch.length) {
    const server = fromServer[left];
    const patched = fromPatch[right];
    let takeServer = patched === undefined;
    if (server !== undefined && patched !== undefined) {
      const a = indexIn(serverOrder, server);
      const b = indexIn(serverOrder, patched);
      takeServer = a >= 0 && b >= 0 && a < b;
    }
    out.push((takeServer ? fromServer[left++] : fromPatch[right++]) as JsonValue);
  }
  return out;
}

function elementKind(original: readonly JsonValue[], patch: readonly JsonValue[]): string {
  let kind: string | undefined;
  for (const element of [...original, ...patch]) {
    const each = goJsonKind(element);
    if (each === 'array') throw unclassifiedPatchError('lists of lists are not supported');
    if (kind !== undefined && kind !== each) {
      throw unclassifiedPatchError(`list element types are not identical: ${goFormat([original, patch])}`);
    }
    kind = each;
  }
  return kind ?? 'null';
}

function badPatchType(directive: JsonValue, patch: JsonObject): Error {
  return unclassifiedPatchError(`unknown patch type: ${goFormat(directive)} in map: ${goFormat(patch)}`);
}

/** Nulls in a part that is new have nothing to delete. Lists are left as they are. */
function withoutNulls(value: JsonValue): JsonValue {
  if (!isJsonObject(value)) return value;
  const out: JsonObject = {};
  for (const [key, each] of Object.entries(value)) if (each !== null) setOwn(out, key, withoutNulls(each));
  return out;
}

/** Directives in a part that is new have nothing to act on: they are dropped, and elements marked for deletion with them. */
/** A map that says what to do with a map that is not there: upstream makes nothing of it. */
function isDirected(value: JsonValue): boolean {
  return isJsonObject(value) && value[directiveKey] !== undefined;
}

/** What has no counterpart in the original is taken as it is, but for objects that $patch stands in. */
function withoutDirectives(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.filter((each) => !isDirected(each)).map(withoutDirectives);
  if (!isJsonObject(value)) return value;
  const out: JsonObject = {};
  for (const [key, each] of Object.entries(value))
    if (!isDirected(each)) setOwn(out, key, withoutDirectives(each));
  return out;
}
