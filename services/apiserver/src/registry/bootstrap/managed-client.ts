import type { Clock } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { deepClone } from '../../storage/deep.ts';
import { internalContext } from '../internal-client.ts';
import type { InternalClient } from '../rest/rest-storage.ts';
import { noAdmission } from '../rest/rest-storage.ts';

/** What start-up work needs to keep objects in shape. */
export type EnsureClient = Pick<InternalClient, 'get' | 'create' | 'update'>;

/** A client whose writes are those of `fieldManager` in managedFields. */
export function managedClient(client: InternalClient, clock: Clock, fieldManager: string): EnsureClient {
  const storageOf = (group: string, version: string, resource: string, subresource = '') => {
    const storage = client.storage(group, version, resource, subresource);
    if (storage === undefined)
      throw new Error(`Resource "${resource}" of "${group}/${version}" is not served`);
    return storage;
  };
  const contextOf = (object: KubeObject) => ({
    ...internalContext(clock, object.metadata.namespace ?? ''),
    fieldManager,
  });
  return {
    get: (group, version, resource, namespace, name) => client.get(group, version, resource, namespace, name),
    async create(group, version, resource, object) {
      const storage = storageOf(group, version, resource);
      const own = deepClone(object);
      storage.defaults?.(own);
      const created = await storage.create?.(contextOf(object), '', own, { fieldManager }, noAdmission);
      return created !== undefined && 'object' in created ? created.object : own;
    },
    async update(group, version, resource, object, subresource) {
      const storage = storageOf(group, version, resource, subresource);
      const updatedObject = (): KubeObject => {
        const own = deepClone(object);
        storage.defaults?.(own);
        return own;
      };
      const name = object.metadata.name ?? '';
      const done = await storage.update?.(
        contextOf(object),
        name,
        { updatedObject },
        { fieldManager },
        noAdmission,
      );
      return done?.object.object ?? object;
    },
  };
}
