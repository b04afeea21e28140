import fs from 'node:fs';
import { open, type Database, type RootDatabase, type Transaction } from 'lmdb';
import { errorMessage } from '@pilothouse/base';
import { recordBytes, revisionBytes, type Overlay } from './overlay.ts';
import { BackendError, damageError, seal } from './sealed-value.ts';

/** Of the stored values; 2: each with a checksum. */
const format = '2';

/** Entries of each table. */
export interface StoredCounts {
  readonly records: number;
  readonly revisions: number;
}

const entriesOf = (table: { getStats(): object }): number =>
  (table.getStats() as { readonly entryCount: number }).entryCount;

/** One file of LMDB with the state in it. */
export class StateFile {
  /** Where it was made; it may have another name by now. */
  readonly file: string;
  readonly revisions: Database<Buffer, Uint8Array>;
  readonly records: Database<Buffer, string>;
  readonly #root: RootDatabase;
  /** Keeps the file in being past LMDB's closing of it, see {@link StateFile.retire}. */
  readonly #descriptor: number;
  #readers = 0;
  #onUnread: (() => void) | undefined;

  /** Opens `file` or makes it. `name`: how messages call it. Throws BackendError for another format. */
  constructor(file: string, name: string) {
    this.file = file;
    this.#root = open({ path: file, noSubdir: true, maxDbs: 4, encoding: 'binary' });
    this.#descriptor = fs.openSync(file, 'r');
    this.revisions = this.#root.openDB({ name: 'revisions', encoding: 'binary', keyEncoding: 'binary' });
    this.records = this.#root.openDB({ name: 'records', encoding: 'binary' });
    const formats = this.#root.openDB<string, string>({ name: 'format', encoding: 'string' });
    const found = formats.get('format');
    if (found === format) return;
    if (found !== undefined || this.records.getCount({ limit: 1 }) > 0) {
      throw new BackendError(
        'unreadable',
        `The state in ${name} has format ${found ?? '1'}, this program reads ${format}. Remove this member from the cluster, empty its data directory and add it again`,
      );
    }
    formats.putSync('format', format);
  }

  /** How many entries there are by LMDB's own count, as of the present read transaction. */
  get counts(): StoredCounts {
    return { records: entriesOf(this.records), revisions: entriesOf(this.revisions) };
  }

  /** Writes as one transaction, in LMDB's own thread. When the promise resolves it is visible, and on the disk soon. */
  async write(overlay: Overlay): Promise<void> {
    await this.#root.batch(() => {
      overlay.revisions.forEachPair(({ main, sub }, bytes) => {
        const key = revisionBytes(main, sub) as Buffer;
        if (bytes === null) void this.revisions.remove(key as never);
        else void this.revisions.put(key as never, seal(key, bytes));
      });
      overlay.records.forEachPair((key, value) => {
        if (value === null) void this.records.remove(key);
        else void this.records.put(key, seal(recordBytes(key), value));
      });
    });
    this.#root.resetReadTxn();
  }

  /** Views that are not released yet. */
  get readers(): number {
    return this.#readers;
  }

  async flushed(): Promise<void> {
    await this.#root.flushed;
  }

  /** Writes the pages that are in use into a new file. */
  async copyTo(file: string): Promise<void> {
    await this.#root.flushed;
    await this.#root.backup(file, true);
  }

  /** A view of this moment, for as long as it is not released. */
  beginReading(): {
    readonly transaction: Transaction;
    readonly counts: StoredCounts;
    readonly release: () => void;
  } {
    const transaction = this.#root.useReadTransaction();
    const { counts } = this;
    this.#readers++;
    let isReleased = false;
    return {
      transaction,
      counts,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        transaction.done();
        if (--this.#readers === 0) this.#onUnread?.();
      },
    };
  }

  /** Closes it, once nobody reads it any more. */
  async retire(): Promise<void> {
    if (this.#readers === 0) await this.#close();
    else this.#onUnread = () => void this.#close();
  }

  /**
   * Another file may have taken this one's name. Then closing the last descriptor gives all its pages back, which takes longer than the event loop may
   * stand still; LMDB would do it there, Node does it in a thread.
   */
  async #close(): Promise<void> {
    try {
      await this.#root.close();
    } finally {
      fs.close(this.#descriptor, () => {});
    }
  }
}

/** An error of LMDB that speaks of damage, in words that say what to do; any other error as it is. */
export function explain(error: unknown, file: string): unknown {
  if (error instanceof BackendError) return error;
  const text = errorMessage(error);
  const isDamage = /MDB_(?:CORRUPTED|PAGE_NOTFOUND|INVALID|PANIC|VERSION_MISMATCH|BAD_TXN|CURSOR_FULL)/.test(
    text,
  );
  return isDamage ? damageError(file, `LMDB reports ${text}`, error) : error;
}
