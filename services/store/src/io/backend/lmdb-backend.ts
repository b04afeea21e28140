import fs from 'node:fs';
import path from 'node:path';
import { open, TransactionFlags, type Database, type RootDatabase, type Transaction } from 'lmdb';
import { orderedMap, type Clock, type OrderedMap, type Timer } from '@pilothouse/base';
import type { Backend, BackendImage, RevisionRecord } from '../../core/backend.ts';

interface RevisionKey {
  readonly main: number;
  readonly sub: number;
}

type RevisionOverlay = OrderedMap<RevisionKey, Uint8Array | null>;
type RecordOverlay = OrderedMap<string, Uint8Array | null>;

const compareRevisions = (a: RevisionKey, b: RevisionKey): number => a.main - b.main || a.sub - b.sub;
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export interface LmdbBackendOptions {
  /** Directory of its own; made when missing. */
  readonly directory: string;
  readonly clock: Clock;
  /** How long writes gather before they become one LMDB transaction. */
  readonly batchIntervalMs?: number;
  /** Writes after which a transaction starts at once. */
  readonly batchLimit?: number;
  /** Told of each transaction's duration in milliseconds; for metrics. */
  readonly onCommit?: (durationMs: number) => void;
}

/**
 * State in LMDB. Writes gather in an overlay that reads see at once, and go to disk as one transaction per batch: together
 * with the applied index among them, so that a restart finds a state as of exactly one log index. The log makes them durable
 * before that.
 */
export class LmdbBackend implements Backend {
  readonly #options: LmdbBackendOptions;
  readonly #file: string;
  #root!: RootDatabase;
  #revisions!: Database<Buffer, Uint8Array>;
  #records!: Database<Buffer, string>;
  #revisionOverlay: RevisionOverlay = orderedMap(compareRevisions);
  #recordOverlay: RecordOverlay = orderedMap(compareText);
  /** True when the overlay replaces the stored state instead of adding to it. */
  #isCleared = false;
  #timer: Timer | undefined;
  #isClosed = false;
  /** Set while a defragmentation copies the file. */
  #held: Promise<void> | undefined;
  #defragments = 0;

  constructor(options: LmdbBackendOptions) {
    this.#options = options;
    this.#file = path.join(options.directory, 'data.mdb');
    fs.mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    this.#open(this.#file);
  }

  #open(file: string): void {
    this.#root = open({ path: file, noSubdir: true, maxDbs: 4, encoding: 'binary' });
    this.#revisions = this.#root.openDB({ name: 'revisions', encoding: 'binary', keyEncoding: 'binary' });
    this.#records = this.#root.openDB({ name: 'records', encoding: 'binary' });
  }

  readRecord(key: string): Uint8Array | undefined {
    const pending = this.#recordOverlay.get(key);
    if (pending !== undefined) return pending ?? undefined;
    return this.#isCleared ? undefined : this.#records.getBinary(key);
  }

  writeRecord(key: string, value: Uint8Array): void {
    this.#recordOverlay.set(key, value);
    this.#schedule();
  }

  deleteRecord(key: string): void {
    this.#recordOverlay.set(key, null);
    this.#schedule();
  }

  scanRecords(prefix: string): Iterable<readonly [string, Uint8Array]> {
    const stored = this.#isCleared ? [] : storedRecords(this.#records, prefix, undefined);
    return mergeRecords(stored, this.#recordOverlay, prefix);
  }

  readRevision(main: number, sub: number): Uint8Array | undefined {
    const pending = this.#revisionOverlay.get({ main, sub });
    if (pending !== undefined) return pending ?? undefined;
    return this.#isCleared ? undefined : this.#revisions.getBinary(revisionBytes(main, sub));
  }

  writeRevision(main: number, sub: number, bytes: Uint8Array): void {
    this.#revisionOverlay.set({ main, sub }, bytes);
    this.#schedule();
  }

  deleteRevision(main: number, sub: number): void {
    this.#revisionOverlay.set({ main, sub }, null);
    this.#schedule();
  }

  scanRevisions(fromMain: number, toMain: number): Iterable<RevisionRecord> {
    const stored = this.#isCleared ? [] : storedRevisions(this.#revisions, fromMain, toMain, undefined);
    return mergeRevisions(stored, this.#revisionOverlay, fromMain, toMain);
  }

  snapshot(): BackendImage {
    const transaction: Transaction = this.#root.useReadTransaction();
    const records = this.#recordOverlay.clone();
    const revisions = this.#revisionOverlay.clone();
    const isCleared = this.#isCleared;
    const recordsDb = this.#records;
    const revisionsDb = this.#revisions;
    return {
      records: () => mergeRecords(isCleared ? [] : storedRecords(recordsDb, '', transaction), records, ''),
      revisions: () =>
        mergeRevisions(
          isCleared ? [] : storedRevisions(revisionsDb, 0, Number.MAX_SAFE_INTEGER, transaction),
          revisions,
          0,
          Number.MAX_SAFE_INTEGER,
        ),
      release: () => transaction.done(),
    };
  }

  clear(): void {
    this.#revisionOverlay.clear();
    this.#recordOverlay.clear();
    this.#isCleared = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isClosed) return;
    if (this.#revisionOverlay.size + this.#recordOverlay.size >= (this.#options.batchLimit ?? 10_000)) {
      // Not in the middle of an entry: its writes must go together with its index.
      this.#timer?.cancel();
      this.#timer = this.#options.clock.setTimeout(() => this.#commit(), 0);
      return;
    }
    this.#timer ??= this.#options.clock.setTimeout(
      () => this.#commit(),
      this.#options.batchIntervalMs ?? 100,
    );
  }

  /** Writes the overlay as one transaction. LMDB flushes it to the disk in the background. */
  #commit(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#held !== undefined) return;
    if (this.#revisionOverlay.size === 0 && this.#recordOverlay.size === 0 && !this.#isCleared) return;
    const started = this.#options.clock.monotonic();
    this.#root.transactionSync(() => {
      if (this.#isCleared) {
        this.#revisions.clearSync();
        this.#records.clearSync();
      }
      this.#revisionOverlay.forEachPair(({ main, sub }, bytes) => {
        const key = revisionBytes(main, sub);
        if (bytes === null) this.#revisions.removeSync(key);
        else this.#revisions.putSync(key, bytes as Buffer);
      });
      this.#recordOverlay.forEachPair((key, value) => {
        if (value === null) this.#records.removeSync(key);
        else this.#records.putSync(key, value as Buffer);
      });
    }, TransactionFlags.ABORTABLE | TransactionFlags.NO_SYNC_FLUSH);
    this.#isCleared = false;
    // New maps instead of clear(): a snapshot may share the old ones.
    this.#revisionOverlay = orderedMap(compareRevisions);
    this.#recordOverlay = orderedMap(compareText);
    this.#options.onCommit?.(this.#options.clock.monotonic() - started);
  }

  async flush(): Promise<void> {
    while (this.#held !== undefined) await this.#held;
    this.#commit();
    await this.#root.flushed;
  }

  sizeAllocated(): number {
    try {
      return fs.statSync(this.#file).size;
    } catch {
      return 0;
    }
  }

  /**
   * Writes the live pages into a new file and takes that instead. Meanwhile writes stay in the overlay, so that the copy
   * is complete.
   */
  async defragment(): Promise<void> {
    await this.flush();
    const copy = `${this.#file}.defrag-${process.pid}-${++this.#defragments}`;
    let release!: () => void;
    this.#held = new Promise((resolve) => (release = resolve));
    try {
      fs.rmSync(copy, { force: true });
      await this.#root.backup(copy, true);
      const old = this.#root;
      this.#open(copy);
      fs.renameSync(copy, this.#file);
      fs.rmSync(`${copy}-lock`, { force: true });
      await old.close();
    } finally {
      this.#held = undefined;
      release();
      this.#schedule();
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    while (this.#held !== undefined) await this.#held;
    this.#commit();
    this.#isClosed = true;
    await this.#root.flushed;
    await this.#root.close();
  }
}

function revisionBytes(main: number, sub: number): Uint8Array {
  const key = Buffer.allocUnsafe(12);
  key.writeUInt32BE(Math.floor(main / 4294967296), 0);
  key.writeUInt32BE(main >>> 0, 4);
  key.writeUInt32BE(sub, 8);
  return key;
}

function* storedRevisions(
  db: Database<Buffer, Uint8Array>,
  fromMain: number,
  toMain: number,
  transaction: Transaction | undefined,
): Iterable<RevisionRecord> {
  const start = revisionBytes(fromMain, 0);
  const end = toMain >= Number.MAX_SAFE_INTEGER ? undefined : revisionBytes(toMain + 1, 0);
  const options = {
    start,
    ...(end === undefined ? {} : { end }),
    ...(transaction === undefined ? {} : { transaction }),
  };
  for (const { key, value } of db.getRange(options)) {
    const view = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
    yield {
      main: view.readUInt32BE(0) * 4294967296 + view.readUInt32BE(4),
      sub: view.readUInt32BE(8),
      bytes: value,
    };
  }
}

function* storedRecords(
  db: Database<Buffer, string>,
  prefix: string,
  transaction: Transaction | undefined,
): Iterable<readonly [string, Uint8Array]> {
  const options = {
    ...(prefix === '' ? {} : { start: prefix }),
    ...(transaction === undefined ? {} : { transaction }),
  };
  for (const { key, value } of db.getRange(options)) {
    if (!key.startsWith(prefix)) return;
    yield [key, value];
  }
}

function* mergeRevisions(
  stored: Iterable<RevisionRecord>,
  overlay: RevisionOverlay,
  fromMain: number,
  toMain: number,
): Iterable<RevisionRecord> {
  const pending = overlay.entries({ main: fromMain, sub: 0 });
  let next = pending.next();
  for (const record of stored) {
    while (!next.done && compareRevisions(next.value[0], record) < 0) {
      const [{ main, sub }, bytes] = next.value;
      if (main > toMain) break;
      if (bytes !== null) yield { main, sub, bytes };
      next = pending.next();
    }
    if (!next.done && compareRevisions(next.value[0], record) === 0) {
      const bytes = next.value[1];
      next = pending.next();
      if (bytes !== null) yield { main: record.main, sub: record.sub, bytes };
    } else yield record;
  }
  for (; !next.done; next = pending.next()) {
    const [{ main, sub }, bytes] = next.value;
    if (main > toMain) return;
    if (bytes !== null) yield { main, sub, bytes };
  }
}

function* mergeRecords(
  stored: Iterable<readonly [string, Uint8Array]>,
  overlay: RecordOverlay,
  prefix: string,
): Iterable<readonly [string, Uint8Array]> {
  const result = new Map(stored);
  overlay.forEachPair((key, value) => {
    if (!key.startsWith(prefix)) return;
    if (value === null) result.delete(key);
    else result.set(key, value);
  });
  yield* [...result].sort(([a], [b]) => compareText(a, b));
}
