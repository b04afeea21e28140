import { Slots } from './slots.ts';

/** Wide columns. */
const main = 0;
const createMain = 1;
const version = 2;
const sum = 3;
/** Narrow columns. */
const key = 0;
const sub = 1;
const bytes = 2;
const older = 3;
const newer = 4;
const jump = 5;
const depth = 6;
/** Depth of a row that is not in use. */
const gone = 2 ** 32 - 1;

/** A stored revision: where it is, and what it was to its key. */
export interface NewRevision {
  readonly main: number;
  readonly sub: number;
  /** 0: a tombstone. */
  readonly createMain: number;
  readonly version: number;
}

/**
 * Every kept revision of every key, each a row in a list from its key's newest to the oldest. A second link of each leads further back, so that an
 * old one among many is found in few steps.
 */
export class RevisionTable {
  readonly #rows = new Slots(4, 7);

  /** Adds a revision of `ofKey` on top of its newest one, 0 for none. {@link RevisionTable.stored} must follow. */
  push(ofKey: number, newest: number, revision: NewRevision): number {
    const rows = this.#rows;
    const slot = rows.add();
    rows.setWide(slot, main, revision.main);
    rows.setWide(slot, createMain, revision.createMain);
    rows.setWide(slot, version, revision.version);
    rows.setNarrow(slot, key, ofKey);
    rows.setNarrow(slot, sub, revision.sub);
    rows.setNarrow(slot, older, newest);
    rows.setNarrow(slot, newer, 0);
    rows.setNarrow(slot, depth, newest === 0 ? 1 : rows.narrow(newest, depth) + 1);
    rows.setNarrow(slot, jump, newest === 0 ? 0 : this.#jumpOver(newest));
    if (newest !== 0) rows.setNarrow(newest, newer, slot);
    return slot;
  }

  /** Where the second link of a row above `below` leads: steps double as in a counter, so that the way to any row is logarithmic. */
  #jumpOver(below: number): number {
    const rows = this.#rows;
    const first = this.#jumpOf(below);
    if (first === 0) return below;
    const second = this.#jumpOf(first);
    if (second === 0) return below;
    const near = rows.narrow(below, depth) - rows.narrow(first, depth);
    return near === rows.narrow(first, depth) - rows.narrow(second, depth) ? second : below;
  }

  /** Where a row's second link leads; 0: nowhere, or that row is gone. Its slot may be another's by now. */
  #jumpOf(slot: number): number {
    const rows = this.#rows;
    const to = rows.narrow(slot, jump);
    if (to === 0 || rows.narrow(to, key) !== rows.narrow(slot, key)) return 0;
    return rows.narrow(to, depth) < rows.narrow(slot, depth) ? to : 0;
  }

  /** Tells of a revision what it takes. */
  stored(slot: number, taken: number, part: number): void {
    this.#rows.setNarrow(slot, bytes, taken);
    this.#rows.setWide(slot, sum, part);
  }

  /** Takes a row out of its key's list. Returns what became the newest because of that, undefined where that stays; 0: the key has none left. */
  remove(slot: number): number | undefined {
    const rows = this.#rows;
    const [before, after] = [rows.narrow(slot, older), rows.narrow(slot, newer)];
    if (before !== 0) rows.setNarrow(before, newer, after);
    if (after !== 0) rows.setNarrow(after, older, before);
    rows.remove(slot);
    // So that links that still lead here are seen to be old.
    rows.setNarrow(slot, depth, gone);
    return after === 0 ? before : undefined;
  }

  /** The newest row at or below `newest` whose revision is at most `atMain`; 0: none. */
  upTo(newest: number, atMain: number): number {
    const rows = this.#rows;
    let slot = newest;
    while (slot !== 0 && rows.wide(slot, main) > atMain) {
      const far = this.#jumpOf(slot);
      slot = far !== 0 && rows.wide(far, main) > atMain ? far : rows.narrow(slot, older);
    }
    return slot;
  }

  isTombstone(slot: number): boolean {
    return this.#rows.wide(slot, createMain) === 0;
  }

  keyOf(slot: number): number {
    return this.#rows.narrow(slot, key);
  }

  mainOf(slot: number): number {
    return this.#rows.wide(slot, main);
  }

  subOf(slot: number): number {
    return this.#rows.narrow(slot, sub);
  }

  createMainOf(slot: number): number {
    return this.#rows.wide(slot, createMain);
  }

  /** Puts of the key's life up to this one; 0: a tombstone. */
  versionOf(slot: number): number {
    return this.#rows.wide(slot, version);
  }

  /** Bytes that it takes. */
  bytesOf(slot: number): number {
    return this.#rows.narrow(slot, bytes);
  }

  /** Its part of the sum over all revisions. */
  sumOf(slot: number): number {
    return this.#rows.wide(slot, sum);
  }
}
