import type { KubeObject } from '@pilothouse/apimachinery';
import { isKeyNotFound } from '../../storage/errors.ts';
import { matchEverything } from '../../storage/interface.ts';
import type { ObjectStorage } from '../../storage/object-storage.ts';

/** A server that was not heard of for so long is taken out of the endpoints of the `kubernetes` Service. */
const leaseSeconds = 15;

/** Which servers are alive: one key per address below `/registry/masterleases/`, kept by a lease of the store. As upstream's. */
export class ServerLeases {
  readonly #storage: ObjectStorage;

  constructor(storage: ObjectStorage) {
    this.#storage = storage;
  }

  /** Addresses of all servers that are alive. */
  async list(): Promise<string[]> {
    const list = await this.#storage.list({
      resourceVersion: '',
      resourceVersionMatch: '',
      predicate: matchEverything,
      limit: 0,
      continue: '',
      prefix: '',
    });
    return list.items.flatMap(({ object }) => {
      const address = object['subsets']?.[0]?.addresses?.[0]?.ip as string | undefined;
      return address === undefined || address === '' ? [] : [address];
    });
  }

  async renew(address: string): Promise<void> {
    await this.#storage.guaranteedUpdate(
      address,
      { mustExist: false, preconditions: undefined },
      ({ existing }) => {
        const object: KubeObject = {
          apiVersion: 'v1',
          kind: 'Endpoints',
          // A generation that moves makes each renewal a write, which is what renews the lease.
          metadata: { generation: (existing?.object.metadata.generation ?? 0) + 1 },
          subsets: [{ addresses: [{ ip: address }] }],
        };
        return { object, ttlSeconds: leaseSeconds };
      },
    );
  }

  async remove(address: string): Promise<void> {
    try {
      await this.#storage.delete(address, undefined, () => undefined);
    } catch (error) {
      if (!isKeyNotFound(error)) throw error;
    }
  }
}
