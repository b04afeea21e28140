import type { EtcdClient } from '@pilothouse/etcd-client';
import { prefixEnd } from '@pilothouse/etcd-client';
import { keyPrefix } from '../traffic/history.ts';
import type { SeenValue } from '../traffic/history.ts';
import { seen } from '../traffic/kv-client.ts';

export interface TrueEvent {
  readonly revision: number;
  readonly kind: 'put' | 'delete';
  readonly key: string;
  readonly value: string | undefined;
  readonly createRevision: number;
  readonly version: number;
}

const parallel = 24;

/**
 * What really happened, read from one member revision by revision with plain ranges: nothing of it comes from watches or from what clients
 * believe. Must be taken up to a revision before that is compacted.
 */
export class Truth {
  /** Ascending; within a revision by key. */
  readonly events: TrueEvent[] = [];
  readonly #byKey = new Map<string, TrueEvent[]>();
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
      if (now && now.modRevision !== before?.modRevision) this.#push({ revision, kind: 'put', key, ...now });
      else if (!now && before)
        this.#push({ revision, kind: 'delete', key, value: undefined, createRevision: 0, version: 0 });
    }
    this.#state = state;
    this.revision = revision;
  }

  #push(event: TrueEvent): void {
    this.events.push(event);
    const list = this.#byKey.get(event.key);
    if (list) list.push(event);
    else this.#byKey.set(event.key, [event]);
  }

  eventsOf(key: string): readonly TrueEvent[] {
    return this.#byKey.get(key) ?? [];
  }

  get keys(): Iterable<string> {
    return this.#byKey.keys();
  }

  /** The last event of `key` at or before `revision`. */
  at(key: string, revision: number): TrueEvent | undefined {
    const list = this.eventsOf(key);
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((list[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return list[low - 1];
  }
}
