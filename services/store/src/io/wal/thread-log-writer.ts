import { Worker } from 'node:worker_threads';
import { deferred } from '@pilothouse/base';
import type { LogWriter } from './log-writer.ts';
import type { WalRecord } from './record.ts';
import type { WalThreadData, WalThreadReply, WalThreadRequest } from './wal-thread.ts';
import type { WalOptions, WalPosition } from './wal.ts';

export interface ThreadLogWriterOptions {
  readonly directory: string;
  readonly position: WalPosition;
  readonly wal: WalOptions;
  /** The disk failed: the member must stop, for what is durable is not known any more. */
  readonly onError: (error: Error) => void;
  /** Duration of each sync. */
  readonly onSync?: (seconds: number) => void;
}

/** A {@link LogWriter} that hands batches to a thread of its own. */
export class ThreadLogWriter implements LogWriter {
  readonly #worker: Worker;
  readonly #pending: { readonly id: number; readonly done: () => void }[] = [];
  readonly #closed = deferred<void>();
  #id = 0;
  #isClosing = false;

  constructor(options: ThreadLogWriterOptions) {
    const { directory, position, wal } = options;
    this.#worker = startThread({ directory, position, options: wal });
    this.#worker.on('message', (reply: WalThreadReply) => {
      switch (reply.kind) {
        case 'durable':
          if (reply.syncSeconds > 0) options.onSync?.(reply.syncSeconds);
          while (this.#pending.length > 0 && (this.#pending[0]?.id ?? Infinity) <= reply.id)
            this.#pending.shift()?.done();
          return;
        case 'closed':
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

  append(records: readonly WalRecord[], mustSync: boolean, done: () => void): void {
    let bytes = 0;
    for (const { payload } of records) bytes += payload.length;
    const buffer = new Uint8Array(bytes);
    const spans: number[] = [];
    let at = 0;
    for (const { type, payload } of records) {
      buffer.set(payload, at);
      at += payload.length;
      spans.push(type, payload.length);
    }
    const id = ++this.#id;
    this.#pending.push({ id, done });
    const request: WalThreadRequest = { kind: 'append', id, mustSync, buffer, spans };
    this.#worker.postMessage(request, [buffer.buffer]);
  }

  release(index: number): void {
    this.#worker.postMessage({ kind: 'release', index } satisfies WalThreadRequest);
  }

  abandon(): void {
    this.#isClosing = true;
    void this.#worker.terminate();
  }

  async close(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#worker.postMessage({ kind: 'close' } satisfies WalThreadRequest);
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
