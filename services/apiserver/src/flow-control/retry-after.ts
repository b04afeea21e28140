const secondsMin = 1;
const secondsMax = 32;

/**
 * How long clients that were refused should stay away, seconds: one more when at least three a second were refused over the last such time, one
 * less when fewer than one a second were. Kept for each priority level.
 */
export class RetryAfter {
  #seconds = secondsMin;
  #second = 0;
  #count = 0;
  #raisedAt = 0;
  #history: { second: number; count: number }[] = [];

  get seconds(): number {
    return this.#seconds;
  }

  /** One request was refused at `nowMs`. */
  refused(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second === this.#second) {
      this.#count++;
      return;
    }
    if (this.#count > 0) this.#history.push({ second: this.#second, count: this.#count });
    this.#second = second;
    this.#count = 1;
    const oldest = second - Math.min(2 * this.#seconds, secondsMax);
    this.#history = this.#history.filter((each) => each.second >= oldest);
    this.#adjust(second);
  }

  #adjust(second: number): void {
    const since = second - this.#seconds;
    let refused = 0;
    for (const each of this.#history) if (each.second >= since) refused += each.count;
    if (refused < this.#seconds) {
      this.#seconds = Math.max(secondsMin, this.#seconds - 1);
    } else if (refused >= 3 * this.#seconds && second - this.#raisedAt >= this.#seconds) {
      this.#seconds = Math.min(secondsMax, this.#seconds + 1);
      this.#raisedAt = second;
    }
  }
}
