import type { MessageInput } from '@pilothouse/proto';
import type { etcdserverpb } from '@pilothouse/proto';
import type { EventHistory, SeededRandom } from '@pilothouse/testkit';
import { localLeaderCalls } from '../io/rpc/leader-calls.ts';
import type { SimulatedMember, World } from './simulated-member.ts';
import type { Witness } from './witness.ts';

interface LeaseRecord {
  readonly key: string;
  readonly ttlMs: number;
  /** True time at which each successful grant or renewal was asked for and answered. */
  readonly renewals: { readonly call: number; readonly end: number }[];
  isAttached: boolean;
}

/** The fastest clock that the nemesis gives a member: by so much less true time may a lease last. */
const fastestClock = 1.4;

export interface LeaseClientOptions {
  readonly client: number;
  readonly world: World;
  readonly random: SeededRandom;
  readonly members: () => readonly SimulatedMember[];
  readonly isDone: () => boolean;
}

/** Grants leases with a key each, renews them for a while through whoever leads, and lets them go. */
export class SimulatedLeaseClient {
  readonly #options: LeaseClientOptions;
  readonly #records: LeaseRecord[] = [];

  constructor(options: LeaseClientOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { client, world, random, members, isDone } = this.#options;
    const now = (): number => world.clock.monotonic();
    const pause = (ms: number): Promise<void> =>
      new Promise((resolve) => void world.clock.setTimeout(resolve, ms));
    for (let turn = 1; !isDone(); turn++) {
      await pause(100 + random.integer(400));
      const up = members().filter((member) => member.service !== undefined);
      if (up.length === 0) continue;
      const { service } = random.pick(up);
      const id = BigInt(client * 100_000 + turn);
      const key = `lease/${id}`;
      const record: LeaseRecord = { key, ttlMs: 0, renewals: [], isAttached: false };
      try {
        const call = now();
        const request = { leaseGrant: { ID: id, TTL: 2 + random.integer(3) } };
        const reply = await service?.propose<MessageInput<etcdserverpb.LeaseGrantResponse>>(request);
        Object.assign(record, { ttlMs: Number((reply as { TTL?: number }).TTL ?? 0) * 1000 });
        record.renewals.push({ call, end: now() });
        this.#records.push(record);
        await service?.propose({ put: { key: Buffer.from(key), value: Buffer.from('x'), lease: id } });
        record.isAttached = true;
      } catch {
        continue;
      }
      for (let renewal = random.integer(4); renewal > 0 && !isDone(); renewal--) {
        await pause((record.ttlMs / 3) * (0.5 + random.float()));
        const call = now();
        // As members forward it: to whoever they believe leads, who may have been deposed.
        const leaders = members().filter((member) => member.replica?.status().role === 'leader');
        const leader = leaders.length > 0 ? random.pick(leaders).service : undefined;
        try {
          if (!leader || (await localLeaderCalls(leader).keepAlive(id)) === 0) break;
          record.renewals.push({ call, end: now() });
        } catch {
          // Not renewed, as far as anyone knows.
        }
      }
    }
  }

  /** A lease that ended early, or, with `isFinal`, one that never did. */
  check(history: EventHistory, witness: Witness, isFinal: boolean): string | undefined {
    for (const { key, ttlMs, renewals, isAttached } of this.#records) {
      const gone = history.eventsOf(key).find(({ kind }) => kind === 'delete');
      if (!gone) {
        if (isAttached && isFinal) return `The lease of ${key} never ended`;
        continue;
      }
      const at = witness.times.get(gone.revision) ?? Infinity;
      const last = Math.max(...renewals.filter(({ end }) => end <= at).map(({ call }) => call), -Infinity);
      const early = last + ttlMs / fastestClock - at;
      if (last > -Infinity && early > 1)
        return `The lease of ${key} ended ${early.toFixed(0)} ms before its time (TTL ${ttlMs} ms, ${renewals.length - 1} renewals)`;
    }
    return undefined;
  }
}
