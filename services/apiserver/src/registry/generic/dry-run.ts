import type { KubeObject } from '@pilothouse/apimachinery';
import type { Preconditions, Stored } from '../rest/rest-storage.ts';
import { isKeyNotFound, storageErrors } from '../../storage/errors.ts';
import type { Storage, StorageWriteResult, UpdateOutput, UpdateState } from '../../storage/interface.ts';
import { checkPreconditions } from '../../storage/preconditions.ts';
import type { ObjectCodec } from '../../storage/stored-object.ts';
import { encodeStored, StoredObject } from '../../storage/stored-object.ts';

export type WritableStorage = Pick<Storage, 'create' | 'get' | 'delete' | 'guaranteedUpdate'>;

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
      checkPreconditions(prefix + key, preconditions, existing.object);
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
      if (existing !== undefined) checkPreconditions(prefix + key, options.preconditions, existing.object);
      const { object } = await tryUpdate({ existing });
      return {
        stored: new StoredObject(codec, key, existing?.revision ?? 0, encodeStored(codec, object).object),
        written: false,
      };
    },
  };
}
