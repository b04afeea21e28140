import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { JsonSchema } from '@pilothouse/api/apiextensions';
import { MemoryKeyValueStore } from '../storage/memory/memory-key-value-store.ts';
import { ObjectStorage } from '../storage/object-storage.ts';
import type { ObjectConversion } from './converted-storage.ts';
import { ConvertedStorage } from './converted-storage.ts';
import { customStorageCodec } from './storage-codec.ts';

const schema = (field: string): JsonSchema =>
  ({
    type: 'object',
    properties: { spec: { type: 'object', properties: { [field]: { type: 'string' } } } },
  }) as JsonSchema;
const others = new Map([
  ['example.com/v1', schema('host')],
  ['example.com/v2', schema('address')],
]);
const site = (version: string, spec: object): KubeObject => ({
  apiVersion: `example.com/${version}`,
  kind: 'Site',
  metadata: { name: 's', namespace: 'n', uid: 'u' },
  spec,
});

function storage(
  store: MemoryKeyValueStore,
  version: string,
  field: string,
  known?: typeof others,
): ObjectStorage {
  return new ObjectStorage({
    store,
    codec: customStorageCodec('example.com', version, schema(field), known),
    prefix: '/registry/example.com/sites/',
    typeMeta: { apiVersion: `example.com/${version}`, kind: 'Site' },
  });
}

const rewrite = (storage: ObjectStorage | ConvertedStorage) =>
  storage.guaranteedUpdate('n/s', { mustExist: true, preconditions: undefined }, ({ existing }) => ({
    object: structuredClone(existing?.object) as KubeObject,
  }));
const storedIn = async (store: MemoryKeyValueStore): Promise<KubeObject> =>
  JSON.parse(
    new TextDecoder().decode((await store.get('/registry/example.com/sites/n/s')).kv?.value),
  ) as KubeObject;

test('what stands in an old version is written anew even when nothing changes', async () => {
  const store = new MemoryKeyValueStore({ now: () => 0 });
  await storage(store, 'v1', 'host').create('n/s', site('v1', { host: 'h' }), 0);
  const now = storage(store, 'v2', 'host');
  assert.equal((await rewrite(now)).written, true);
  assert.equal((await storedIn(store)).apiVersion, 'example.com/v2');
  assert.equal((await rewrite(now)).written, false);
});

test('a webhook converts what was stored before the storage version changed', async () => {
  const store = new MemoryKeyValueStore({ now: () => 0 });
  await storage(store, 'v1', 'host', others).create('n/s', site('v1', { host: 'h' }), 0);
  const inner = storage(store, 'v2', 'address', others);
  assert.deepEqual((await inner.get('n/s', { resourceVersion: '' })).object['spec'], { host: 'h' });
  const convert = (objects: readonly KubeObject[]): Promise<readonly KubeObject[]> =>
    Promise.resolve(
      objects.map((object) =>
        object.apiVersion === 'example.com/v2'
          ? object
          : { ...object, apiVersion: 'example.com/v2', spec: { address: object['spec'].host as string } },
      ),
    );
  const conversion: ObjectConversion = { toStored: convert, fromStored: convert };
  const view = new ConvertedStorage(inner, conversion, inner.codec, inner.typeMeta);
  assert.deepEqual((await view.get('n/s', { resourceVersion: '' })).object['spec'], { address: 'h' });
  assert.equal((await rewrite(view)).written, true);
  const { apiVersion, spec } = (await storedIn(store)) as KubeObject & { spec: object };
  assert.deepEqual({ apiVersion, spec }, { apiVersion: 'example.com/v2', spec: { address: 'h' } });
});
