import type { Clock } from '@pilothouse/base';
import type { EtcdClient } from '@pilothouse/etcd-client';

/** Keys on one lease, at most; as upstream's --lease-reuse-duration-seconds and its limit. */
const keysPerLease = 1000;
/** A lease takes new keys for so long; it lives that much longer than the keys asked for. */
const reuseSeconds = 60;

interface SharedLease {
  readonly id: bigint;
  readonly reusableUntil: number;
  keys: number;
}

/** Leases for keys with a time to live. Many keys share one: a lease for each Event would cost the store more than the Event. */
export class EventLeases {
  readonly #client: EtcdClient;
  readonly #clock: Clock;
  readonly #current = new Map<number, Promise<SharedLease>>();

  constructor(client: EtcdClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** The id of a lease that lasts at least `ttlSeconds` from now. */
  async lease(ttlSeconds: number): Promise<bigint> {
    for (;;) {
      const pending = this.#current.get(ttlSeconds) ?? this.#grant(ttlSeconds);
      const lease = await pending;
      if (lease.keys < keysPerLease && this.#clock.monotonic() < lease.reusableUntil) {
        lease.keys++;
        return lease.id;
      }
      if (this.#current.get(ttlSeconds) === pending) this.#current.delete(ttlSeconds);
    }
  }

  /** A lease that the store no longer knows must not be used again. */
  forget(): void {
    this.#current.clear();
  }

  #grant(ttlSeconds: number): Promise<SharedLease> {
    const granted = (async () => {
      const from = this.#clock.monotonic();
      const extra = Math.min(reuseSeconds, Math.ceil(ttlSeconds * 0.05));
      const { ID } = await this.#client.lease.grant(ttlSeconds + extra);
      return { id: ID, reusableUntil: from + extra * 1000, keys: 0 };
    })();
    this.#current.set(ttlSeconds, granted);
    granted.catch(() => this.#current.delete(ttlSeconds));
    return granted;
  }
}
