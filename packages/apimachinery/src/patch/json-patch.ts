import { deepClone, deepEqual, goJsonKind, isJsonObject, setOwn } from '../json.ts';
import type { JsonValue } from '../meta.ts';
import { statusErrors } from '../status-error.ts';
import { undecodablePatch, unprocessablePatch } from './patch-errors.ts';

export interface JsonPatchOperation {
  readonly op?: string;
  readonly path?: string;
  readonly from?: string;
  readonly value?: JsonValue;
}

/** More operations than this are refused with 413. */
export const jsonPatchOperationsMax = 10_000;

/** Checks the shape of a decoded application/json-patch+json body; null is an empty patch. @throws StatusError 400, 413 */
export function decodeJsonPatch(body: JsonValue): JsonPatchOperation[] {
  if (body === null) return [];
  if (!Array.isArray(body)) {
    throw undecodablePatch(
      `json: cannot unmarshal ${goJsonKind(body)} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  if (body.length > jsonPatchOperationsMax) {
    const text = `The allowed maximum operations in a JSON patch is ${jsonPatchOperationsMax}, got ${body.length}`;
    throw statusErrors.requestEntityTooLarge(text);
  }
  for (const operation of body) {
    if (operation === null) continue;
    if (!isJsonObject(operation)) {
      throw undecodablePatch(
        `json: cannot unmarshal ${goJsonKind(operation)} into Go value of type handlers.jsonPatchOp`,
      );
    }
    for (const member of ['op', 'path', 'from'] as const) {
      const value = operation[member];
      if (value === undefined || value === null || typeof value === 'string') continue;
      const kind = goJsonKind(value);
      throw undecodablePatch(
        `json: cannot unmarshal ${kind} into Go struct field jsonPatchOp.${member} of type string`,
      );
    }
  }
  return body.map((operation) => (operation ?? {}) as JsonPatchOperation);
}

/**
 * Applies RFC 6902 operations in order to a copy of the document. Array indexes may count from the end (`-1`), as upstream's library
 * allows.
 * @throws StatusError 422 when an operation does not apply
 */
export function applyJsonPatch(document: JsonValue, operations: readonly JsonPatchOperation[]): JsonValue {
  const holder = { root: deepClone(document) };
  for (const operation of operations) applyOperation(holder, operation);
  return holder.root;
}

interface Location {
  readonly container: JsonValue[] | { [key: string]: JsonValue };
  readonly key: string;
}

function decodePointer(path: string): string[] {
  return path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function locate(root: JsonValue, path: string): Location {
  const parts = decodePointer(path);
  if (parts.length === 0) throw unprocessablePatch();
  let current = root;
  for (const part of parts.slice(0, -1)) {
    const next = Array.isArray(current)
      ? current[existingIndex(current, part)]
      : isJsonObject(current)
        ? member(current, part)
        : undefined;
    if (next === undefined) throw unprocessablePatch();
    current = next;
  }
  if (!Array.isArray(current) && !isJsonObject(current)) throw unprocessablePatch();
  return { container: current, key: parts.at(-1) as string };
}

function member(object: { [key: string]: JsonValue }, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function parseIndex(text: string): number {
  if (!/^-?[0-9]+$/.test(text)) throw unprocessablePatch();
  return Number(text);
}

/** The position of an element that is there. */
function existingIndex(array: readonly JsonValue[], text: string): number {
  const index = parseIndex(text);
  const position = index < 0 ? index + array.length : index;
  if (position < 0 || position >= array.length) throw unprocessablePatch();
  return position;
}

function read(location: Location): JsonValue | undefined {
  const { container, key } = location;
  if (Array.isArray(container)) return container[existingIndex(container, key)];
  return member(container, key);
}

function add(location: Location, value: JsonValue): void {
  const { container, key } = location;
  if (!Array.isArray(container)) {
    setOwn(container, key, value);
    return;
  }
  if (key === '-') {
    container.push(value);
    return;
  }
  const index = parseIndex(key);
  const position = index < 0 ? index + container.length + 1 : index;
  if (position < 0 || position > container.length) throw unprocessablePatch();
  container.splice(position, 0, value);
}

function remove(location: Location): void {
  const { container, key } = location;
  if (Array.isArray(container)) container.splice(existingIndex(container, key), 1);
  else if (Object.hasOwn(container, key)) Reflect.deleteProperty(container, key);
  else throw unprocessablePatch();
}

function applyOperation(holder: { root: JsonValue }, operation: JsonPatchOperation): void {
  const { op, path, from } = operation;
  if (typeof path !== 'string') throw unprocessablePatch();
  const value = operation.value === undefined ? null : operation.value;
  switch (op) {
    case 'add':
      add(locate(holder.root, path), deepClone(value));
      return;
    case 'remove':
      remove(locate(holder.root, path));
      return;
    case 'replace': {
      if (path === '') {
        holder.root = deepClone(value);
        return;
      }
      const location = locate(holder.root, path);
      // A missing member of an object is added: upstream's library does so, against the RFC.
      if (Array.isArray(location.container))
        location.container[existingIndex(location.container, location.key)] = deepClone(value);
      else setOwn(location.container, location.key, deepClone(value));
      return;
    }
    case 'move': {
      const source = locate(holder.root, from ?? '');
      const moved = read(source);
      if (moved === undefined) throw unprocessablePatch();
      remove(source);
      add(locate(holder.root, path), moved);
      return;
    }
    case 'copy': {
      const copied = read(locate(holder.root, from ?? ''));
      if (copied === undefined) throw unprocessablePatch();
      add(locate(holder.root, path), deepClone(copied));
      return;
    }
    case 'test': {
      if (path === '') {
        if (!deepEqual(holder.root, value)) throw unprocessablePatch();
        return;
      }
      // A member that is not there equals null.
      const actual = read(locate(holder.root, path)) ?? null;
      if (!deepEqual(actual, value)) throw unprocessablePatch();
      return;
    }
    default:
      throw unprocessablePatch();
  }
}
