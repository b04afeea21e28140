export interface FloodLimits {
  /** Streams that the client resets, or makes us reset, at once and afterwards in a second. */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /** Frames that bring nothing (see {@link FloodGuard.strike}), at once and afterwards in a second. */
  readonly idleBurst: number;
  readonly idlePerSecond: number;
}

export const floodLimits: FloodLimits = {
  resetBurst: 1000,
  resetsPerSecond: 33,
  idleBurst: 10_000,
  idlePerSecond: 1000,
};

/** Of frames that bring nothing, how many each frame with content makes good. */
const idlePerProgress = 4;

/** Counts what costs a server more than its client: work that is thrown away, and frames that ask for answers or bring nothing. */
export class FloodGuard {
  readonly #limits: FloodLimits;
  readonly #monotonic: () => number;
  #resets: number;
  #resetsAt: number;
  #idle: number;
  #idleAt: number;

  constructor(limits: FloodLimits, monotonic: () => number) {
    this.#limits = limits;
    this.#monotonic = monotonic;
    this.#resets = limits.resetBurst;
    this.#idle = limits.idleBurst;
    this.#resetsAt = this.#idleAt = monotonic();
  }

  /** A stream was reset before its answer was complete. False: too many. */
  reset(): boolean {
    if (this.#resets < 1) {
      const now = this.#monotonic();
      const { resetBurst, resetsPerSecond } = this.#limits;
      this.#resets = Math.min(resetBurst, this.#resets + ((now - this.#resetsAt) / 1000) * resetsPerSecond);
      this.#resetsAt = now;
    }
    return --this.#resets >= 0;
  }

  /** A frame without content: SETTINGS, PING, PRIORITY, WINDOW_UPDATE, empty DATA, one of an unknown kind or of a stream that is gone. False: too many. */
  strike(weight = 1): boolean {
    if (this.#idle < weight) {
      const now = this.#monotonic();
      const { idleBurst, idlePerSecond } = this.#limits;
      this.#idle = Math.min(idleBurst, this.#idle + ((now - this.#idleAt) / 1000) * idlePerSecond);
      this.#idleAt = now;
    }
    this.#idle -= weight;
    return this.#idle >= 0;
  }

  /** A request, content of one or of an answer passed. */
  progress(): void {
    if (this.#idle < this.#limits.idleBurst) this.#idle += idlePerProgress;
  }
}
