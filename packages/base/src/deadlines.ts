import type { Clock, Timer } from './clock.ts';
import { Members, type Membership } from './members.ts';

export interface Deadline {
  /** Monotonic time, milliseconds. */
  readonly at: number;
  onOver(): void;
}

/** Many deadlines behind one timer: calls come and go by the thousand, and hardly one of them is over. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #open = new Members<Deadline>();
  #timer: Timer | undefined;
  #timerAt = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To leave its place is to be in time; the timer stays for those that come next. */
  add(deadline: Deadline): Membership<Deadline> {
    if (deadline.at < this.#timerAt) this.#set(deadline.at);
    return this.#open.add(deadline);
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
    for (const place of this.#open.places()) {
      const deadline = place.value;
      // One that is over may have ended another.
      if (deadline === undefined) continue;
      if (deadline.at <= now) {
        place.leave();
        deadline.onOver();
      } else next = Math.min(next, deadline.at);
    }
    if (next < this.#timerAt) this.#set(next);
  }
}
