/** How much of the last value stays when demand falls, at each adjustment (upstream's constant). */
const smoothing = 0.977;

/** Follows the seats that a priority level's requests use or wait for, between two adjustments of the limits. */
export class SeatDemand {
  #value = 0;
  #sinceMs: number;
  #startMs: number;
  #integral = 0;
  #squares = 0;
  #highest = 0;
  /** High watermark of the last period. */
  highWatermark = 0;
  average = 0;
  deviation = 0;
  /** Average and deviation together, falling slowly. */
  smoothed = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
    this.#startMs = nowMs;
  }

  set(nowMs: number, value: number): void {
    this.#integrate(nowMs);
    this.#value = value;
    this.#highest = Math.max(this.#highest, value);
  }

  /** Ends a period and begins the next one. */
  endPeriod(nowMs: number): void {
    this.#integrate(nowMs);
    const lengthMs = nowMs - this.#startMs;
    if (lengthMs > 0) {
      this.average = this.#integral / lengthMs;
      this.deviation = Math.sqrt(Math.max(0, this.#squares / lengthMs - this.average ** 2));
    } else {
      this.average = this.#value;
      this.deviation = 0;
    }
    this.highWatermark = this.#highest;
    const envelope = this.average + this.deviation;
    this.smoothed = Math.max(envelope, smoothing * this.smoothed + (1 - smoothing) * envelope);
    this.#startMs = nowMs;
    this.#integral = 0;
    this.#squares = 0;
    this.#highest = this.#value;
  }

  #integrate(nowMs: number): void {
    const elapsed = Math.max(0, nowMs - this.#sinceMs);
    this.#integral += this.#value * elapsed;
    this.#squares += this.#value ** 2 * elapsed;
    this.#sinceMs = Math.max(nowMs, this.#sinceMs);
  }
}
