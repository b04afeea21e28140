import type { KeyText } from '../key-text.ts';
import type { Garbage } from './garbage.ts';

/** Where a key's value at some revision is, and the facts that compares and filters need. */
export interface KeyVersion {
  readonly key: KeyText;
  readonly main: number;
  readonly sub: number;
  readonly createMain: number;
  readonly version: number;
}

/** A stored revision: where it is, bytes that it takes, and its part of the sum over all revisions. */
export interface StoredRevision {
  readonly main: number;
  readonly sub: number;
  readonly bytes: number;
  readonly sum: number;
}

/** A former life of a key, from its creation to its tombstone. */
interface PastLife {
  readonly createMain: number;
  readonly puts: number;
  /** Revisions still kept, ascending; the last one is the tombstone. */
  readonly mains: number[];
  readonly subs: number[];
}

/**
 * All kept revisions of one key. Most keys have one, in a store that is compacted: it stands in the object itself, since a store has millions of
 * these.
 */
export class KeyIndex {
  readonly key: KeyText;
  /** The newest life: its creation, and its puts, also those whose revisions were compacted away. */
  #createMain = 0;
  #puts = 0;
  #isEnded = false;
  /** The newest revision; main 0: there is none. */
  #main = 0;
  #sub = 0;
  #bytes = 0;
  #sum = 0;
  /** Kept revisions of the newest life before that, ascending. */
  #mains: number[] | undefined;
  #subs: number[] | undefined;
  #past: PastLife[] | undefined;

  constructor(key: KeyText) {
    this.key = key;
  }

  get isEmpty(): boolean {
    return this.#main === 0;
  }

  /** The key exists as of now. */
  get isAlive(): boolean {
    return this.#main !== 0 && !this.#isEnded;
  }

  /** The newest revision, for the list of what can be removed. The key must have one. */
  get newest(): Omit<Garbage, 'at'> {
    return { index: this, main: this.#main, sub: this.#sub, bytes: this.#bytes, sum: this.#sum };
  }

  /** Adds a put. Returns the key's create revision and version after it; {@link KeyIndex.stored} must follow. */
  put(main: number, sub: number): { createMain: number; version: number } {
    if (this.isAlive) this.#supersede();
    else this.#begin(main, 0, false);
    this.#puts++;
    this.#main = main;
    this.#sub = sub;
    return { createMain: this.#createMain, version: this.#puts };
  }

  /** Ends the key's life. The key must be alive; {@link KeyIndex.stored} must follow. */
  tombstone(main: number, sub: number): void {
    this.#supersede();
    this.#main = main;
    this.#sub = sub;
    this.#isEnded = true;
  }

  /** Tells of the newest revision what it takes. */
  stored(bytes: number, sum: number): void {
    this.#bytes = bytes;
    this.#sum = sum;
  }

  /** Loads a stored revision; in revision order, also where compaction removed the ones before it. `createMain` 0: a tombstone. */
  restore({ main, sub, bytes, sum }: StoredRevision, createMain: number, version: number): void {
    if (this.isAlive) this.#supersede();
    else this.#begin(createMain === 0 ? main : createMain, 0, false);
    if (createMain === 0) this.#isEnded = true;
    else this.#puts = version;
    this.#main = main;
    this.#sub = sub;
    this.stored(bytes, sum);
  }

  #begin(createMain: number, puts: number, isEnded: boolean): void {
    if (this.#main !== 0) {
      const { mains, subs } = this.#kept();
      (this.#past ??= []).push({ createMain: this.#createMain, puts: this.#puts, mains, subs });
      this.#mains = this.#subs = undefined;
    }
    this.#createMain = createMain;
    this.#puts = puts;
    this.#isEnded = isEnded;
  }

  #supersede(): void {
    (this.#mains ??= []).push(this.#main);
    (this.#subs ??= []).push(this.#sub);
  }

  #kept(): { mains: number[]; subs: number[] } {
    return { mains: [...(this.#mains ?? []), this.#main], subs: [...(this.#subs ?? []), this.#sub] };
  }

  /** The key as of revision `atMain` (inclusive), or undefined when it did not exist then. */
  at(atMain: number): KeyVersion | undefined {
    if (this.#main === 0) return undefined;
    if (this.#main <= atMain)
      return this.#isEnded ? undefined : this.#version(this.#main, this.#sub, this.#createMain, this.#puts);
    const mains = this.#mains;
    if (mains !== undefined && (mains[0] as number) <= atMain) {
      const index = newestUpTo(mains, atMain);
      const putsAfter = mains.length - index - (this.#isEnded ? 1 : 0);
      const sub = (this.#subs as number[])[index] as number;
      return this.#version(mains[index] as number, sub, this.#createMain, this.#puts - putsAfter);
    }
    for (let life = (this.#past?.length ?? 0) - 1; life >= 0; life--) {
      const past = (this.#past as PastLife[])[life] as PastLife;
      if ((past.mains[0] as number) > atMain) continue;
      const index = newestUpTo(past.mains, atMain);
      const putsAfter = past.mains.length - 2 - index;
      if (putsAfter < 0) return undefined;
      const sub = past.subs[index] as number;
      return this.#version(past.mains[index] as number, sub, past.createMain, past.puts - putsAfter);
    }
    return undefined;
  }

  #version(main: number, sub: number, createMain: number, version: number): KeyVersion {
    return { key: this.key, main, sub, createMain, version };
  }

  /** Forgets one revision, normally the oldest. */
  remove(main: number, sub: number): void {
    const past = this.#past;
    for (let life = 0; life < (past?.length ?? 0); life++) {
      const { mains, subs } = (past as PastLife[])[life] as PastLife;
      if (!removeFrom(mains, subs, main, sub)) continue;
      if (mains.length === 0) (past as PastLife[]).splice(life, 1);
      if ((past as PastLife[]).length === 0) this.#past = undefined;
      return;
    }
    if (this.#mains !== undefined && removeFrom(this.#mains, this.#subs as number[], main, sub)) {
      if (this.#mains.length === 0) this.#mains = this.#subs = undefined;
      return;
    }
    // The newest revision can go when it is a tombstone, which is after all before it.
    if (this.#main === main && this.#sub === sub) this.#main = 0;
  }
}

function newestUpTo(mains: readonly number[], atMain: number): number {
  let [low, high] = [0, mains.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((mains[middle] as number) <= atMain) low = middle;
    else high = middle - 1;
  }
  return low;
}

function removeFrom(mains: number[], subs: number[], main: number, sub: number): boolean {
  for (let index = 0; index < mains.length && (mains[index] as number) <= main; index++) {
    if (mains[index] !== main || subs[index] !== sub) continue;
    mains.splice(index, 1);
    subs.splice(index, 1);
    return true;
  }
  return false;
}
