import fs from 'node:fs';
import path from 'node:path';
import { deferred, type Clock, type Deferred, type Timer } from '@pilothouse/base';
import type { Backend, BackendImage, BackendReplacement, RevisionRecord } from '../../core/backend.ts';
import { Overlay, recordBytes, revisionBytes, scanRecords, scanRevisions, type Layers } from './overlay.ts';
import { BackendError, damageError, unseal } from './sealed-value.ts';
import { probe } from './probe.ts';
import { explain, StateFile } from './state-file.ts';

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
  /**
   * LMDB ends the process at some damaged pages. With this, a start that follows one which did not get to {@link LmdbBackend.started} first has
   * a process of its own read everything, so that damage can be told in words.
   */
  readonly isProbed?: boolean;
  /** Told of damage before it is thrown: whoever owns the process ends it, for nothing of this state may be served. */
  readonly onDamage?: (error: BackendError) => void;
}

/** Writes of one transaction: handing them to LMDB takes the event loop a few microseconds each. */
const pieceWrites = 500;
/** Bytes of one transaction, for the same reason. */
const pieceBytes = 1024 * 1024;
/** Transactions that LMDB has at a time. */
const piecesAtWork = 4;
/** How long a state that comes in may take the event loop in one go. */
const replacementSliceMs = 5;

/** Whole entries of the log, written as one transaction. */
interface Piece {
  readonly overlay: Overlay;
  readonly done: Deferred<void>;
  isDone: boolean;
}

/**
 * State in LMDB. Writes gather in an overlay that reads see at once, and go to disk as one transaction per batch: together
 * with the applied index among them, so that a restart finds a state as of exactly one log index. The log makes them durable
 * before that. Much at once goes in several, cut between entries, so that it does not hold up others.
 *
 * Every value carries a checksum of itself and its key, checked on each read; a start reads everything once.
 *
 * A transaction is written by LMDB's own thread, for it waits for the disk and the event loop must not. Until it is done its
 * writes stay in an overlay below the one that new writes go to.
 */
export class LmdbBackend implements Backend {
  readonly #options: LmdbBackendOptions;
  readonly #file: string;
  readonly #marker: string;
  #stored: StateFile;
  #overlay = new Overlay();
  #overlayBytes = 0;
  /** What LMDB is to write, and what it is writing; the oldest first. */
  #sealed: Piece[] = [];
  #committing: Piece[] = [];
  #timer: Timer | undefined;
  #pumping: Timer | undefined;
  /** What has to be written even while other transactions must not begin. */
  #through: Piece | undefined;
  #isClosed = false;
  /** Set while another file is about to take the place of this one. */
  #held: Promise<void> | undefined;
  #files = 0;

  constructor(options: LmdbBackendOptions) {
    this.#options = options;
    const { directory } = options;
    this.#file = path.join(directory, 'data.mdb');
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    // What a crash left of a file that was to become this one.
    for (const name of fs.readdirSync(directory))
      if (/^data\.mdb\.(defrag|incoming)-/.test(name)) fs.rmSync(path.join(directory, name), { force: true });
    this.#marker = path.join(directory, 'starting');
    if (options.isProbed === true) {
      if (fs.existsSync(this.#marker)) probe(this.#file);
      fs.writeFileSync(this.#marker, '');
    }
    this.#stored = this.#open(this.#file);
  }

  /** Everything has been read once. */
  started(): void {
    fs.rmSync(this.#marker, { force: true });
  }

  #open(file: string): StateFile {
    try {
      return new StateFile(file, this.#file);
    } catch (error) {
      throw explain(error, this.#file);
    }
  }

  /** A stored value's content. Throws BackendError where it is not what was written. */
  readonly #unseal = (what: string, key: Uint8Array, stored: Uint8Array): Uint8Array => {
    const value = unseal(key, stored);
    if (value !== undefined) return value;
    const error = damageError(this.#file, `${what}: its checksum does not match`);
    this.#options.onDamage?.(error);
    throw error;
  };

  readonly #miscounted = (table: string, found: number, wanted: number): never => {
    const error = damageError(this.#file, `${found} of ${wanted} ${table} can be found: a page is damaged`);
    this.#options.onDamage?.(error);
    throw error;
  };

  /** Tells of damage that LMDB has found. */
  readonly #explain = (error: unknown): unknown => {
    const explained = explain(error, this.#file);
    if (explained instanceof BackendError && explained !== error) this.#options.onDamage?.(explained);
    return explained;
  };

  #layers(): Layers {
    const { records, revisions } = this.#stored;
    const overlays = [...this.#committing, ...this.#sealed].map(({ overlay }) => overlay);
    overlays.push(this.#overlay);
    overlays.reverse();
    const stored = this.#stored;
    return {
      overlays,
      records,
      revisions,
      open: this.#unseal,
      explain: this.#explain,
      counts: () => stored.counts,
      miscounted: this.#miscounted,
    };
  }

  /** What the newest overlay that knows of it has. */
  #pending(find: (overlay: Overlay) => Uint8Array | null | undefined): Uint8Array | null | undefined {
    let found = find(this.#overlay);
    for (let at = this.#sealed.length - 1; found === undefined && at >= 0; at--)
      found = find((this.#sealed[at] as Piece).overlay);
    for (let at = this.#committing.length - 1; found === undefined && at >= 0; at--)
      found = find((this.#committing[at] as Piece).overlay);
    return found;
  }

  readRecord(key: string): Uint8Array | undefined {
    const pending = this.#pending((overlay) => overlay.records.get(key));
    if (pending !== undefined) return pending ?? undefined;
    let stored: Uint8Array | undefined;
    try {
      stored = this.#stored.records.getBinary(key);
    } catch (error) {
      throw this.#explain(error);
    }
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
    const pending = this.#pending((overlay) => overlay.revisions.get(key));
    if (pending !== undefined) return pending ?? undefined;
    const bytes = revisionBytes(main, sub);
    let stored: Uint8Array | undefined;
    try {
      stored = this.#stored.revisions.getBinary(bytes as Buffer);
    } catch (error) {
      throw this.#explain(error);
    }
    return stored && this.#unseal(`revision ${main}`, bytes, stored);
  }

  writeRevision(main: number, sub: number, bytes: Uint8Array): void {
    this.#overlay.revisions.set({ main, sub }, bytes);
    this.#overlayBytes += bytes.length;
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
    const { transaction, counts, release } = this.#stored.beginReading();
    const overlays = now.overlays.map((overlay) => overlay.clone());
    const layers = { ...now, overlays, counts: () => counts };
    return {
      records: () => scanRecords(layers, '', transaction),
      revisions: () => scanRevisions(layers, 0, Number.MAX_SAFE_INTEGER, transaction),
      release,
    };
  }

  entryDone(): void {
    const limit = Math.min(pieceWrites, this.#options.batchLimit ?? pieceWrites);
    if (this.#overlay.size < limit && this.#overlayBytes < pieceBytes) return;
    this.#seal();
    this.#pumpSoon();
  }

  #schedule(): void {
    // A transaction that ends looks for more work itself.
    if (
      this.#isClosed ||
      this.#timer !== undefined ||
      this.#committing.length > 0 ||
      this.#held !== undefined
    )
      return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      if (this.#held !== undefined) return;
      this.#seal();
      this.#pump();
    }, this.#options.batchIntervalMs ?? 100);
  }

  /** The writes so far become a piece. Never in the middle of an entry: its writes must go together with its index. */
  #seal(): void {
    if (this.#overlay.isEmpty) return;
    this.#sealed.push({ overlay: this.#overlay, done: deferred<void>(), isDone: false });
    this.#overlay = new Overlay();
    this.#overlayBytes = 0;
  }

  #pumpSoon(): void {
    this.#pumping ??= this.#options.clock.setTimeout(() => {
      this.#pumping = undefined;
      this.#pump();
    }, 0);
  }

  /** Has the oldest piece written as one transaction; LMDB flushes it to the disk after that, both in its own thread. */
  #pump(): void {
    const mayGo =
      this.#held === undefined || (this.#through !== undefined && this.#sealed.includes(this.#through));
    if (!mayGo || this.#committing.length >= piecesAtWork) return;
    const piece = this.#sealed.shift();
    if (piece === undefined) return;
    const started = this.#options.clock.monotonic();
    this.#committing.push(piece);
    this.#stored.write(piece.overlay).then(
      () => {
        piece.isDone = true;
        // An older piece must not show where a newer one was.
        while (this.#committing[0]?.isDone === true) this.#committing.shift();
        this.#options.onCommit?.(this.#options.clock.monotonic() - started);
        piece.done.resolve();
        if (this.#sealed.length > 0) this.#pumpSoon();
        else if (!this.#overlay.isEmpty) this.#schedule();
      },
      (error: unknown) => {
        const explained = this.#explain(error);
        piece.done.reject(explained);
        // Nothing is known about the disk any more: whoever owns the process ends it.
        this.#options.clock.setTimeout(() => {
          throw explained;
        }, 0);
      },
    );
    if (this.#sealed.length > 0) this.#pumpSoon();
  }

  /** Ends when all writes so far are part of a transaction that is done. */
  async #commitAll(): Promise<void> {
    this.#seal();
    const last = this.#sealed.at(-1) ?? this.#committing.at(-1);
    if (last === undefined) return;
    this.#through = last;
    this.#pump();
    await last.done.promise;
  }

  async flush(): Promise<void> {
    while (this.#held !== undefined) await this.#held;
    await this.#commitAll();
    await this.#stored.flushed();
  }

  get openImages(): number {
    return this.#stored.readers;
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
    const copy = `${this.#file}.defrag-${process.pid}-${++this.#files}`;
    await this.#hold(async () => {
      await this.#commitAll();
      await this.#stored.copyTo(copy);
      await this.#take(this.#open(copy));
    });
  }

  replacement(): BackendReplacement {
    const file = `${this.#file}.incoming-${process.pid}-${++this.#files}`;
    const next = this.#open(file);
    const { clock } = this.#options;
    let overlay = new Overlay();
    let bytesWaiting = 0;
    let sliceBegan = clock.monotonic();
    const settle = async (isLast: boolean): Promise<void> => {
      if (clock.monotonic() - sliceBegan > replacementSliceMs) {
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, 0));
        sliceBegan = clock.monotonic();
      }
      if (overlay.isEmpty || (!isLast && bytesWaiting < pieceBytes && overlay.size < pieceWrites)) return;
      const batch = overlay;
      overlay = new Overlay();
      bytesWaiting = 0;
      try {
        await next.write(batch);
      } catch (error) {
        throw this.#explain(error);
      }
    };
    return {
      writeRecord: (key, value) => {
        overlay.records.set(key, value);
        bytesWaiting += key.length + value.length;
      },
      writeRevision: (main, sub, bytes) => {
        overlay.revisions.set({ main, sub }, bytes);
        bytesWaiting += bytes.length;
      },
      settled: () => settle(false),
      install: async (onInstalled) => {
        await settle(true);
        await next.flushed();
        await this.#hold(async () => {
          await this.#commitAll();
          await this.#take(next, () => {
            // What was written meanwhile belongs to the state that goes.
            this.#overlay = new Overlay();
            this.#overlayBytes = 0;
            for (const { done } of this.#sealed.splice(0)) done.resolve();
            onInstalled();
          });
        });
      },
      abandon: async () => {
        await next.retire();
        fs.rmSync(file, { force: true });
        fs.rmSync(`${file}-lock`, { force: true });
      },
    };
  }

  /** Runs `work` while nothing is committed. */
  async #hold(work: () => Promise<void>): Promise<void> {
    while (this.#held !== undefined) await this.#held;
    const held = deferred<void>();
    this.#held = held.promise;
    try {
      await work();
    } finally {
      this.#held = undefined;
      held.resolve();
      if (this.#sealed.length > 0) this.#pumpSoon();
      else if (!this.#overlay.isEmpty) this.#schedule();
    }
  }

  /** Goes on with another file, under the name of the present one. */
  async #take(next: StateFile, onTaken: () => void = () => {}): Promise<void> {
    const old = this.#stored;
    await fs.promises.rename(next.file, this.#file);
    fs.rmSync(`${next.file}-lock`, { force: true });
    await syncDirectory(this.#options.directory);
    this.#stored = next;
    onTaken();
    await old.retire();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    while (this.#held !== undefined) await this.#held;
    await this.#commitAll();
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#pumping?.cancel();
    await this.#stored.flushed();
    await this.#stored.retire();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.promises.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
