import type { Stored, WatchEvent } from '../../registry/rest/rest-storage.ts';
import type { SelectionPredicate } from '../interface.ts';
import { storageLimits } from '../limits.ts';
import { selectorTransition } from '../selector-transition.ts';
import { WatchStreamBase } from '../watch-queue.ts';
import type { EventLog, LogEntry } from './event-log.ts';

/** What a watcher needs of its cache. */
export interface WatcherHost {
  readonly log: EventLog;
  /** All changes up to here are in the log. */
  readonly revision: number;
  deletionOf(entry: LogEntry): Stored;
  bookmark(revision: number, endsInitialEvents: boolean): WatchEvent;
  park(watcher: CacheWatcher): void;
  closed(watcher: CacheWatcher): void;
}

export interface CacheWatcherOptions {
  readonly predicate: SelectionPredicate;
  /** Key prefix of the watched namespace, or empty. */
  readonly prefix: string;
  /** Changes up to this revision are not sent. */
  readonly afterRevision: number;
  /** Number of the first log entry to look at. */
  readonly position: number;
  readonly initial: readonly Stored[] | undefined;
  /** Revision of the initial state. */
  readonly initialRevision: number;
  readonly endInitialWithBookmark: boolean;
  readonly bookmarks: boolean;
}

/** A cursor on the log of a cache, with a selector. Costs nothing while it lags; ends when the log no longer has its place. */
export class CacheWatcher extends WatchStreamBase {
  readonly bookmarks: boolean;
  readonly trigger: string | undefined;
  /** When the next bookmark is due, in the clock's monotonic milliseconds. */
  bookmarkAt = 0;
  /** When the last bookmark before the end of a watch with a timeout is due; Infinity when it is open or was sent. */
  lastBookmarkAt = Infinity;
  readonly #host: WatcherHost;
  readonly #options: CacheWatcherOptions;
  #initialAt = 0;
  #initialDone: boolean;
  #position: number;
  #bookmarkDue = false;
  #ended = false;
  #error: WatchEvent | undefined;
  #wake: ((events: readonly WatchEvent[] | undefined) => void) | undefined;

  constructor(host: WatcherHost, options: CacheWatcherOptions) {
    super();
    this.#host = host;
    this.#options = options;
    this.bookmarks = options.bookmarks;
    this.trigger = options.predicate.trigger;
    this.#initialDone = options.initial === undefined;
    this.#position = options.position;
  }

  get isWaiting(): boolean {
    return this.#wake !== undefined;
  }

  next(): Promise<readonly WatchEvent[] | undefined> {
    const events = this.#collect();
    if (events !== undefined && events.length > 0) return Promise.resolve(events);
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#host.park(this);
    });
  }

  /**
   * New entries begin at `firstNew`; all before were seen or cannot concern this watcher. True when the watcher has something
   * to give and stopped waiting.
   */
  wake(firstNew: number): boolean {
    if (this.#wake === undefined) return true;
    this.#position = Math.max(this.#position, firstNew);
    return this.#offer();
  }

  /** Asks for a bookmark as soon as the watcher has caught up. */
  requestBookmark(): void {
    this.#bookmarkDue = true;
    if (this.#wake !== undefined) {
      // Parked: everything in the log is behind it.
      this.#position = this.#host.log.end;
      this.#offer();
    }
  }

  /** Ends the stream, after `error` when given. */
  end(error?: WatchEvent): void {
    if (this.#ended) return;
    this.#error = error;
    this.#ended = true;
    this.#host.closed(this);
    const wake = this.#wake;
    this.#wake = undefined;
    if (wake !== undefined) {
      this.#error = undefined;
      wake(error === undefined ? undefined : [error]);
    }
  }

  close(): void {
    this.end();
  }

  #offer(): boolean {
    const events = this.#collect();
    const wake = this.#wake;
    if (wake === undefined) return true;
    if (events === undefined) {
      this.#wake = undefined;
      wake(undefined);
      return true;
    }
    if (events.length === 0) return false;
    this.#wake = undefined;
    wake(events);
    return true;
  }

  #collect(): WatchEvent[] | undefined {
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return [error];
    }
    if (this.#ended) return undefined;
    if (!this.#initialDone) return this.#collectInitial();
    const { log } = this.#host;
    if (this.#position < log.base) {
      // The reader was slower than the history is long. It comes back at its last resourceVersion.
      this.end();
      return undefined;
    }
    const { predicate, prefix, afterRevision } = this.#options;
    const events: WatchEvent[] = [];
    while (this.#position < log.end && events.length < storageLimits.watchBatchEvents) {
      const entry = log.at(this.#position++);
      if (entry.revision <= afterRevision) continue;
      if (prefix !== '' && !entry.key.startsWith(prefix)) continue;
      if (
        this.trigger !== undefined &&
        this.trigger !== entry.triggerBefore &&
        this.trigger !== entry.triggerAfter
      )
        continue;
      const event = selectorTransition(predicate, entry.previous, entry.current, () =>
        this.#host.deletionOf(entry),
      );
      if (event !== undefined) events.push(event);
    }
    if (this.#bookmarkDue && this.#position === log.end && this.#host.revision >= afterRevision) {
      this.#bookmarkDue = false;
      events.push(this.#host.bookmark(this.#host.revision, false));
    }
    return events;
  }

  #collectInitial(): WatchEvent[] {
    const { initial = [], initialRevision, endInitialWithBookmark } = this.#options;
    const end = Math.min(initial.length, this.#initialAt + storageLimits.watchBatchEvents);
    const events: WatchEvent[] = [];
    for (let index = this.#initialAt; index < end; index++) {
      events.push({ type: 'ADDED', object: initial[index] as Stored });
    }
    this.#initialAt = end;
    if (end === initial.length) {
      this.#initialDone = true;
      if (endInitialWithBookmark) events.push(this.#host.bookmark(initialRevision, true));
    }
    return events.length > 0 ? events : (this.#collect() ?? []);
  }
}
