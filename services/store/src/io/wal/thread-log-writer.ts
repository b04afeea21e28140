import { Worker } from 'node:worker_threads';
import { assert, deferred } from '@pilothouse/base';
import type { LogWriter } from './log-writer.ts';
import { frameBytes } from './record.ts';
import type { WalRecord } from './record.ts';
import { ringMemory, RingWriter } from './shared-ring.ts';
import type { PostedAppend, WalThreadData, WalThreadReply } from './wal-thread.ts';
import type { WalOptions, WalPosition } from './wal.ts';

export interface ThreadLogWriterOptions {
  readonly directory: string;
  readonly position: WalPosition;
  readonly wal: WalOptions;
  /** The disk failed: the member must stop, for what is durable is not known any more. */
  readonly onError: (error: Error) => void;
  /** Duration of each sync. */
  readonly onSync?: (seconds: number) => void;
  /** Bytes of records that were appended, for metrics. */
  readonly onBytes?: (bytes: number) => void;
  /** Bytes of the memory through which requests travel, a power of two. Larger batches are posted as messages. */
  readonly ringBytes?: number;
}

const defaultRingBytes = 4 * 1024 * 1024;

type Waiting =
  | {
      readonly kind: 'append';
      readonly id: number;
      readonly mustSync: boolean;
      readonly records: readonly WalRecord[];
    }
  | { readonly kind: 'release'; readonly index: number }
  | { readonly kind: 'close' };

/** A {@link LogWriter} that hands batches to a thread of its own. */
export class ThreadLogWriter implements LogWriter {
  readonly #worker: Worker;
  readonly #ring: RingWriter;
  readonly #onSync: ((seconds: number) => void) | undefined;
  readonly #onBytes: ((bytes: number) => void) | undefined;
  #pending: { readonly id: number; readonly done: () => void }[] = [];
  /** Requests that wait for room in the ring, in order. */
  #waiting: Waiting[] = [];
  readonly #closed = deferred<void>();
  #id = 0;
  #isClosing = false;

  constructor(options: ThreadLogWriterOptions) {
    const { directory, position, wal } = options;
    const memory = ringMemory(options.ringBytes ?? defaultRingBytes);
    this.#ring = new RingWriter(memory);
    this.#onSync = options.onSync;
    this.#onBytes = options.onBytes;
    this.#worker = startThread({ directory, position, options: wal, memory });
    this.#worker.on('message', (reply: WalThreadReply) => {
      switch (reply.kind) {
        case 'durable':
          this.#settle();
          return;
        case 'closed':
          this.#settle();
          this.#closed.resolve();
          return;
        case 'error':
          options.onError(new Error(`Cannot write the WAL in ${directory}: ${reply.message}`));
          this.#closed.resolve();
          return;
      }
    });
    this.#worker.on('error', (error) => {
      if (!this.#isClosing) options.onError(error);
      this.#closed.resolve();
    });
    this.#worker.on('exit', (code) => {
      if (!this.#isClosing) options.onError(new Error(`The WAL thread ended unexpectedly with code ${code}`));
      this.#closed.resolve();
    });
  }

  #settle(): void {
    const durable = this.#ring.takeDurable();
    if (this.#onSync) this.#ring.takeSyncs(this.#onSync);
    let count = 0;
    // Numbers go around: what matters is which one is ahead.
    while (count < this.#pending.length && ((durable - (this.#pending[count]?.id ?? 0)) | 0) >= 0) count++;
    const settled = this.#pending.splice(0, count);
    while (this.#waiting.length > 0 && this.#send(this.#waiting[0] as Waiting)) this.#waiting.shift();
    for (const { done } of settled) done();
  }

  #send(request: Waiting): boolean {
    if (request.kind === 'release') return this.#ring.tryWrite('release', 0, [], request.index);
    if (request.kind === 'close') return this.#ring.tryWrite('close', 0);
    const { id, mustSync, records } = request;
    if (this.#ring.fitsEver(RingWriter.bytesOf(records)))
      return this.#ring.tryWrite(mustSync ? 'append' : 'appendLazily', id, records);
    return this.#ring.tryWrite('posted', id);
  }

  #enqueue(request: Waiting): void {
    // A large one is in the thread's mailbox before the ring tells of it.
    if (request.kind === 'append' && !this.#ring.fitsEver(RingWriter.bytesOf(request.records))) {
      const { mustSync, records } = request;
      // Copies of their own: a view would take along all of the memory that it is a view of.
      const copies = records.map(({ type, payload }) => ({ type, payload: payload.slice() }));
      this.#worker.postMessage({ mustSync, records: copies } satisfies PostedAppend);
    }
    if (this.#waiting.length > 0 || !this.#send(request)) this.#waiting.push(request);
  }

  append(records: readonly WalRecord[], mustSync: boolean, done: () => void): void {
    assert(records.length > 0, 'An append has records');
    if (this.#onBytes)
      this.#onBytes(records.reduce((sum, { payload }) => sum + frameBytes(payload.length), 0));
    this.#id = (this.#id + 1) | 0;
    this.#pending.push({ id: this.#id, done });
    this.#enqueue({ kind: 'append', id: this.#id, mustSync, records });
  }

  release(index: number): void {
    this.#enqueue({ kind: 'release', index });
  }

  abandon(): void {
    this.#isClosing = true;
    void this.#worker.terminate();
  }

  async close(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#enqueue({ kind: 'close' });
    }
    await this.#closed.promise;
    await this.#worker.terminate();
  }
}

/** The thread's file has this file's extension: .js when built, .ts under a loader, which a thread has to register itself. */
function startThread(workerData: WalThreadData): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL('./wal-thread.js', import.meta.url), { workerData, name: 'wal' });
  }
  const source = JSON.stringify(new URL('./wal-thread.ts', import.meta.url).href);
  const script = `import('tsx/esm/api').then(({ register }) => { register(); return import(${source}); })`;
  return new Worker(script, { eval: true, workerData, name: 'wal' });
}
