import type { Clock, Timer } from '@pilothouse/base';

/** One member's view of the virtual clock: its timers run fast or slow, its wall clock is wrong. */
export class SkewedClock implements Clock {
  readonly #base: Clock;
  #rate = 1;
  /** True time and this member's at the last change of the rate. */
  #anchor = { base: 0, own: 0 };
  /** Milliseconds that its wall clock is ahead. */
  offsetMs = 0;

  constructor(base: Clock) {
    this.#base = base;
  }

  now(): number {
    return this.#base.now() + this.offsetMs;
  }

  /** Above 1: this member's time runs faster than true time from now on. It never jumps. */
  get rate(): number {
    return this.#rate;
  }

  set rate(value: number) {
    this.#anchor = { base: this.#base.monotonic(), own: this.monotonic() };
    this.#rate = value;
  }

  monotonic(): number {
    const { base, own } = this.#anchor;
    return own + (this.#base.monotonic() - base) * this.#rate;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    return this.#base.setTimeout(callback, delayMs / this.#rate);
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
