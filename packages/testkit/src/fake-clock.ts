import type { Clock, Timer } from '@pilothouse/base';

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

/** A virtual clock: time passes only when told to. Timers of one instant fire in the order in which they were set. */
export class FakeClock implements Clock {
  readonly #heap: Scheduled[] = [];
  #now = 0;
  #order = 0;
  readonly #epoch: number;

  /** `epoch`: wall time at the start, milliseconds. */
  constructor(epoch = 1_700_000_000_000) {
    this.#epoch = epoch;
  }

  now(): number {
    return this.#epoch + Math.floor(this.#now);
  }

  monotonic(): number {
    return this.#now;
  }

  /** Number of timers that are still to fire. */
  get pending(): number {
    return this.#heap.reduce((count, timer) => count + (timer.isCancelled ? 0 : 1), 0);
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    const timer: Scheduled = {
      at: this.#now + Math.max(0, delayMs),
      order: this.#order++,
      callback,
      isCancelled: false,
    };
    this.#push(timer);
    return {
      cancel() {
        timer.isCancelled = true;
      },
    };
  }

  setInterval(callback: () => void, periodMs: number): Timer {
    let isCancelled = false;
    let current: Timer;
    const arm = (): void => {
      current = this.setTimeout(() => {
        callback();
        if (!isCancelled) arm();
      }, periodMs);
    };
    arm();
    return {
      cancel() {
        isCancelled = true;
        current.cancel();
      },
    };
  }

  /** Fires the next timer; false when there is none, or none up to `until`. */
  step(until = Infinity): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.at > until) return false;
      this.#pop();
      if (next.isCancelled) continue;
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      return true;
    }
  }

  /** Lets `ms` pass and fires what is due, in order. Synchronous: promises settle only when the caller yields. */
  advance(ms: number): void {
    const until = this.#now + ms;
    while (this.step(until));
    this.#now = until;
  }

  /** As {@link advance}, with a turn of the microtask queue after each timer, so that awaiting code runs in between. */
  async advanceAsync(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      for (let turn = 0; turn < 4; turn++) await Promise.resolve();
      if (!this.step(until)) break;
    }
    this.#now = until;
  }

  #before(a: Scheduled, b: Scheduled): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  #push(timer: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(timer, heap[parent] as Scheduled)) break;
      heap[at] = heap[parent] as Scheduled;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Scheduled;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#before(heap[child + 1] as Scheduled, heap[child] as Scheduled))
        child++;
      if (!this.#before(heap[child] as Scheduled, last)) break;
      heap[at] = heap[child] as Scheduled;
      at = child;
    }
    heap[at] = last;
  }
}
