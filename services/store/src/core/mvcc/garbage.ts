import { NumberQueue } from './number-queue.ts';
import { difference, sumOf } from './revision-sums.ts';

/** Superseded revisions, by their rows, in the order in which compactions may remove them. */
export class GarbageQueue {
  /** From which compaction on each can be removed, its row, and the sum of it and of all before it, also those that are gone. */
  readonly #ats = new NumberQueue();
  readonly #rows = new NumberQueue();
  readonly #totals = new NumberQueue();
  #total = 0;
  #takenTotal = 0;

  /** `at`: removable by a compaction at this revision or later; `sum`: its part of the sum over all revisions. */
  push(at: number, row: number, sum: number): void {
    this.#total = sumOf(this.#total, sum);
    this.#ats.push(at);
    this.#rows.push(row);
    this.#totals.push(this.#total);
  }

  hasUpTo(revision: number): boolean {
    return this.#ats.length > 0 && this.#ats.at(0) <= revision;
  }

  /** Takes the row of the next one that a compaction at `revision` removes; 0: there is none. */
  take(revision: number): number {
    if (!this.hasUpTo(revision)) return 0;
    const row = this.#rows.at(0);
    this.#takenTotal = this.#totals.at(0);
    for (const queue of [this.#ats, this.#rows, this.#totals]) queue.drop(1);
    return row;
  }

  /** The sum of what a compaction at `revision` removes and has not removed yet. */
  sumUpTo(revision: number): number {
    const count = this.#ats.countUpTo(revision);
    return count === 0 ? 0 : difference(this.#totals.at(count - 1), this.#takenTotal);
  }
}
