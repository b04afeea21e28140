/** A timer that was started; `cancel` is idempotent and safe after it fired. */
export interface Timer {
  cancel(): void;
}

/** Time as a parameter. `host` gives the real one, `testkit` a virtual one that a test advances. */
export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. May jump; never use it to measure a duration. */
  now(): number;
  /** Milliseconds that never go backwards, with an arbitrary zero; fractions are allowed. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs` milliseconds. */
  setTimeout(callback: () => void, delayMs: number): Timer;
  /** Calls `callback` every `periodMs` milliseconds until cancelled. */
  setInterval(callback: () => void, periodMs: number): Timer;
}

/** Resolves after `delayMs` milliseconds of `clock`. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimeout(resolve, delayMs);
  });
}
