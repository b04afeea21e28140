import type { Clock, Timer } from '@pilothouse/base';

/** One member's view of the virtual clock: its timers run fast or slow, its wall clock is wrong. */
export class SkewedClock implements Clock {
  readonly #base: Clock;
  /** Above 1: this member's time runs faster than true time. */
  rate = 1;
  /** Milliseconds that its wall clock is ahead. */
  offsetMs = 0;

  constructor(base: Clock) {
    this.#base = base;
  }

  now(): number {
    return this.#base.now() + this.offsetMs;
  }

  monotonic(): number {
    return this.#base.monotonic() * this.rate;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    return this.#base.setTimeout(callback, delayMs / this.rate);
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
}
