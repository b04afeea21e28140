import type { KeyRange, KeyText } from '../key-text.ts';
import { HashChains, hashOf } from './hash-chains.ts';
import { KeyBytes } from './key-bytes.ts';
import { RevisionTable } from './revision-table.ts';
import { Slots } from './slots.ts';
import { SortedSlots } from './sorted-slots.ts';

/** Where a key's value at some revision is, and the facts that compares and filters need. */
export interface KeyVersion {
  /** Its row in the table. */
  readonly row: number;
  readonly main: number;
  readonly sub: number;
  readonly createMain: number;
  readonly version: number;
}

/** Wide column. */
const place = 0;
/** Narrow columns. */
const length = 0;
const hash = 1;
const next = 2;
const newest = 3;

/**
 * Every key that has a kept revision, and its revisions: found by hash, walked in key order. A store has millions of these, so they are rows of
 * numbers in a few large pieces of memory, named by slots (0: none); as objects they would keep garbage collection busy for longer than the event
 * loop may stand still.
 */
export class KeyTable {
  readonly revisions = new RevisionTable();
  readonly #rows = new Slots(1, 4);
  readonly #bytes = new KeyBytes();
  readonly #sorted = new SortedSlots();
  /** Of those, keys that do not exist as of now, so that the others can be counted without a look at each. */
  readonly #dead = new SortedSlots();
  readonly #chains = new HashChains({
    hashOf: (slot) => this.#rows.narrow(slot, hash),
    nextOf: (slot) => this.#rows.narrow(slot, next),
    setNext: (slot, to) => this.#rows.setNarrow(slot, next, to),
  });
  /** Keys that are found by order only. */
  #unchained = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Order of the key in `slot` beside `key`. */
  #compare(slot: number, key: KeyText): number {
    return this.#bytes.compare(this.#rows.wide(slot, place), this.#rows.narrow(slot, length), key);
  }

  /** The key's slot. */
  find(key: KeyText): number {
    return this.#findHashed(hashOf(key), key);
  }

  #findHashed(hashed: number, key: KeyText): number {
    const found = this.#chains.find(hashed, (slot) => this.#compare(slot, key) === 0);
    if (found !== 0 || this.#unchained === 0) return found;
    return this.#sorted.find((slot) => this.#compare(slot, key));
  }

  /** The key's slot; {@link KeyTable.add} must follow when it has no revision yet. */
  findOrAdd(key: KeyText): number {
    const hashed = hashOf(key);
    const found = this.#findHashed(hashed, key);
    if (found !== 0) return found;
    const slot = this.#rows.add();
    this.#rows.setWide(slot, place, this.#bytes.add(key));
    this.#rows.setNarrow(slot, length, key.length);
    this.#rows.setNarrow(slot, hash, hashed);
    this.#rows.setNarrow(slot, newest, 0);
    if (!this.#chains.add(hashed, slot)) this.#unchained++;
    this.#sorted.insert(slot, (other) => this.#compare(other, key));
    this.#size++;
    return slot;
  }

  text(slot: number): KeyText {
    return this.#bytes.text(this.#rows.wide(slot, place), this.#rows.narrow(slot, length));
  }

  /** The row of the key's newest revision. */
  newest(slot: number): number {
    return this.#rows.narrow(slot, newest);
  }

  /** The key exists as of now. */
  isAlive(slot: number): boolean {
    const row = this.newest(slot);
    return row !== 0 && !this.revisions.isTombstone(row);
  }

  /** Adds a put. Returns its row; what it takes must be told to {@link KeyTable.revisions}. */
  put(slot: number, main: number, sub: number): number {
    const { revisions } = this;
    const row = this.newest(slot);
    return this.isAlive(slot)
      ? this.add(slot, main, sub, revisions.createMainOf(row), revisions.versionOf(row) + 1)
      : this.add(slot, main, sub, main, 1);
  }

  /** Ends the life of a key that exists. Returns the tombstone's row; what it takes must be told to {@link KeyTable.revisions}. */
  tombstone(slot: number, main: number, sub: number): number {
    return this.add(slot, main, sub, 0, 0);
  }

  /** Adds a revision as it was stored; in revision order. `createMain` 0: a tombstone. */
  add(slot: number, main: number, sub: number, createMain: number, version: number): number {
    const below = this.newest(slot);
    const row = this.revisions.push(slot, below, { main, sub, createMain, version });
    this.#rows.setNarrow(slot, newest, row);
    this.#noteLife(slot, below !== 0 && this.revisions.isTombstone(below), createMain === 0);
    return row;
  }

  #noteLife(slot: number, wasDead: boolean, isDead: boolean): void {
    if (wasDead === isDead) return;
    const key = this.text(slot);
    if (isDead) this.#dead.insert(slot, (other) => this.#compare(other, key));
    else this.#dead.remove(slot, (other) => this.#compare(other, key));
  }

  /** Forgets a revision; its key too, when that has no other. */
  remove(row: number): void {
    const slot = this.revisions.keyOf(row);
    const wasDead = this.revisions.isTombstone(this.newest(slot));
    const top = this.revisions.remove(row);
    if (top === undefined) return;
    this.#rows.setNarrow(slot, newest, top);
    this.#noteLife(slot, wasDead, top !== 0 && this.revisions.isTombstone(top));
    if (top !== 0) return;
    const rows = this.#rows;
    const key = this.text(slot);
    if (!this.#chains.remove(rows.narrow(slot, hash), slot)) this.#unchained--;
    this.#sorted.remove(slot, (other) => this.#compare(other, key));
    this.#bytes.remove(rows.wide(slot, place), rows.narrow(slot, length));
    rows.remove(slot);
    this.#size--;
  }

  /** The row of what the key was at revision `atMain` (inclusive); 0: it did not exist then. */
  at(slot: number, atMain: number): number {
    const row = this.revisions.upTo(this.newest(slot), atMain);
    return row === 0 || this.revisions.isTombstone(row) ? 0 : row;
  }

  /** What stands in a row. */
  version(row: number): KeyVersion {
    const { revisions } = this;
    return {
      row,
      main: revisions.mainOf(row),
      sub: revisions.subOf(row),
      createMain: revisions.createMainOf(row),
      version: revisions.versionOf(row),
    };
  }

  keyOf(version: KeyVersion): KeyText {
    return this.text(this.revisions.keyOf(version.row));
  }

  /** How many keys of `range` exist as of now. */
  count({ from, to }: KeyRange): number {
    if (to === undefined) {
      const slot = this.find(from);
      return slot !== 0 && this.isAlive(slot) ? 1 : 0;
    }
    if (to !== null && to <= from) return 0;
    const begin = (slot: number): number => this.#compare(slot, from);
    const end = to === null ? undefined : (slot: number): number => this.#compare(slot, to);
    return this.#sorted.count(begin, end) - this.#dead.count(begin, end);
  }

  /** Visits rows of the keys of `range` that exist at `atMain`, in key order, until `visit` returns false. */
  walk({ from, to }: KeyRange, atMain: number, visit: (row: number) => boolean): void {
    if (to === undefined) {
      const slot = this.find(from);
      const row = slot === 0 ? 0 : this.at(slot, atMain);
      if (row !== 0) visit(row);
      return;
    }
    if (to !== null && to <= from) return;
    this.#sorted.walk(
      (slot) => this.#compare(slot, from),
      to === null ? undefined : (slot) => this.#compare(slot, to),
      (slot) => {
        const row = this.at(slot, atMain);
        return row === 0 || visit(row);
      },
    );
  }
}
