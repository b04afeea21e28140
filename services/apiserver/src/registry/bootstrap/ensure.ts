import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason, parseApiVersion } from '@pilothouse/apimachinery';
import { deepClone } from '../../storage/deep.ts';
import type { EnsureClient } from './managed-client.ts';

const attemptsMax = 8;

/**
 * Creates the object, or brings the existing one to what `change` wants: it gets a copy and gives it back changed, or undefined
 * to leave it. Several servers do this at once, so lost races are tried again.
 */
export async function ensureObject(
  client: EnsureClient,
  resource: string,
  wanted: KubeObject,
  change: (existing: KubeObject) => KubeObject | undefined = () => undefined,
): Promise<KubeObject> {
  const { group, version } = parseApiVersion(wanted.apiVersion ?? '') ?? { group: '', version: '' };
  const { namespace = '', name = '' } = wanted.metadata;
  for (let attempt = 1; ; attempt++) {
    try {
      let existing: KubeObject;
      try {
        existing = await client.get(group, version, resource, namespace, name);
      } catch (error) {
        if (!hasReason(error, 'NotFound')) throw error;
        return await client.create(group, version, resource, wanted);
      }
      const next = change(deepClone(existing));
      return next === undefined ? existing : await client.update(group, version, resource, next);
    } catch (error) {
      const lostRace = hasReason(error, 'AlreadyExists') || hasReason(error, 'Conflict');
      if (!lostRace || attempt === attemptsMax) throw error;
    }
  }
}
