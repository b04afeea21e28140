/** One key of the store with the metadata of etcd. `value` belongs to the store: never change it. */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** What is stored is not what would be written today (another key, another provider): an update must write. */
  readonly stale?: boolean;
}

export interface RangeOptions {
  /** Read the state at this revision; 0 is the newest. */
  readonly revision?: number;
  /** At most so many keys; 0 is all. */
  readonly limit?: number;
  readonly countOnly?: boolean;
}

export interface RangeResult {
  readonly kvs: readonly KeyValue[];
  /** Keys in the whole range, also those behind the limit. */
  readonly count: number;
  /** Revision of the store when it answered. */
  readonly revision: number;
}

export type KeyValueEvent =
  | { readonly type: 'put'; readonly kv: KeyValue; readonly previous: KeyValue | undefined }
  | {
      readonly type: 'delete';
      readonly key: string;
      readonly modRevision: number;
      readonly previous: KeyValue | undefined;
    };

/** What a watch tells, in revision order and without gaps. A call holds whole revisions; `revision` is the last of them. */
export interface KeyValueWatcher {
  onEvents(events: readonly KeyValueEvent[], revision: number): void;
  /** Everything up to and including `revision` was delivered. */
  onProgress(revision: number): void;
  /** The history between the position and `compactRevision` is gone: the watch is over. */
  onCompacted(compactRevision: number): void;
}

export interface KeyValueWatch {
  /** Asks for an `onProgress` at the store's present revision. Cheap; calls while one is under way are merged. */
  requestProgress(): void;
  close(): void;
}

export type WriteResult =
  | { readonly ok: true; readonly revision: number; readonly previous: KeyValue | undefined }
  /** The key was not at the expected revision; `current` is what is there, undefined when nothing is. */
  | { readonly ok: false; readonly revision: number; readonly current: KeyValue | undefined };

/**
 * The few operations of an etcd that the API server needs. Implementations: memory (tests and the one-process plane
 * without a store) and etcd. A watch survives a lost connection by itself, resuming at the revision behind the last event.
 *
 * Errors: {@link KeyValueError}. An `unavailable` write may or may not have happened.
 */
export interface KeyValueStore {
  /** Linearizable unless a revision is given. */
  get(
    key: string,
    revision?: number,
  ): Promise<{ readonly kv: KeyValue | undefined; readonly revision: number }>;
  /** Keys k with start <= k < end, ascending. Linearizable unless a revision is given. */
  range(start: string, end: string, options?: RangeOptions): Promise<RangeResult>;
  /** Puts when the key's modRevision is `expectedRevision` (0: the key does not exist). `ttlSeconds` 0 is for ever. */
  putIf(key: string, expectedRevision: number, value: Uint8Array, ttlSeconds?: number): Promise<WriteResult>;
  deleteIf(key: string, expectedRevision: number): Promise<WriteResult>;
  /** All changes of keys with `prefix` after `afterRevision`; `previous` of the events is only there when asked for. */
  watch(
    prefix: string,
    afterRevision: number,
    watcher: KeyValueWatcher,
    withPrevious?: boolean,
  ): KeyValueWatch;
  /** Linearizable. */
  currentRevision(): Promise<number>;
  /** Tells what is kept below a prefix (both with slashes), for stores that treat resources differently. */
  claim?(prefix: string, root: string, group: string, resource: string): void;
  /** Forgets the history before `revision`. */
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}

/** The first key behind all keys with this prefix. */
export function prefixEnd(prefix: string): string {
  // Keys are ASCII, so the last character can always be raised.
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
