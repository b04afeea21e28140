import { deferred } from '@pilothouse/base';
import type { Clock } from '@pilothouse/base';
import { EtcdError } from '@pilothouse/etcd-client';
import type { EtcdClient } from '@pilothouse/etcd-client';
import type { DecodedValue } from '../core/stored-object.ts';
import { decodeStored, writersOf, writtenAt } from '../core/stored-object.ts';
import { ConsoleError } from '../errors.ts';
import { limits } from '../limits.ts';

/** A state of an object; the newest comes first. */
export interface HistoryEntry {
  readonly revision: number;
  readonly kind: 'put' | 'delete';
  /** How often the key was written since it was made, from 1. */
  readonly version: number;
  readonly format: DecodedValue['format'] | '';
  readonly yaml: string;
  readonly problem?: string;
  readonly writers: readonly string[];
  /** RFC 3339, or empty: the store does not know times, writers leave theirs. */
  readonly time: string;
}

export interface ObjectHistory {
  readonly entries: readonly HistoryEntry[];
  /** The store's revision when it was asked. */
  readonly revision: number;
  /** Why it does not go back further. */
  readonly end: 'created' | 'compacted' | 'limit';
}

interface State {
  readonly revision: number;
  readonly version: number;
  /** Undefined: deleted. */
  readonly value: Uint8Array | undefined;
}

/**
 * What an object was, revision by revision, as far as the store still knows. An object that is there is followed backwards, one read for each
 * revision; of one that is gone the events since the last compaction are searched. Throws ConsoleError.
 */
export async function objectHistory(
  client: EtcdClient,
  key: string,
  options: { readonly clock: Clock; readonly revisionsMax: number },
): Promise<ObjectHistory> {
  const bytes = new TextEncoder().encode(key);
  try {
    const now = await client.kv.range({ key: bytes }, { timeoutMs: limits.storeTimeoutMs });
    const revision = now.header?.revision ?? 0;
    const [current] = now.kvs;
    if (current === undefined) return await searchEvents(client, bytes, revision, options);
    const states: State[] = [
      { revision: current.modRevision, version: current.version, value: copy(current.value) },
    ];
    let end: ObjectHistory['end'] = 'created';
    let size = current.value.length;
    for (let at = current; at.version > 1;) {
      if (states.length >= options.revisionsMax || size > limits.historyBytesMax) {
        end = 'limit';
        break;
      }
      let older;
      try {
        older = await client.kv.range(
          { key: bytes, revision: at.modRevision - 1 },
          { timeoutMs: limits.storeTimeoutMs },
        );
      } catch (error) {
        if (!(error instanceof EtcdError && error.isCompacted)) throw error;
        end = 'compacted';
        break;
      }
      const [found] = older.kvs;
      if (found === undefined) break;
      at = found;
      size += found.value.length;
      states.push({ revision: found.modRevision, version: found.version, value: copy(found.value) });
    }
    return { entries: describe(states), revision, end };
  } catch (error) {
    if (error instanceof ConsoleError) throw error;
    throw new ConsoleError(
      502,
      `The store cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

const copy = (value: Uint8Array): Uint8Array => new Uint8Array(value);

/** All events of a key since the last compaction. */
async function searchEvents(
  client: EtcdClient,
  key: Uint8Array,
  revision: number,
  options: { readonly clock: Clock; readonly revisionsMax: number },
): Promise<ObjectHistory> {
  let first = 1;
  for (let attempt = 0; ; attempt++) {
    const found: State[] = [];
    const done = deferred<void>();
    const watch = client.watcher.watch(
      { key, startRevision: first, prevKv: false },
      {
        onCreated: () => client.watcher.requestProgress(),
        onEvents: (events) => {
          for (const event of events) {
            const { kv } = event;
            if (kv === undefined) continue;
            found.push({
              revision: kv.modRevision,
              version: kv.version,
              value: Number(event.type) === 1 ? undefined : copy(kv.value),
            });
          }
        },
        onProgress: (reached) => {
          if (reached >= revision) done.resolve();
        },
        onEnd: (error) => done.reject(error),
      },
    );
    // Members answer the question about progress once the watch has caught up, some not at all before that: ask again.
    const again = options.clock.setInterval(() => client.watcher.requestProgress(), 200);
    const timer = options.clock.setTimeout(
      () => done.reject(new ConsoleError(504, 'The search through the history took too long')),
      limits.historySearchMs,
    );
    try {
      await done.promise;
      const states = found.reverse();
      const kept = states.slice(0, options.revisionsMax);
      return {
        entries: describe(kept),
        revision,
        end: kept.length < states.length ? 'limit' : kept.at(-1)?.version === 1 ? 'created' : 'compacted',
      };
    } catch (error) {
      const compacted = error instanceof EtcdError ? error.compactRevision : undefined;
      if (compacted === undefined || compacted <= first || attempt > 3) throw error;
      first = compacted;
    } finally {
      watch.cancel();
      again.cancel();
      timer.cancel();
    }
  }
}

function describe(states: readonly State[]): HistoryEntry[] {
  const decoded = states.map((each) => (each.value === undefined ? undefined : decodeStored(each.value)));
  return states.map(({ revision, version }, index): HistoryEntry => {
    const value = decoded[index];
    if (value === undefined)
      return { revision, kind: 'delete', version: 0, format: '', yaml: '', writers: [], time: '' };
    const older = decoded[index + 1];
    // Without the state before, only the first one's writers are known.
    const writers = older === undefined && version > 1 ? [] : writersOf(value, older);
    return {
      revision,
      kind: 'put',
      version,
      format: value.format,
      yaml: value.yaml,
      ...(value.problem === undefined ? {} : { problem: value.problem }),
      writers,
      time: writtenAt(value),
    };
  });
}
