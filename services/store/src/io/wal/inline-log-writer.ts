import type { Clock } from '@pilothouse/base';
import type { LogWriter } from './log-writer.ts';
import type { WalRecord } from './record.ts';
import type { WalWriter } from './wal.ts';

interface Pending {
  readonly records: readonly WalRecord[];
  readonly mustSync: boolean;
  readonly done: () => void;
}

export interface InlineLogWriterOptions {
  readonly clock: Clock;
  /** Milliseconds that the next sync takes. */
  readonly syncDelay: () => number;
  /** The disk failed: nothing more is acknowledged. */
  readonly onError: (error: unknown) => void;
}

/** A {@link LogWriter} on the caller's thread that takes virtual time for a sync; for simulation. */
export class InlineLogWriter implements LogWriter {
  readonly #writer: WalWriter;
  readonly #options: InlineLogWriterOptions;
  #queue: Pending[] = [];
  #isBusy = false;
  #isFailed = false;
  #onIdle: (() => void)[] = [];

  constructor(writer: WalWriter, options: InlineLogWriterOptions) {
    this.#writer = writer;
    this.#options = options;
  }

  append(records: readonly WalRecord[], mustSync: boolean, done: () => void): void {
    this.#queue.push({ records, mustSync, done });
    if (!this.#isBusy) this.#start();
  }

  #start(): void {
    if (this.#isFailed || this.#queue.length === 0) {
      this.#isBusy = false;
      for (const resolve of this.#onIdle.splice(0)) resolve();
      return;
    }
    this.#isBusy = true;
    const batch = this.#queue.splice(0);
    this.#attempt(() => {
      for (const { records } of batch) this.#writer.append(records);
    });
    const mustSync = batch.some((pending) => pending.mustSync);
    this.#options.clock.setTimeout(
      () => {
        if (mustSync) this.#attempt(() => this.#writer.sync());
        if (this.#isFailed) return;
        for (const { done } of batch) done();
        this.#attempt(() => void this.#writer.prepareNext());
        this.#start();
      },
      mustSync ? this.#options.syncDelay() : 0,
    );
  }

  #attempt(action: () => void): void {
    if (this.#isFailed) return;
    try {
      action();
    } catch (error) {
      this.#isFailed = true;
      this.#options.onError(error);
    }
  }

  release(index: number): void {
    this.#attempt(() => this.#writer.release(index));
  }

  abandon(): void {
    this.#isFailed = true;
    this.#queue = [];
  }

  async close(): Promise<void> {
    if (this.#isBusy) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    this.#writer.close();
  }
}
