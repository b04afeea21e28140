import { crc32c } from '../crc32c.ts';
import { NumberQueue } from './number-queue.ts';

const modulus = 2 ** 48;
const spread = 40_503;
const subSpread = 2_654_435_761;

export const sumOf = (a: number, b: number): number => {
  const sum = a + b;
  return sum >= modulus ? sum - modulus : sum;
};
export const difference = (a: number, b: number): number => (a >= b ? a - b : a - b + modulus);

/** What one revision adds to the sum over all: 48 bits. Its bytes hold the key and, with `modRevision`, the revision. */
export function revisionSum(sub: number, bytes: Uint8Array): number {
  return (crc32c(bytes) * spread + sub * subSpread) % modulus;
}

/** 32 bits of a sum. */
export function foldSum(sum: number): number {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, sum);
  return crc32c(bytes);
}

/**
 * The sum of all kept revisions, so that members can be compared without reading anything. It does not depend on the order in which revisions
 * come and go. What was added since the last compaction is known for each revision, so that an older state can be summed up too.
 */
export class RevisionSums {
  #total = 0;
  /** Ascending revisions after the last compaction, and the sum of all that was added up to each; `#base` before the first. */
  readonly #mains = new NumberQueue();
  readonly #sums = new NumberQueue();
  #added = 0;
  #base = 0;

  add(main: number, sum: number): void {
    this.#total = sumOf(this.#total, sum);
    this.#added = sumOf(this.#added, sum);
    const last = this.#mains.length - 1;
    if (last >= 0 && this.#mains.at(last) === main) this.#sums.set(last, this.#added);
    else {
      this.#mains.push(main);
      this.#sums.push(this.#added);
    }
  }

  remove(sum: number): void {
    this.#total = difference(this.#total, sum);
  }

  /** States before `revision` are not asked for any more. */
  compacted(revision: number): void {
    const count = this.#mains.countUpTo(revision);
    if (count === 0) return;
    this.#base = this.#sums.at(count - 1);
    this.#mains.drop(count);
    this.#sums.drop(count);
  }

  /** The sum of the kept revisions up to `revision`, which is not below the last compaction. */
  upTo(revision: number): number {
    const count = this.#mains.countUpTo(revision);
    const before = count === 0 ? this.#base : this.#sums.at(count - 1);
    return difference(this.#total, difference(this.#added, before));
  }
}
