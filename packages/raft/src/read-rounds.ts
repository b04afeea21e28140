import type { LogIndex, MemberId } from './types.ts';

export interface PendingRead {
  readonly from: MemberId;
  readonly context: number;
  readonly index: LogIndex;
  readonly round: number;
}

/**
 * Reads that wait for the leader to confirm, by one round of heartbeats, that it still led when they arrived. All reads of
 * one turn share a round; confirming a round confirms all before it.
 */
export class ReadRounds {
  #new: { readonly from: MemberId; readonly context: number }[] = [];
  #waiting: PendingRead[] = [];
  /** Number of the newest round that was started; never reused by this member. */
  round = 0;

  get hasNew(): boolean {
    return this.#new.length > 0;
  }

  add(from: MemberId, context: number): void {
    this.#new.push({ from, context });
  }

  /** Gives the new reads a round; they will be answered with `commit`. */
  startRound(commit: LogIndex): void {
    this.round++;
    for (const { from, context } of this.#new)
      this.#waiting.push({ from, context, index: commit, round: this.round });
    this.#new = [];
  }

  /** Takes out the reads of all rounds up to `round`. */
  release(round: number): PendingRead[] {
    let count = 0;
    while (count < this.#waiting.length && (this.#waiting[count]?.round ?? Infinity) <= round) count++;
    return count === 0 ? [] : this.#waiting.splice(0, count);
  }

  clear(): void {
    this.#new = [];
    this.#waiting = [];
  }
}
