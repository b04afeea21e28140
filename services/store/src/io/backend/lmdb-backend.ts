import fs from 'node:fs';
import path from 'node:path';
import { open, type Database, type RootDatabase, type Transaction } from 'lmdb';
import { deferred, type Clock, type Deferred, type Timer } from '@pilothouse/base';
import type { Backend, BackendImage, RevisionRecord } from '../../core/backend.ts';
import { Overlay, recordBytes, revisionBytes, scanRecords, scanRevisions, type Layers } from './overlay.ts';
import { BackendError, seal, unseal } from './sealed-value.ts';

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
  /** Told of damage before it is thrown: whoever owns the process ends it, for nothing of this state may be served. */
  readonly onDamage?: (error: BackendError) => void;
}

/** Of the stored values; 2: each with a checksum. */
const format = '2';

/**
 * State in LMDB. Writes gather in an overlay that reads see at once, and go to disk as one transaction per batch: together
 * with the applied index among them, so that a restart finds a state as of exactly one log index. The log makes them durable
 * before that.
 *
 * Every value carries a checksum of itself and its key, checked on each read; a start reads everything once.
 *
 * A transaction is written by LMDB's own thread, for it waits for the disk and the event loop must not. Until it is done its
 * writes stay in a second overlay below the one that new writes go to.
 */
export class LmdbBackend implements Backend {
  readonly #options: LmdbBackendOptions;
  readonly #file: string;
  #root!: RootDatabase;
  #revisions!: Database<Buffer, Uint8Array>;
  #records!: Database<Buffer, string>;
  #overlay = new Overlay();
  /** What the transaction under way writes. */
  #committing: { readonly overlay: Overlay; readonly done: Deferred<void> } | undefined;
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
    const formats = this.#root.openDB<string, string>({ name: 'format', encoding: 'string' });
    const found = formats.get('format');
    if (found === format) return;
    if (found !== undefined || this.#records.getCount({ limit: 1 }) > 0) {
      throw new BackendError(
        'unreadable',
        `The state in ${this.#file} has format ${found ?? '1'}, this program reads ${format}. Remove this member from the cluster, empty its data directory and add it again`,
      );
    }
    formats.putSync('format', format);
  }

  /** A stored value's content. Throws BackendError where it is not what was written. */
  readonly #unseal = (what: string, key: Uint8Array, stored: Uint8Array): Uint8Array => {
    const value = unseal(key, stored);
    if (value !== undefined) return value;
    const error = new BackendError(
      'corrupt',
      `The state is damaged: ${this.#file}, ${what}: its checksum does not match. Remove this member from the cluster, empty its data directory and add it again, so that it copies the data from the others`,
    );
    this.#options.onDamage?.(error);
    throw error;
  };

  #layers(): Layers {
    const under = this.#committing?.overlay;
    const overlays =
      under === undefined || this.#overlay.isCleared ? [this.#overlay] : [this.#overlay, under];
    const isStoredVisible = !overlays.some(({ isCleared }) => isCleared);
    return {
      overlays,
      records: isStoredVisible ? this.#records : undefined,
      revisions: isStoredVisible ? this.#revisions : undefined,
      open: this.#unseal,
    };
  }

  readRecord(key: string): Uint8Array | undefined {
    let pending = this.#overlay.records.get(key);
    if (pending !== undefined || this.#overlay.isCleared) return pending ?? undefined;
    const under = this.#committing?.overlay;
    pending = under?.records.get(key);
    if (pending !== undefined || under?.isCleared === true) return pending ?? undefined;
    const stored = this.#records.getBinary(key);
    return stored && this.#unseal(`record ${key}`, recordBytes(key), stored);
  }

  writeRecord(key: string, value: Uint8Array): void {
    this.#overlay.records.set(key, value);
    this.#schedule();
  }

  deleteRecord(key: string): void {
    this.#overlay.records.set(key, null);
    this.#schedule();
  }

  scanRecords(prefix: string): Iterable<readonly [string, Uint8Array]> {
    return scanRecords(this.#layers(), prefix, undefined);
  }

  readRevision(main: number, sub: number): Uint8Array | undefined {
    const key = { main, sub };
    let pending = this.#overlay.revisions.get(key);
    if (pending !== undefined || this.#overlay.isCleared) return pending ?? undefined;
    const under = this.#committing?.overlay;
    pending = under?.revisions.get(key);
    if (pending !== undefined || under?.isCleared === true) return pending ?? undefined;
    const bytes = revisionBytes(main, sub);
    const stored = this.#revisions.getBinary(bytes as Buffer);
    return stored && this.#unseal(`revision ${main}`, bytes, stored);
  }

  writeRevision(main: number, sub: number, bytes: Uint8Array): void {
    this.#overlay.revisions.set({ main, sub }, bytes);
    this.#schedule();
  }

  deleteRevision(main: number, sub: number): void {
    this.#overlay.revisions.set({ main, sub }, null);
    this.#schedule();
  }

  scanRevisions(fromMain: number, toMain: number): Iterable<RevisionRecord> {
    return scanRevisions(this.#layers(), fromMain, toMain, undefined);
  }

  snapshot(): BackendImage {
    const now = this.#layers();
    const layers = { ...now, overlays: now.overlays.map((overlay) => overlay.clone()) };
    const transaction: Transaction = this.#root.useReadTransaction();
    return {
      records: () => scanRecords(layers, '', transaction),
      revisions: () => scanRevisions(layers, 0, Number.MAX_SAFE_INTEGER, transaction),
      release: () => transaction.done(),
    };
  }

  clear(): void {
    this.#overlay = new Overlay();
    this.#overlay.isCleared = true;
    this.#schedule();
  }

  #schedule(): void {
    // A transaction that ends looks for more work itself.
    if (this.#isClosed || this.#committing !== undefined || this.#held !== undefined) return;
    if (this.#overlay.size >= (this.#options.batchLimit ?? 10_000)) {
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

  /** Has the overlay written as one transaction; LMDB flushes it to the disk after that, both in its own thread. */
  #commit(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#committing !== undefined || this.#overlay.isEmpty) return;
    const started = this.#options.clock.monotonic();
    const overlay = this.#overlay;
    this.#overlay = new Overlay();
    const done = deferred<void>();
    this.#committing = { overlay, done };
    this.#root
      .batch(() => {
        if (overlay.isCleared) {
          void this.#revisions.clearAsync();
          void this.#records.clearAsync();
        }
        overlay.revisions.forEachPair(({ main, sub }, bytes) => {
          const key = revisionBytes(main, sub) as Buffer;
          if (bytes === null) void this.#revisions.remove(key as never);
          else void this.#revisions.put(key as never, seal(key, bytes));
        });
        overlay.records.forEachPair((key, value) => {
          if (value === null) void this.#records.remove(key);
          else void this.#records.put(key, seal(recordBytes(key), value));
        });
      })
      .then(
        () => {
          // What was written must be visible before the overlay goes.
          this.#root.resetReadTxn();
          this.#committing = undefined;
          this.#options.onCommit?.(this.#options.clock.monotonic() - started);
          done.resolve();
          if (!this.#overlay.isEmpty) this.#schedule();
        },
        (error: unknown) => {
          done.reject(error);
          // Nothing is known about the disk any more: whoever owns the process ends it.
          this.#options.clock.setTimeout(() => {
            throw error;
          }, 0);
        },
      );
  }

  /** Ends when all writes so far are part of a transaction that is done. */
  async #commitAll(): Promise<void> {
    await this.#committing?.done.promise;
    this.#commit();
    await this.#committing?.done.promise;
  }

  async flush(): Promise<void> {
    while (this.#held !== undefined) await this.#held;
    await this.#commitAll();
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
    while (this.#held !== undefined) await this.#held;
    const copy = `${this.#file}.defrag-${process.pid}-${++this.#defragments}`;
    const held = deferred<void>();
    this.#held = held.promise;
    try {
      await this.#commitAll();
      await this.#root.flushed;
      fs.rmSync(copy, { force: true });
      await this.#root.backup(copy, true);
      const old = this.#root;
      this.#open(copy);
      fs.renameSync(copy, this.#file);
      fs.rmSync(`${copy}-lock`, { force: true });
      await old.close();
    } finally {
      this.#held = undefined;
      held.resolve();
      if (!this.#overlay.isEmpty) this.#schedule();
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    while (this.#held !== undefined) await this.#held;
    await this.#commitAll();
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#root.flushed;
    await this.#root.close();
  }
}
