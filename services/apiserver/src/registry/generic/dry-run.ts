import type { KubeObject } from '@pilothouse/apimachinery';
import type { Preconditions, Stored } from '../rest/rest-storage.ts';
import { isKeyNotFound, storageErrors } from '../../storage/errors.ts';
import type { Storage, StorageWriteResult, UpdateOutput, UpdateState } from '../../storage/interface.ts';
import { checkPreconditions } from '../../storage/preconditions.ts';
import type { ObjectCodec } from '../../storage/stored-object.ts';
import { encodeStored, StoredObject } from '../../storage/stored-object.ts';

export type WritableStorage = Pick<Storage, 'create' | 'get' | 'delete' | 'guaranteedUpdate'>;

/** Where the keys of a kind begin, without what is the store's. */
const withoutStorePrefix = (prefix: string): string => prefix.replace(/^\/registry(?=\/)/, '');

/** What an update is to create has no uid yet: a body with one means an object that is gone. Throws a conflict. */
export function checkNew(key: string, dryRun: boolean, preconditions: Preconditions | undefined): void {
  checkPreconditions(dryRun ? withoutStorePrefix(key) : key, preconditions, { metadata: {} } as KubeObject);
}

/** The writes of a storage with everything but the writing: the same checks against the same state, and the same answers. */
export function dryRunStorage(storage: WritableStorage, codec: ObjectCodec, prefix: string): WritableStorage {
  const find = async (key: string): Promise<Stored | undefined> => {
    try {
      return await storage.get(key, { resourceVersion: '' });
    } catch (error) {
      if (isKeyNotFound(error)) return undefined;
      throw error;
    }
  };
  // The checks of a dry run stand in front of the store, which alone knows where in it the keys begin.
  const shown = withoutStorePrefix(prefix);
  // What the store forgets of an object is forgotten here too, but for the link that the client sent.
  const asAnswered = (object: KubeObject): KubeObject => {
    const made = encodeStored(codec, object).object;
    const { selfLink } = object.metadata;
    if (selfLink === undefined || made.metadata.selfLink === selfLink) return made;
    return { ...made, metadata: { ...made.metadata, selfLink } };
  };
  return {
    get: (key, options) => storage.get(key, options),
    async create(key: string, object: KubeObject): Promise<Stored> {
      if ((await find(key)) !== undefined) throw storageErrors.keyExists(key);
      return new StoredObject(codec, key, 0, encodeStored(codec, object).object);
    },
    async delete(
      key: string,
      preconditions: Preconditions | undefined,
      validate: (existing: Stored) => Promise<void> | void,
    ): Promise<Stored> {
      const existing = await find(key);
      if (existing === undefined) throw storageErrors.keyNotFound(key);
      checkPreconditions(shown + key, preconditions, existing.object);
      await validate(existing);
      return existing;
    },
    async guaranteedUpdate(
      key: string,
      options: { readonly mustExist: boolean; readonly preconditions: Preconditions | undefined },
      tryUpdate: (state: UpdateState) => Promise<UpdateOutput> | UpdateOutput,
    ): Promise<StorageWriteResult> {
      const existing = await find(key);
      if (existing === undefined && options.mustExist) throw storageErrors.keyNotFound(key);
      if (existing !== undefined) checkPreconditions(shown + key, options.preconditions, existing.object);
      const { object } = await tryUpdate({ existing });
      return {
        stored: new StoredObject(codec, key, existing?.revision ?? 0, asAnswered(object)),
        written: false,
      };
    },
  };
}
