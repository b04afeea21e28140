import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { KeyValueStore } from '../../storage/key-value-store.ts';
import { StoredObject } from '../../storage/stored-object.ts';
import { builtinCodec } from '../codecs.ts';
import { selectionPredicate } from '../generic/selection.ts';
import type { ResourceDescriptor, RestStorage, Stored } from '../rest/rest-storage.ts';

/** The deprecated view on the components behind the server: the store, which is asked, and the two that must be local to be asked. */
export function componentStatusStore(resource: ResourceDescriptor, store: KeyValueStore): RestStorage {
  const codec = builtinCodec('', 'v1', 'ComponentStatus', { version: 'v1' });
  const names = ['controller-manager', 'etcd-0', 'scheduler'];
  const probe = async (name: string): Promise<KubeObject> => {
    const object: KubeObject = { apiVersion: 'v1', kind: 'ComponentStatus', metadata: { name } };
    try {
      if (name === 'etcd-0') await store.currentRevision();
      object['conditions'] = [{ type: 'Healthy', status: 'True', message: 'ok' }];
    } catch (error) {
      object['conditions'] = [
        { type: 'Healthy', status: 'False', message: 'Unhealthy', error: errorMessage(error) },
      ];
    }
    return object;
  };
  const stored = (object: KubeObject): Stored =>
    new StoredObject(codec, object.metadata.name ?? '', 0, object);
  const strategy = { group: '', version: 'v1', kind: 'ComponentStatus', resource: 'componentstatuses' };
  return {
    resource,
    async get(_context, name) {
      if (!names.includes(name))
        throw statusErrors.notFound({ group: '', resource: 'componentstatuses' }, name);
      return stored(await probe(name));
    },
    async list(_context, options) {
      const predicate = selectionPredicate(
        options.labelSelector ?? '',
        options.fieldSelector ?? '',
        strategy,
        undefined,
      );
      const objects = (await Promise.all(names.map(probe))).filter((object) => predicate.matches(object));
      return { items: objects.map(stored), resourceVersion: '', continue: '' };
    },
  };
}
