import type { KeyIndex } from './key-index.ts';
import { difference, sumOf } from './revision-sums.ts';

/** A revision that a compaction may remove. */
export interface Garbage {
  /** Removable by a compaction at this revision or later. */
  readonly at: number;
  readonly index: KeyIndex;
  readonly main: number;
  readonly sub: number;
  /** Bytes that it takes. */
  readonly bytes: number;
  /** Its part of the sum over all revisions. */
  readonly sum: number;
}

interface Queued extends Garbage {
  /** Sum of this one and of all that came before it, also those that are gone. */
  readonly total: number;
}

/** Superseded revisions in the order in which compactions may remove them. */
export class GarbageQueue {
  #items: (Queued | undefined)[] = [];
  #head = 0;
  #total = 0;
  #takenTotal = 0;

  push(garbage: Garbage): void {
    this.#total = sumOf(this.#total, garbage.sum);
    const { at, index, main, sub, bytes, sum } = garbage;
    this.#items.push({ at, index, main, sub, bytes, sum, total: this.#total });
  }

  hasUpTo(revision: number): boolean {
    const next = this.#items[this.#head];
    return next !== undefined && next.at <= revision;
  }

  /** Takes the next one that a compaction at `revision` removes. */
  take(revision: number): Garbage | undefined {
    const next = this.#items[this.#head];
    if (next === undefined || next.at > revision) return undefined;
    this.#items[this.#head++] = undefined;
    this.#takenTotal = next.total;
    if (this.#head > 4096 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return next;
  }

  /** The sum of what a compaction at `revision` removes and has not removed yet. */
  sumUpTo(revision: number): number {
    let [low, high] = [this.#head, this.#items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#items[middle] as Queued).at <= revision) low = middle + 1;
      else high = middle;
    }
    return low === this.#head ? 0 : difference((this.#items[low - 1] as Queued).total, this.#takenTotal);
  }
}
