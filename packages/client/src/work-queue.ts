import type { Clock, Timer } from '@pilothouse/base';

/** Delays between retries of one key. Defaults are client-go's: 5 ms doubling to 1000 s. */
export interface BackoffOptions {
  readonly baseDelayMs?: number;
  readonly maxDelayMs?: number;
  readonly observer?: QueueObserver;
}

/** Told what happens to the keys of a queue; for metrics. */
export interface QueueObserver {
  added(key: string): void;
  taken(key: string): void;
  done(key: string): void;
  retried(): void;
}

/**
 * A queue of keys for level-driven work (client-go's workqueue). Fair (in order), stingy (a key that is added many times before
 * it is taken is worked once), safe for many workers (a key is never worked by two at a time; when it is added meanwhile it comes
 * again afterwards). `done` must be called for each key taken.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #baseDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #observer: QueueObserver | undefined;
  #queue: string[] = [];
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #waiting = new Map<string, { timer: Timer; due: number }>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #closed = false;

  constructor(clock: Clock, options: BackoffOptions = {}) {
    this.#clock = clock;
    this.#baseDelayMs = options.baseDelayMs ?? 5;
    this.#maxDelayMs = options.maxDelayMs ?? 1_000_000;
    this.#observer = options.observer;
  }

  /** Keys ready to be taken. */
  get length(): number {
    return this.#queue.length;
  }

  add(key: string): void {
    if (this.#closed || this.#dirty.has(key)) return;
    this.#dirty.add(key);
    this.#observer?.added(key);
    if (!this.#processing.has(key)) this.#offer(key);
  }

  /** Adds after `delayMs`; an earlier pending time wins. */
  addAfter(key: string, delayMs: number): void {
    if (this.#closed) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const due = this.#clock.monotonic() + delayMs;
    const pending = this.#waiting.get(key);
    if (pending) {
      if (pending.due <= due) return;
      pending.timer.cancel();
    }
    const timer = this.#clock.setTimeout(() => {
      this.#waiting.delete(key);
      this.add(key);
    }, delayMs);
    this.#waiting.set(key, { timer, due });
  }

  /** Adds after the key's own exponential delay. */
  addRateLimited(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#observer?.retried();
    this.addAfter(key, Math.min(this.#maxDelayMs, this.#baseDelayMs * 2 ** Math.min(failures, 40)));
  }

  /** Resets the key's delay: call when it was worked well. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  retries(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key; undefined once the queue is closed. */
  take(): Promise<string | undefined> {
    const key = this.#queue.shift();
    if (key !== undefined) {
      this.#start(key);
      return Promise.resolve(key);
    }
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  done(key: string): void {
    this.#processing.delete(key);
    this.#observer?.done(key);
    if (this.#dirty.has(key)) this.#offer(key);
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    for (const { timer } of this.#waiting.values()) timer.cancel();
    this.#waiting.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #start(key: string): void {
    this.#dirty.delete(key);
    this.#processing.add(key);
    this.#observer?.taken(key);
  }

  #offer(key: string): void {
    const taker = this.#takers.shift();
    if (taker) {
      this.#start(key);
      taker(key);
    } else this.#queue.push(key);
  }
}
