import type { OrderedMap } from '@pilothouse/base';
import { orderedMap } from '@pilothouse/base';
import { KeyValueError } from '../errors.ts';
import type {
  KeyValue,
  KeyValueEvent,
  KeyValueStore,
  KeyValueWatch,
  KeyValueWatcher,
  RangeOptions,
  RangeResult,
  WriteResult,
} from '../key-value-store.ts';

interface Watch {
  readonly prefix: string;
  /** Next revision to deliver. */
  next: number;
  readonly watcher: KeyValueWatcher;
  scheduled: boolean;
  closed: boolean;
  progressAsked: boolean;
}

interface HistoryEntry {
  readonly revision: number;
  readonly event: KeyValueEvent;
  /** State behind this revision; sharing nodes with its neighbours. */
  readonly state: OrderedMap<string, KeyValue>;
}

export interface MemoryOptions {
  /** Milliseconds since the epoch, for TTLs; without it keys never expire. Expiry is looked at when the store is used. */
  readonly now?: () => number;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * A {@link KeyValueStore} in memory with history: every revision since the last compaction can be read and watched.
 * Deliveries to watchers happen in a later microtask, as they would over a network.
 */
export class MemoryKeyValueStore implements KeyValueStore {
  readonly #now: (() => number) | undefined;
  #state = orderedMap<string, KeyValue>(compare);
  #initial = this.#state.clone();
  /** etcd starts at revision 1. */
  #revision = 1;
  #compacted = 0;
  #history: HistoryEntry[] = [];
  readonly #expiries = new Map<string, number>();
  readonly #watches = new Set<Watch>();

  constructor(options: MemoryOptions = {}) {
    this.#now = options.now;
  }

  get(key: string, revision = 0): Promise<{ kv: KeyValue | undefined; revision: number }> {
    return this.#run(() => ({ kv: this.#at(revision).get(key), revision: this.#revision }));
  }

  range(start: string, end: string, options: RangeOptions = {}): Promise<RangeResult> {
    return this.#run(() => {
      const state = this.#at(options.revision ?? 0);
      const limit = options.limit ?? 0;
      const kvs: KeyValue[] = [];
      let count = 0;
      state.forRange(start, end, false, (_key, kv) => {
        count++;
        if (options.countOnly !== true && (limit === 0 || kvs.length < limit)) kvs.push(kv);
      });
      return { kvs, count, revision: this.#revision };
    });
  }

  putIf(key: string, expectedRevision: number, value: Uint8Array, ttlSeconds = 0): Promise<WriteResult> {
    return this.#run(() => {
      const current = this.#state.get(key);
      if ((current?.modRevision ?? 0) !== expectedRevision)
        return { ok: false, revision: this.#revision, current };
      const modRevision = this.#revision + 1;
      const kv: KeyValue = {
        key,
        value,
        createRevision: current?.createRevision ?? modRevision,
        modRevision,
      };
      this.#commit({ type: 'put', kv, previous: current });
      if (ttlSeconds > 0 && this.#now !== undefined) this.#expiries.set(key, this.#now() + ttlSeconds * 1000);
      else this.#expiries.delete(key);
      return { ok: true, revision: modRevision, previous: current };
    });
  }

  deleteIf(key: string, expectedRevision: number): Promise<WriteResult> {
    return this.#run(() => {
      const current = this.#state.get(key);
      if (current === undefined || current.modRevision !== expectedRevision) {
        return { ok: false, revision: this.#revision, current };
      }
      this.#commit({ type: 'delete', key, modRevision: this.#revision + 1, previous: current });
      return { ok: true, revision: this.#revision, previous: current };
    });
  }

  watch(prefix: string, afterRevision: number, watcher: KeyValueWatcher): KeyValueWatch {
    const watch: Watch = {
      prefix,
      next: afterRevision + 1,
      watcher,
      scheduled: false,
      closed: false,
      progressAsked: false,
    };
    this.#watches.add(watch);
    this.#schedule(watch);
    return {
      requestProgress: () => {
        watch.progressAsked = true;
        this.#schedule(watch);
      },
      close: () => {
        watch.closed = true;
        this.#watches.delete(watch);
      },
    };
  }

  currentRevision(): Promise<number> {
    return this.#run(() => this.#revision);
  }

  compact(revision: number): Promise<void> {
    return this.#run(() => {
      if (revision <= this.#compacted || revision > this.#revision) return;
      this.#compacted = revision;
      const kept = this.#history.findIndex((entry) => entry.revision >= revision);
      this.#history = kept < 0 ? [] : this.#history.slice(kept);
    });
  }

  close(): Promise<void> {
    for (const watch of this.#watches) watch.closed = true;
    this.#watches.clear();
    return Promise.resolve();
  }

  #run<T>(action: () => T): Promise<T> {
    this.#expire();
    try {
      return Promise.resolve(action());
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  #at(revision: number): OrderedMap<string, KeyValue> {
    if (revision === 0 || revision === this.#revision) return this.#state;
    if (revision > this.#revision) {
      throw new KeyValueError('futureRevision', 'etcdserver: mvcc: required revision is a future revision');
    }
    if (revision < this.#compacted) {
      throw new KeyValueError('compacted', 'etcdserver: mvcc: required revision has been compacted');
    }
    let state = this.#initial;
    for (const entry of this.#history) {
      if (entry.revision > revision) break;
      state = entry.state;
    }
    return state;
  }

  #commit(event: KeyValueEvent): void {
    if (event.type === 'put') this.#state.set(event.kv.key, event.kv);
    else {
      this.#state.delete(event.key);
      this.#expiries.delete(event.key);
    }
    this.#revision++;
    this.#history.push({ revision: this.#revision, event, state: this.#state.clone() });
    for (const watch of this.#watches) this.#schedule(watch);
  }

  #expire(): void {
    if (this.#now === undefined || this.#expiries.size === 0) return;
    const now = this.#now();
    for (const [key, expiry] of this.#expiries) {
      if (expiry > now) continue;
      this.#expiries.delete(key);
      const current = this.#state.get(key);
      if (current !== undefined) {
        this.#commit({ type: 'delete', key, modRevision: this.#revision + 1, previous: current });
      }
    }
  }

  #schedule(watch: Watch): void {
    if (watch.scheduled || watch.closed) return;
    watch.scheduled = true;
    queueMicrotask(() => {
      watch.scheduled = false;
      this.#deliver(watch);
    });
  }

  #deliver(watch: Watch): void {
    if (watch.closed) return;
    if (watch.next <= this.#compacted && watch.next <= this.#revision) {
      watch.closed = true;
      this.#watches.delete(watch);
      watch.watcher.onCompacted(this.#compacted);
      return;
    }
    const first = this.#history[0];
    const from = first === undefined ? 0 : Math.max(0, watch.next - first.revision);
    for (let index = from; index < this.#history.length && !watch.closed; index++) {
      const { event, revision } = this.#history[index] as HistoryEntry;
      const key = event.type === 'put' ? event.kv.key : event.key;
      watch.next = revision + 1;
      if (key.startsWith(watch.prefix)) watch.watcher.onEvents([event], revision);
    }
    if (watch.progressAsked && !watch.closed) {
      watch.progressAsked = false;
      watch.next = Math.max(watch.next, this.#revision + 1);
      watch.watcher.onProgress(this.#revision);
    }
  }
}
