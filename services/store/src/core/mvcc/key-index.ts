import type { KeyText } from '../key-text.ts';

/** Where a key's value at some revision is, and the facts that compares and filters need. */
export interface KeyVersion {
  readonly key: KeyText;
  readonly main: number;
  readonly sub: number;
  readonly createMain: number;
  readonly version: number;
}

/** One life of a key, from its creation to its tombstone. */
interface Generation {
  readonly createMain: number;
  /** Puts in this life, also those whose revisions were compacted away. */
  puts: number;
  /** Revisions still kept, ascending; the last one is the tombstone when `isEnded`. */
  readonly mains: number[];
  readonly subs: number[];
  isEnded: boolean;
}

/** All kept revisions of one key. */
export class KeyIndex {
  readonly key: KeyText;
  readonly #generations: Generation[] = [];

  constructor(key: KeyText) {
    this.key = key;
  }

  get isEmpty(): boolean {
    return this.#generations.length === 0;
  }

  /** The newest revision of the key, tombstones included, or undefined. */
  last(): { main: number; sub: number; isTombstone: boolean } | undefined {
    const generation = this.#generations[this.#generations.length - 1];
    if (generation === undefined) return undefined;
    const at = generation.mains.length - 1;
    return {
      main: generation.mains[at] as number,
      sub: generation.subs[at] as number,
      isTombstone: generation.isEnded,
    };
  }

  /** Adds a put. Returns the key's create revision and version after it. */
  put(main: number, sub: number): { createMain: number; version: number } {
    let generation = this.#generations[this.#generations.length - 1];
    if (generation === undefined || generation.isEnded) {
      generation = { createMain: main, puts: 0, mains: [], subs: [], isEnded: false };
      this.#generations.push(generation);
    }
    generation.puts++;
    generation.mains.push(main);
    generation.subs.push(sub);
    return { createMain: generation.createMain, version: generation.puts };
  }

  /** Ends the key's life. The key must be alive. */
  tombstone(main: number, sub: number): void {
    const generation = this.#generations[this.#generations.length - 1] as Generation;
    generation.mains.push(main);
    generation.subs.push(sub);
    generation.isEnded = true;
  }

  /** Loads a stored revision; in revision order, also where compaction removed the ones before it. */
  restore(main: number, sub: number, createMain: number, version: number): void {
    const current = this.#generations[this.#generations.length - 1];
    if (createMain === 0) {
      if (current !== undefined && !current.isEnded) this.tombstone(main, sub);
      else this.#generations.push({ createMain: main, puts: 0, mains: [main], subs: [sub], isEnded: true });
      return;
    }
    if (current === undefined || current.isEnded) {
      this.#generations.push({ createMain, puts: version, mains: [main], subs: [sub], isEnded: false });
      return;
    }
    current.puts = version;
    current.mains.push(main);
    current.subs.push(sub);
  }

  /** The key as of revision `atMain` (inclusive), or undefined when it did not exist then. */
  at(atMain: number): KeyVersion | undefined {
    for (let g = this.#generations.length - 1; g >= 0; g--) {
      const generation = this.#generations[g] as Generation;
      const { mains, subs } = generation;
      if ((mains[0] as number) > atMain) continue;
      const count = mains.length;
      let index = count - 1;
      if ((mains[index] as number) > atMain) {
        let low = 0;
        while (low < index) {
          const middle = (low + index + 1) >> 1;
          if ((mains[middle] as number) <= atMain) low = middle;
          else index = middle - 1;
        }
      }
      if (generation.isEnded && index === count - 1) return undefined;
      const putsAfter = count - 1 - index - (generation.isEnded ? 1 : 0);
      return {
        key: this.key,
        main: mains[index] as number,
        sub: subs[index] as number,
        createMain: generation.createMain,
        version: generation.puts - putsAfter,
      };
    }
    return undefined;
  }

  /** True when (main, sub) is what a reader at `atMain` meets for this key, tombstones included. */
  isNewestAt(main: number, sub: number, atMain: number): boolean {
    for (let g = this.#generations.length - 1; g >= 0; g--) {
      const { mains, subs } = this.#generations[g] as Generation;
      for (let index = mains.length - 1; index >= 0; index--) {
        if ((mains[index] as number) > atMain) continue;
        return mains[index] === main && subs[index] === sub;
      }
    }
    return false;
  }

  /** Forgets one revision, normally the oldest. */
  remove(main: number, sub: number): void {
    for (let g = 0; g < this.#generations.length; g++) {
      const { mains, subs } = this.#generations[g] as Generation;
      for (let index = 0; index < mains.length && (mains[index] as number) <= main; index++) {
        if (mains[index] !== main || subs[index] !== sub) continue;
        mains.splice(index, 1);
        subs.splice(index, 1);
        if (mains.length === 0) this.#generations.splice(g, 1);
        return;
      }
    }
  }
}
