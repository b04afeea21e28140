import { statusErrors } from '@pilothouse/apimachinery';
import type { RestStorage } from '../../registry/rest/rest-storage.ts';
import type { Call } from '../call.ts';

type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'delete' | 'deleteCollection' | 'connect';

/** The storage's method for a verb, bound. Throws 405 when it has none. */
export function requireMember<V extends Verb>(call: Call, verb: V): NonNullable<RestStorage[V]> {
  const { storage } = call;
  const member = storage[verb];
  if (!member) {
    const { group, resource } = storage.resource;
    throw statusErrors.methodNotSupported({ group, resource }, verb.toLowerCase());
  }
  return (member as (...parameters: unknown[]) => unknown).bind(storage) as NonNullable<RestStorage[V]>;
}
