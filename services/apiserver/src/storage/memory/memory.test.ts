import { storageConformance } from '../conformance.ts';
import { ObjectStorage } from '../object-storage.ts';
import { plainJsonCodec } from '../stored-object.ts';
import { MemoryKeyValueStore } from './memory-key-value-store.ts';

storageConformance('memory', () => {
  const store = new MemoryKeyValueStore();
  const storage = new ObjectStorage({
    store,
    codec: plainJsonCodec(),
    prefix: '/registry/configmaps/',
    typeMeta: { apiVersion: 'v1', kind: 'ConfigMap' },
  });
  return Promise.resolve({
    storage,
    compact: (revision) => store.compact(revision),
    close: () => store.close(),
  });
});
