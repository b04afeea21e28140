import type { EtcdClient } from '@pilothouse/etcd-client';
import { prefixEnd } from '@pilothouse/etcd-client';
import { EventHistory } from '@pilothouse/testkit';
import type { HistoryEvent } from '@pilothouse/testkit';
import { keyPrefix } from '../traffic/history.ts';
import type { SeenValue } from '../traffic/history.ts';
import { seen } from '../traffic/kv-client.ts';

export type TrueEvent = HistoryEvent;

const parallel = 24;

/**
 * What really happened, read from one member revision by revision with plain ranges: nothing of it comes from watches or from what clients
 * believe. Must be taken up to a revision before that is compacted.
 */
export class Truth {
  /** Within a revision by key. */
  readonly history = new EventHistory();
  #state: ReadonlyMap<string, SeenValue> = new Map();
  /** Known up to here. */
  revision = 1;

  async readUpTo(etcd: EtcdClient, revision: number): Promise<void> {
    const key = Buffer.from(keyPrefix);
    const rangeEnd = prefixEnd(key);
    while (this.revision < revision) {
      const wanted = Array.from(
        { length: Math.min(parallel, revision - this.revision) },
        (_, at) => this.revision + 1 + at,
      );
      const states = await Promise.all(
        wanted.map(async (at) => {
          const { kvs } = await etcd.kv.range({ key, rangeEnd, revision: at }, { timeoutMs: 8000 });
          return new Map(kvs.map((kv) => [Buffer.from(kv.key).toString(), seen(kv)] as const));
        }),
      );
      for (const [at, state] of states.entries()) this.#take(wanted[at] as number, state);
    }
  }

  #take(revision: number, state: ReadonlyMap<string, SeenValue>): void {
    const keys = [...new Set([...this.#state.keys(), ...state.keys()])].sort();
    for (const key of keys) {
      const now = state.get(key);
      const before = this.#state.get(key);
      if (now && now.modRevision !== before?.modRevision)
        this.history.push({ revision, kind: 'put', key, ...now });
      else if (!now && before)
        this.history.push({ revision, kind: 'delete', key, value: undefined, createRevision: 0, version: 0 });
    }
    this.#state = state;
    this.revision = revision;
  }

  get events(): readonly TrueEvent[] {
    return this.history.events;
  }

  eventsOf(key: string): readonly TrueEvent[] {
    return this.history.eventsOf(key);
  }

  get keys(): Iterable<string> {
    return this.history.keys;
  }

  /** The last event of `key` at or before `revision`. */
  at(key: string, revision: number): TrueEvent | undefined {
    return this.history.at(key, revision);
  }
}
