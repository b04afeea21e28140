import { decodeMessage, encodeMessage, mvccpb } from '@pilothouse/proto';
import type { Backend } from '../backend.ts';
import { StoreError } from '../errors.ts';
import { keyBytes, keyText, type KeyRange, type KeyText } from '../key-text.ts';
import { limits } from '../limits.ts';
import type { KeyIndex, KeyVersion } from './key-index.ts';
import { Crc32c } from './crc32c.ts';
import { TreeIndex } from './tree-index.ts';
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

interface Garbage {
  /** Removable by a compaction at this revision or later. */
  readonly at: number;
  readonly index: KeyIndex;
  readonly main: number;
  readonly sub: number;
}

const compactRecord = 'meta/compact-revision';
const revisionRecord = 'meta/revision';
const hashStepRevisions = 64;

/** Keys with all their revisions since the last compaction. Deterministic; told of every change by a {@link WriteTxn}. */
export class MvccStore {
  readonly #backend: Backend;
  readonly index = new TreeIndex();
  readonly #values = new ValueCache(limits.valueCacheBytesMax);
  #current = 1;
  #compacted = -1;
  /** Superseded revisions in the order in which compactions may remove them. */
  #garbage: Garbage[] = [];
  #garbageHead = 0;
  #liveBytes = 0;
  #liveKeys = 0;
  #openTxn: WriteTxn | undefined;
  #loads = 0;
  /** Operations since the start, for metrics. */
  readonly counts = { put: 0, delete: 0, range: 0, txn: 0 };

  constructor(backend: Backend) {
    this.#backend = backend;
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
    return this.#liveBytes;
  }

  get liveKeys(): number {
    return this.#liveKeys;
  }

  /** Reads the index from the backend. `onLive` is told each key that exists now, with its lease (0n: none). */
  load(onLive: (key: KeyText, lease: bigint) => void): void {
    this.#loads++;
    this.index.clear();
    this.#values.clear();
    this.#garbage = [];
    this.#garbageHead = 0;
    this.#liveBytes = 0;
    this.#liveKeys = 0;
    this.#current = readNumber(this.#backend.readRecord(revisionRecord)) ?? 1;
    this.#compacted = readNumber(this.#backend.readRecord(compactRecord)) ?? -1;
    const leases = new Map<KeyText, bigint>();
    let tombstones: Garbage[] = [];
    let tombstoneMain = -1;
    const flushTombstones = (): void => {
      this.#garbage.push(...tombstones);
      tombstones = [];
    };
    for (const { main, sub, bytes } of this.#backend.scanRevisions(0, Number.MAX_SAFE_INTEGER)) {
      const value = decodeMessage(mvccpb.KeyValue, bytes);
      const key = keyText(value.key);
      const index = this.index.getOrAdd(key);
      const last = index.last();
      if (main !== tombstoneMain) flushTombstones();
      tombstoneMain = main;
      if (last !== undefined && !last.isTombstone)
        this.#garbage.push({ at: main, index, main: last.main, sub: last.sub });
      index.restore(main, sub, value.createRevision, value.version);
      this.#liveBytes += bytes.length + limits.putOverheadBytes;
      if (value.createRevision === 0) {
        tombstones.push({ at: main + 1, index, main, sub });
        leases.delete(key);
      } else leases.set(key, value.lease);
      if (main > this.#current) this.#current = main;
    }
    flushTombstones();
    this.#liveKeys = leases.size;
    for (const [key, lease] of leases) onLive(key, lease);
  }

  /** Throws `compacted` or `futureRevision` when `revision` cannot be read; returns the revision to read at. */
  readableRevision(revision: number): number {
    const visible = this.#current + (this.#openTxn?.hasChanges ? 1 : 0);
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
    this.index.walk(range, at, (version) => {
      count++;
      if (!options.countOnly && (limit === 0 || versions.length < limit)) versions.push(version);
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
    const version = this.index.get(key)?.at(revision);
    return version === undefined ? undefined : this.read(version);
  }

  /** Starts the one write transaction. {@link WriteTxn.end} must follow in the same transition. */
  write(): WriteTxn {
    if (this.#openTxn !== undefined) throw new Error('A write transaction is open already');
    const main = this.#current + 1;
    const changes: Change[] = [];
    const tombstones: Garbage[] = [];
    const put = (key: KeyText, keyAsBytes: Uint8Array, value: Uint8Array, lease: bigint): void => {
      const index = this.index.getOrAdd(key);
      const last = index.last();
      const sub = changes.length;
      if (last === undefined || last.isTombstone) this.#liveKeys++;
      else this.#garbage.push({ at: main, index, main: last.main, sub: last.sub });
      this.counts.put++;
      const { createMain, version } = index.put(main, sub);
      const bytes = encodeMessage(mvccpb.KeyValue, {
        key: keyAsBytes,
        createRevision: createMain,
        modRevision: main,
        version,
        value,
        lease,
      });
      this.#store(main, sub, bytes);
      changes.push({ isDelete: false, key, main, sub, bytes });
    };
    const remove = (key: KeyText): void => {
      const index = this.index.get(key) as KeyIndex;
      const last = index.last() as { main: number; sub: number };
      const sub = changes.length;
      this.#garbage.push({ at: main, index, main: last.main, sub: last.sub });
      this.counts.delete++;
      index.tombstone(main, sub);
      tombstones.push({ at: main + 1, index, main, sub });
      this.#liveKeys--;
      const bytes = encodeMessage(mvccpb.KeyValue, { key: keyBytes(key), modRevision: main });
      this.#store(main, sub, bytes);
      changes.push({ isDelete: true, key, main, sub, bytes });
    };
    const txn: WriteTxn = {
      main,
      get hasChanges() {
        return changes.length > 0;
      },
      put,
      delete: remove,
      end: () => {
        this.#openTxn = undefined;
        if (changes.length === 0) return [];
        this.#garbage.push(...tombstones);
        this.#current = main;
        this.counts.txn++;
        return changes;
      },
    };
    this.#openTxn = txn;
    return txn;
  }

  #store(main: number, sub: number, bytes: Uint8Array): void {
    this.#backend.writeRevision(main, sub, bytes);
    this.#values.add(main, sub, bytes);
    this.#liveBytes += bytes.length + limits.putOverheadBytes;
  }

  /** Forbids reads below `revision` from now on. The space comes back through {@link MvccStore.compactStep}. */
  compact(revision: number): void {
    if (revision <= this.#compacted) throw new StoreError('compacted');
    if (revision > this.#current) throw new StoreError('futureRevision');
    this.#compacted = revision;
    this.#backend.writeRecord(compactRecord, writeNumber(revision));
    // The newest revision may be a tombstone that gets removed, so the counter is kept apart.
    this.#backend.writeRecord(revisionRecord, writeNumber(this.#current));
  }

  get hasCompactionWork(): boolean {
    const next = this.#garbage[this.#garbageHead];
    return next !== undefined && next.at <= this.#compacted;
  }

  /** Removes up to a batch of revisions that the last compaction made unreadable; true when there is more to do. */
  compactStep(batch: number = limits.compactionBatchRevisions): boolean {
    let done = 0;
    while (done < batch) {
      const next = this.#garbage[this.#garbageHead];
      if (next === undefined || next.at > this.#compacted) break;
      (this.#garbage as (Garbage | undefined)[])[this.#garbageHead++] = undefined;
      const bytes = this.#values.get(next.main, next.sub) ?? this.#backend.readRevision(next.main, next.sub);
      this.#values.delete(next.main, next.sub);
      if (bytes !== undefined) this.#liveBytes -= bytes.length + limits.putOverheadBytes;
      this.#backend.deleteRevision(next.main, next.sub);
      next.index.remove(next.main, next.sub);
      this.index.removeIfEmpty(next.index);
      done++;
    }
    if (this.#garbageHead > 4096 && this.#garbageHead * 2 > this.#garbage.length) {
      this.#garbage = this.#garbage.slice(this.#garbageHead);
      this.#garbageHead = 0;
    }
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
   * A checksum (CRC-32C) over every revision ≤ `revision` that a compaction at `compactRevision` keeps, whether or not the
   * physical removal got that far: equal on all members for equal state.
   */
  hash(revision: number): KeyHashResult {
    const steps = this.hashSteps(revision);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /**
   * {@link MvccStore.hash} in steps of some revisions each, between which anything may happen: it is the hash of the state at the start, taken
   * anew when a compaction or a new state comes in between. Must be run to its end, or returned.
   */
  *hashSteps(revision: number): Generator<void, KeyHashResult> {
    const upTo = revision > 0 ? revision : this.#current;
    for (;;) {
      if (revision > 0 && revision < this.#compacted) throw new StoreError('compacted');
      if (upTo > this.#current) throw new StoreError('futureRevision');
      const compacted = this.#compacted;
      const loads = this.#loads;
      const image = this.#backend.snapshot();
      try {
        const crc = new Crc32c();
        crc.update(Uint8Array.of(0x6b, 0x65, 0x79)); // "key", the bucket's name
        let count = 0;
        let isSame = true;
        for (const { main, sub, bytes } of image.revisions()) {
          if (main > upTo) break;
          if (++count % hashStepRevisions === 0) {
            yield;
            isSame = compacted === this.#compacted && loads === this.#loads;
            if (!isSame) break;
          }
          const value = decodeMessage(mvccpb.KeyValue, bytes);
          const isTombstone = value.createRevision === 0;
          if (main <= compacted) {
            if (isTombstone && main < compacted) continue;
            if (this.index.get(keyText(value.key))?.isNewestAt(main, sub, compacted) !== true) continue;
          }
          crc.update(revisionKey(main, sub, isTombstone));
          crc.update(isTombstone ? encodeMessage(mvccpb.KeyValue, { key: value.key }) : bytes);
        }
        if (isSame) return { hash: crc.digest(), compactRevision: compacted, hashRevision: upTo };
      } finally {
        image.release();
      }
    }
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
  readonly hasChanges: boolean;
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
