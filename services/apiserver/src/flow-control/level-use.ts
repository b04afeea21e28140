/** Takes weighted values: what a histogram is. */
export interface WeightedValues {
  observe(value: number, weight?: number): void;
}

/** Observes a value that changes in steps as upstream's timing histograms do: once for each nanosecond that it lasted. */
export class TimedValue {
  readonly #values: WeightedValues;
  #value = 0;
  #sinceMs: number;

  constructor(values: WeightedValues, nowMs: number) {
    this.#values = values;
    this.#sinceMs = nowMs;
  }

  /** From now on it is `value`. */
  set(nowMs: number, value: number): void {
    const elapsedNs = Math.round((nowMs - this.#sinceMs) * 1e6);
    if (elapsedNs > 0) {
      this.#values.observe(this.#value, elapsedNs);
      this.#sinceMs = nowMs;
    }
    this.#value = value;
  }
}

/** How much of a priority level is used. */
export interface LevelUse {
  /** Seats in use, as a share of the level's. */
  readonly seats: TimedValue;
  /** Requests that are executed, as a share of the level's seats. */
  readonly executing: TimedValue;
  /** Requests that wait, as a share of the places in its queues. */
  readonly waiting: TimedValue;
}
