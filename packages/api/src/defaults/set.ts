import type { Json } from '../validation/values.ts';

/** Sets a field that is absent or null. */
export function setDefault(object: Json, name: string, value: unknown): void {
  if (object[name] === undefined || object[name] === null) object[name] = value;
}

/** Sets a field that is absent, null or the zero value, as for Go fields that are no pointers. */
export function setZeroDefault(object: Json, name: string, value: unknown): void {
  const now: unknown = object[name];
  if (now === undefined || now === null || now === '' || now === 0 || now === false) object[name] = value;
}

/** The member, made when it is missing. */
export function ensure(object: Json, name: string): Json {
  const now: unknown = object[name];
  if (now !== undefined && now !== null) return now as Json;
  const made: Json = {};
  object[name] = made;
  return made;
}
