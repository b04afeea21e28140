import { setOwn } from './json.ts';

/** What a client gave as empty, by the object it stood in. */
const given = new WeakMap<object, Map<string, unknown>>();

/**
 * Notes that a member came as an empty list or map. Objects in memory go without such members, which is what clients mean by leaving
 * them out; only messages that show the value tell the two apart. The note ends with the object: of copies only {@link cloneDecoded}'s have it.
 */
export function noteGivenEmpty(parent: object, member: string, value: unknown): void {
  let members = given.get(parent);
  if (members === undefined) given.set(parent, (members = new Map<string, unknown>()));
  members.set(member, value);
}

/** A copy that shares nothing with a decoded object, and has its notes too. */
export function cloneDecoded<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(cloneDecoded) as T;
  const copy: Record<string, unknown> = {};
  for (const key in value) setOwn(copy, key, cloneDecoded(value[key]));
  const notes = given.get(value);
  if (notes !== undefined) given.set(copy, notes);
  return copy as T;
}

/** The member's value, or the empty list or map that a client gave for it, or null. */
export function shownMember(parent: object | null | undefined, member: string): unknown {
  if (parent === null || parent === undefined) return null;
  return (parent as Record<string, unknown>)[member] ?? given.get(parent)?.get(member) ?? null;
}
