import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { pointerMembers } from './pointer-members.ts';

/** A JSON object whose shape the validator checks as it goes. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any JSON
export type Json = Record<string, any>;

/** A list that may be absent or null. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any JSON
export function list(value: unknown): any[] {
  return Array.isArray(value) ? value : [];
}

/** The members of a map that may be absent, sorted by key as upstream's sorted iterations are. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any JSON
export function entries(value: unknown): [string, any][] {
  if (value === null || value === undefined || typeof value !== 'object') return [];
  return Object.entries(value).sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function isSet<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}

/** Absent, null, "", 0, false, [] and {} are the zero value of Go. */
export function isZero(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.values(value).every(isZero);
}

/** Deep equality where absent, null, empty list and empty map are the same, but no structure behind a pointer (Go's equality.Semantic). */
export function semanticEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  const emptyLeft = isEmpty(left);
  const emptyRight = isEmpty(right);
  if (emptyLeft && emptyRight) return true;
  // A structure all of whose members are empty is empty itself.
  if (emptyLeft || emptyRight) {
    const other = emptyLeft ? right : left;
    if (typeof other !== 'object' || Array.isArray(other)) return false;
    return Object.entries(other as Json).every(([key, value]) =>
      sameMember(key, value as unknown, undefined),
    );
  }
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  if (Array.isArray(left)) {
    const other = right as unknown[];
    return left.length === other.length && left.every((item, index) => semanticEqual(item, other[index]));
  }
  const one = left as Json;
  const two = right as Json;
  for (const key of new Set([...Object.keys(one), ...Object.keys(two)]))
    if (!sameMember(key, one[key], two[key])) return false;
  return true;
}

const sameMember = (key: string, one: unknown, two: unknown): boolean =>
  semanticEqual(one, two) && (isSet(one) === isSet(two) || !pointerMembers.has(key));

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

export function nonNegative(value: unknown, path: FieldPath): FieldError[] {
  return typeof value === 'number' && value < 0
    ? [fieldError.invalid(path, value, 'must be greater than or equal to 0')]
    : [];
}

export function immutable(value: unknown, old: unknown, path: FieldPath): FieldError[] {
  return semanticEqual(value, old) ? [] : [fieldError.invalid(path, value, 'field is immutable')];
}

export function problems(path: FieldPath, value: unknown, texts: readonly string[]): FieldError[] {
  return texts.map((each) => fieldError.invalid(path, value, each));
}

/** `Unsupported value` unless the value is one of `supported`. */
export function oneOf(path: FieldPath, value: unknown, supported: readonly string[]): FieldError[] {
  return supported.includes(value as string) ? [] : [fieldError.notSupported(path, value ?? '', supported)];
}

export function clone<T>(value: T): T {
  if (Array.isArray(value)) return value.map((each) => clone(each as unknown)) as T;
  if (value === null || typeof value !== 'object') return value;
  const copy: Json = {};
  for (const [key, each] of Object.entries(value)) copy[key] = clone(each as unknown);
  return copy as T;
}
