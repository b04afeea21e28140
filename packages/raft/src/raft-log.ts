import { assert } from '@pilothouse/base';
import { entryBytes } from './types.ts';
import type { Entry, LogIndex, Term } from './types.ts';

/**
 * The log since the last compaction, in memory. Cursors, in order:
 * offset ≤ applied ≤ committed ≤ last, and stable ≤ last (stable: durable on this member).
 */
export class RaftLog {
  #entries: Entry[] = [];
  #offset: LogIndex;
  #offsetTerm: Term;
  #bytes = 0;
  committed: LogIndex;
  applied: LogIndex;
  /** Given out for application, not yet reported as applied. */
  applying: LogIndex;
  stable: LogIndex;
  /** Given out for persistence. */
  persisting: LogIndex;

  constructor(offset: LogIndex, offsetTerm: Term) {
    this.#offset = offset;
    this.#offsetTerm = offsetTerm;
    this.committed = this.applied = this.applying = this.stable = this.persisting = offset;
  }

  /** Index just before the first entry. */
  get offset(): LogIndex {
    return this.#offset;
  }

  get lastIndex(): LogIndex {
    return (this.#offset + this.#entries.length) as LogIndex;
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.#offsetTerm;
  }

  /** Payload bytes of the entries in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Undefined when the entry is compacted away or does not exist. */
  term(index: LogIndex): Term | undefined {
    if (index === this.#offset) return this.#offsetTerm;
    return this.#entries[index - this.#offset - 1]?.term;
  }

  entry(index: LogIndex): Entry | undefined {
    return this.#entries[index - this.#offset - 1];
  }

  /** Entries in (after, to], at most `bytesMax` of payload but at least one. */
  slice(after: LogIndex, to: LogIndex, bytesMax = Infinity): Entry[] {
    assert(
      after >= this.#offset,
      `Entries after ${after} are compacted: the log begins after ${this.#offset}`,
    );
    const result: Entry[] = [];
    let bytes = 0;
    for (let position = after - this.#offset; position < to - this.#offset; position++) {
      const entry = this.#entries[position];
      if (!entry) break;
      bytes += entryBytes(entry);
      if (result.length > 0 && bytes > bytesMax) break;
      result.push(entry);
    }
    return result;
  }

  /** Appends at the end (leader). */
  push(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, `Entry ${entry.index} does not follow ${this.lastIndex}`);
    this.#entries.push(entry);
    this.#bytes += entryBytes(entry);
  }

  /** Drops entries from `index` on; committed ones never. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.committed, `Cannot truncate from ${index}: ${this.committed} is committed`);
    const kept = index - this.#offset - 1;
    for (const entry of this.#entries.slice(kept)) this.#bytes -= entryBytes(entry);
    this.#entries.length = kept;
    this.stable = Math.min(this.stable, index - 1) as LogIndex;
    this.persisting = Math.min(this.persisting, index - 1) as LogIndex;
  }

  /**
   * The highest index at or below `index` whose term is at or below `term`: where two logs may still agree. Skips
   * whole terms, so that finding the match takes one round per term and not per entry.
   */
  findConflict(index: LogIndex, term: Term): { index: LogIndex; term: Term } {
    let at = Math.min(index, this.lastIndex);
    while (at > this.#offset) {
      const own = this.term(at as LogIndex);
      if (own === undefined || own <= term) break;
      at--;
    }
    return { index: at as LogIndex, term: this.term(at as LogIndex) ?? (0 as Term) };
  }

  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** Forgets entries up to `index`, which must be applied. */
  compact(index: LogIndex): void {
    if (index <= this.#offset) return;
    assert(index <= this.applied, `Cannot compact to ${index}: applied is ${this.applied}`);
    const term = this.term(index);
    assert(term !== undefined, 'A compacted entry exists');
    for (const entry of this.#entries.slice(0, index - this.#offset)) this.#bytes -= entryBytes(entry);
    this.#entries = this.#entries.slice(index - this.#offset);
    this.#offset = index;
    this.#offsetTerm = term;
  }

  /** Replaces everything by a snapshot. */
  restore(index: LogIndex, term: Term): void {
    this.#entries = [];
    this.#bytes = 0;
    this.#offset = index;
    this.#offsetTerm = term;
    this.committed = this.stable = this.persisting = index;
  }
}
