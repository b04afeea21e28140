import { decodeMessage, encodeMessage, mvccpb } from '@pilothouse/proto';
import type { Backend } from '../backend.ts';
import { StoreError } from '../errors.ts';
import { keyBytes, keyText, type KeyRange, type KeyText } from '../key-text.ts';
import { limits } from '../limits.ts';
import type { KeyTable, KeyVersion } from './key-table.ts';
import { difference, foldSum } from './revision-sums.ts';
import { StoredIndex } from './stored-index.ts';
import { ValueCache } from './value-cache.ts';

/** A change as watchers see it. */
export interface Change {
  readonly isDelete: boolean;
  readonly key: KeyText;
  readonly main: number;
  readonly sub: number;
  /** The encoded KeyValue; for a delete only key and mod_revision. */
  readonly bytes: Uint8Array;
}

export interface RangeOptions {
  /** 0: the current revision. */
  readonly revision?: number;
  /** 0: no limit. */
  readonly limit?: number;
  readonly countOnly?: boolean;
}

export interface RangeResult {
  readonly versions: readonly KeyVersion[];
  /** All keys of the range, whatever the limit. */
  readonly count: number;
}

const compactRecord = 'meta/compact-revision';
const revisionRecord = 'meta/revision';

/** Keys with all their revisions since the last compaction. Deterministic; told of every change by a {@link WriteTxn}. */
export class MvccStore {
  readonly #backend: Backend;
  readonly #values = new ValueCache(limits.valueCacheBytesMax);
  #state = new StoredIndex();
  #current = 1;
  #compacted = -1;
  #openTxn: WriteTxn | undefined;
  /** Operations since the start, for metrics. */
  readonly counts = { put: 0, putBytes: 0, delete: 0, range: 0, txn: 0, compacted: 0 };

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get keys(): KeyTable {
    return this.#state.keys;
  }

  /** Revision of the last write; 1 in an empty store. */
  get currentRevision(): number {
    return this.#current;
  }

  /** Revision of the last compaction, -1 when there was none. Reads at it are still allowed. */
  get compactRevision(): number {
    return this.#compacted;
  }

  /** Bytes of all kept revisions with their overhead: what the quota counts. The same on every member after the same compaction work. */
  get liveBytes(): number {
    return this.#state.liveBytes;
  }

  get liveKeys(): number {
    return this.#state.liveKeys;
  }

  /**
   * Takes over what the backend holds. `state`: the index of its revisions, where somebody has made it already. `onLease` is told each key that
   * exists now and has a lease.
   */
  load(onLease: (key: KeyText, lease: bigint) => void, state?: StoredIndex): void {
    const loaded = state ?? new StoredIndex();
    if (state === undefined)
      for (const { main, sub, bytes } of this.#backend.scanRevisions(0, Number.MAX_SAFE_INTEGER))
        loaded.add(main, sub, bytes);
    loaded.finish();
    this.#values.clear();
    this.#state = loaded;
    const current = readNumber(this.#backend.readRecord(revisionRecord)) ?? 1;
    this.#current = Math.max(current, loaded.lastMain);
    this.#compacted = readNumber(this.#backend.readRecord(compactRecord)) ?? -1;
    loaded.sums.compacted(this.#compacted);
    for (const [key, lease] of loaded.leases) onLease(key, lease);
    loaded.leases.clear();
  }

  /** Throws `compacted` or `futureRevision` when `revision` cannot be read; returns the revision to read at. */
  readableRevision(revision: number): number {
    const visible = this.#current + (this.#openTxn?.hasChanges() ? 1 : 0);
    if (revision <= 0) return visible;
    if (revision > visible) throw new StoreError('futureRevision');
    if (revision < this.#compacted) throw new StoreError('compacted');
    return revision;
  }

  range(range: KeyRange, options: RangeOptions = {}): RangeResult {
    const at = this.readableRevision(options.revision ?? 0);
    this.counts.range++;
    const limit = options.limit ?? 0;
    const versions: KeyVersion[] = [];
    let count = 0;
    const { keys } = this;
    if (at >= this.#current && (options.countOnly === true || limit > 0)) {
      if (options.countOnly !== true) keys.walk(range, at, (row) => versions.push(keys.version(row)) < limit);
      return { versions, count: keys.count(range) };
    }
    keys.walk(range, at, (row) => {
      count++;
      if (!options.countOnly && (limit === 0 || versions.length < limit)) versions.push(keys.version(row));
      return true;
    });
    return { versions, count };
  }

  /** The encoded KeyValue of a version that {@link MvccStore.range} gave. */
  read(version: { readonly main: number; readonly sub: number }): Uint8Array {
    const { main, sub } = version;
    const kept = this.#values.get(main, sub);
    if (kept !== undefined) return kept;
    const bytes = this.#backend.readRevision(main, sub);
    // A revision that the index knows is in the backend: both change in the same transition.
    if (bytes === undefined) throw new Error(`Revision ${main}/${sub} is missing in the backend`);
    this.#values.add(main, sub, bytes);
    return bytes;
  }

  /** The value of `key` as of `revision`, undefined when it did not exist or was compacted. For prev_kv. */
  valueAt(key: KeyText, revision: number): Uint8Array | undefined {
    if (revision < this.#compacted) return undefined;
    const version = this.versionAt(key, revision);
    return version === undefined ? undefined : this.read(version);
  }

  /** The version of `key` as of `revision`, undefined when it did not exist. */
  versionAt(key: KeyText, revision: number): KeyVersion | undefined {
    const slot = this.keys.find(key);
    const row = slot === 0 ? 0 : this.keys.at(slot, revision);
    return row === 0 ? undefined : this.keys.version(row);
  }

  /** Starts the one write transaction. {@link WriteTxn.end} must follow in the same transition. */
  write(): WriteTxn {
    if (this.#openTxn !== undefined) throw new Error('A write transaction is open already');
    const main = this.#current + 1;
    const changes: Change[] = [];
    const tombstones: number[] = [];
    const state = this.#state;
    const { keys } = state;
    const put = (key: KeyText, keyAsBytes: Uint8Array, value: Uint8Array, lease: bigint): void => {
      const slot = keys.findOrAdd(key);
      const sub = changes.length;
      if (keys.isAlive(slot)) state.supersede(keys.newest(slot), main);
      else state.liveKeys++;
      this.counts.put++;
      this.counts.putBytes += keyAsBytes.length + value.length;
      const row = keys.put(slot, main, sub);
      const bytes = encodeMessage(mvccpb.KeyValue, {
        key: keyAsBytes,
        createRevision: keys.revisions.createMainOf(row),
        modRevision: main,
        version: keys.revisions.versionOf(row),
        value,
        lease,
      });
      this.#store(row, main, sub, bytes);
      changes.push({ isDelete: false, key, main, sub, bytes });
    };
    const remove = (key: KeyText): void => {
      const slot = keys.find(key);
      const sub = changes.length;
      state.supersede(keys.newest(slot), main);
      this.counts.delete++;
      const row = keys.tombstone(slot, main, sub);
      state.liveKeys--;
      const bytes = encodeMessage(mvccpb.KeyValue, { key: keyBytes(key), modRevision: main });
      this.#store(row, main, sub, bytes);
      tombstones.push(row);
      changes.push({ isDelete: true, key, main, sub, bytes });
    };
    const txn: WriteTxn = {
      main,
      // No getter: V8 makes a map of its own for each object with one.
      hasChanges: () => changes.length > 0,
      put,
      delete: remove,
      end: () => {
        this.#openTxn = undefined;
        if (changes.length === 0) return [];
        for (const row of tombstones) state.supersede(row, main + 1);
        this.#current = main;
        this.counts.txn++;
        return changes;
      },
    };
    this.#openTxn = txn;
    return txn;
  }

  #store(row: number, main: number, sub: number, bytes: Uint8Array): void {
    this.#backend.writeRevision(main, sub, bytes);
    this.#values.add(main, sub, bytes);
    this.#state.stored(row, main, sub, bytes);
  }

  /** Forbids reads below `revision` from now on. The space comes back through {@link MvccStore.compactStep}. */
  compact(revision: number): void {
    if (revision <= this.#compacted) throw new StoreError('compacted');
    if (revision > this.#current) throw new StoreError('futureRevision');
    this.#compacted = revision;
    this.#state.sums.compacted(revision);
    this.#backend.writeRecord(compactRecord, writeNumber(revision));
    // The newest revision may be a tombstone that gets removed, so the counter is kept apart.
    this.#backend.writeRecord(revisionRecord, writeNumber(this.#current));
  }

  get hasCompactionWork(): boolean {
    return this.#state.garbage.hasUpTo(this.#compacted);
  }

  /** Removes up to a batch of revisions that the last compaction made unreadable; true when there is more to do. Reads nothing. */
  compactStep(batch: number = limits.compactionBatchRevisions): boolean {
    const state = this.#state;
    const { keys } = state;
    const { revisions } = keys;
    for (let done = 0; done < batch; done++) {
      const row = state.garbage.take(this.#compacted);
      if (row === 0) break;
      const [main, sub] = [revisions.mainOf(row), revisions.subOf(row)];
      this.#values.delete(main, sub);
      state.liveBytes -= revisions.bytesOf(row);
      state.sums.remove(revisions.sumOf(row));
      this.counts.compacted++;
      this.#backend.deleteRevision(main, sub);
      keys.remove(row);
    }
    // What was removed counts no more after the compaction, which is an entry before: each part of the work can stand alone.
    this.#backend.entryDone();
    return this.hasCompactionWork;
  }

  /** All changes with fromMain ≤ main ≤ toMain, in order. */
  *history(fromMain: number, toMain: number): Iterable<Change> {
    for (const { main, sub, bytes } of this.#backend.scanRevisions(fromMain, toMain)) {
      const value = decodeMessage(mvccpb.KeyValue, bytes);
      yield { isDelete: value.createRevision === 0, key: keyText(value.key), main, sub, bytes };
    }
  }

  /**
   * A checksum over every revision ≤ `revision` (0: the present one) that the last compaction keeps, whether or not its removals got that far:
   * equal on all members for equal state. It is kept up with each change, so this reads nothing. Throws `compacted` or `futureRevision`.
   */
  hash(revision: number): KeyHashResult {
    const upTo = revision > 0 ? revision : this.#current;
    if (revision > 0 && revision < this.#compacted) throw new StoreError('compacted');
    if (upTo > this.#current) throw new StoreError('futureRevision');
    const { sums, garbage } = this.#state;
    const kept = difference(sums.upTo(upTo), garbage.sumUpTo(this.#compacted));
    return { hash: foldSum(kept), compactRevision: this.#compacted, hashRevision: upTo };
  }
}

export interface KeyHashResult {
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}

/** The writes of one revision. */
export interface WriteTxn {
  /** The revision that the changes get. */
  readonly main: number;
  hasChanges(): boolean;
  put(key: KeyText, keyAsBytes: Uint8Array, value: Uint8Array, lease: bigint): void;
  /** `key` must exist. */
  delete(key: KeyText): void;
  /** Makes the revision visible if anything changed; returns the changes in order. */
  end(): readonly Change[];
}

/** Upstream's form of a revision: main and sub as 8 bytes each, joined by `_`, a tombstone marked with `t`. */
export function revisionKey(main: number, sub: number, isTombstone: boolean): Uint8Array {
  const bytes = new Uint8Array(isTombstone ? 18 : 17);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(main / 4294967296));
  view.setUint32(4, main >>> 0);
  bytes[8] = 0x5f;
  view.setUint32(9, Math.floor(sub / 4294967296));
  view.setUint32(13, sub >>> 0);
  if (isTombstone) bytes[17] = 0x74;
  return bytes;
}

function readNumber(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getFloat64(0);
}

function writeNumber(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}
