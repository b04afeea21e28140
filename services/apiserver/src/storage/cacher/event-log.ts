import type { Stored } from '../../registry/rest/rest-storage.ts';

/** One change of a cached resource. */
export interface LogEntry {
  readonly revision: number;
  readonly key: string;
  readonly previous: Stored | undefined;
  /** Undefined: deleted. */
  readonly current: Stored | undefined;
  /** Values of the trigger field before and after, where the resource has one. */
  readonly triggerBefore: string | undefined;
  readonly triggerAfter: string | undefined;
  /** The previous state at the revision of this change, for DELETED events; made once for all watchers. */
  deletion: Stored | undefined;
}

/** The latest changes, numbered without gaps. Readers keep their own position. */
export class EventLog {
  readonly #limit: number;
  #entries: LogEntry[] = [];
  /** Number of the first entry kept. */
  #base = 0;
  /** Watches can be resumed from here on: every later change is in the log. */
  #startRevision: number;

  constructor(limit: number, startRevision: number) {
    this.#limit = limit;
    this.#startRevision = startRevision;
  }

  get base(): number {
    return this.#base;
  }

  /** Number of the entry that comes next. */
  get end(): number {
    return this.#base + this.#entries.length;
  }

  get startRevision(): number {
    return this.#startRevision;
  }

  append(entry: LogEntry): void {
    this.#entries.push(entry);
    // Trimmed in halves, so that an append costs O(1) on average.
    if (this.#entries.length < this.#limit * 2) return;
    const dropped = this.#entries.length - this.#limit;
    this.#startRevision = (this.#entries[dropped - 1] as LogEntry).revision;
    this.#entries = this.#entries.slice(dropped);
    this.#base += dropped;
  }

  /** `number` must be kept. */
  at(number: number): LogEntry {
    return this.#entries[number - this.#base] as LogEntry;
  }

  /** Number of the first entry after `revision`. */
  after(revision: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle] as LogEntry).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#base + low;
  }
}
