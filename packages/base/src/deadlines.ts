import type { Clock, Timer } from './clock.ts';

export interface Deadline {
  /** Monotonic time, milliseconds. */
  readonly at: number;
  onOver(): void;
}

/** Many deadlines behind one timer: calls come and go by the thousand, and hardly one of them is over. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #open = new Set<Deadline>();
  #timer: Timer | undefined;
  #timerAt = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(deadline: Deadline): void {
    this.#open.add(deadline);
    if (deadline.at < this.#timerAt) this.#set(deadline.at);
  }

  /** The timer stays for those that come next. */
  delete(deadline: Deadline): void {
    this.#open.delete(deadline);
  }

  /** Forgets all. */
  clear(): void {
    this.#open.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  #set(at: number): void {
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#clock.setTimeout(() => this.#check(), Math.max(0, at - this.#clock.monotonic()));
  }

  #check(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    const now = this.#clock.monotonic();
    let next = Infinity;
    for (const deadline of [...this.#open]) {
      if (deadline.at <= now) {
        this.#open.delete(deadline);
        deadline.onOver();
      } else next = Math.min(next, deadline.at);
    }
    if (next < this.#timerAt) this.#set(next);
  }
}
