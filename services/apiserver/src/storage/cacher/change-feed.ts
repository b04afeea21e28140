import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { statusErrors } from '@pilothouse/apimachinery';
import type { KeyValueEvent, KeyValueStore, KeyValueWatch } from '../key-value-store.ts';
import { storageLimits } from '../limits.ts';
import { FreshRevision } from './fresh-revision.ts';

export interface FeedSubscriber {
  /** Changes of the subscriber's keys, in order. {@link ChangeFeed.revision} moves on only afterwards. */
  onEvents(events: readonly KeyValueEvent[]): void;
  /** The feed moved on; all changes up to `revision` were delivered. */
  onRevision(revision: number): void;
  /** Changes were lost (the history was compacted behind the feed): everything must be listed anew. */
  onReset(): void;
  /** About once a second. */
  onTick(): void;
}

interface Waiter {
  readonly revision: number;
  readonly done: () => void;
  readonly late: () => void;
  readonly deadline: number;
}

export interface ChangeFeedOptions {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Root of all keys, `/registry/`. */
  readonly root: string;
}

/**
 * One watch over all keys of the API server, shared by all watch caches. A single stream means a single position: any change
 * anywhere tells every cache how far it has come, and one request for progress serves all reads that wait.
 */
export class ChangeFeed {
  readonly #store: KeyValueStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #root: string;
  readonly #fresh: FreshRevision;
  readonly #subscribers = new Map<string, FeedSubscriber>();
  #waiters: Waiter[] = [];
  #watch: KeyValueWatch | undefined;
  #revision = 0;
  #started: Promise<void> | undefined;
  #ticker: Timer | undefined;
  #progressTimer: Timer | undefined;
  #closed = false;

  constructor(options: ChangeFeedOptions) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#root = options.root;
    this.#fresh = new FreshRevision(() => this.#store.currentRevision());
  }

  /** All changes up to here were delivered. */
  get revision(): number {
    return this.#revision;
  }

  /** Resolves once the watch is placed; later calls give the same promise. */
  start(): Promise<void> {
    this.#started ??= this.#open();
    return this.#started;
  }

  /** Delivers the changes of keys with `prefix` (`/registry/pods/`, `/registry/apps/deployments/`: one or two parts behind the root). */
  subscribe(prefix: string, subscriber: FeedSubscriber): () => void {
    this.#subscribers.set(prefix, subscriber);
    return () => {
      if (this.#subscribers.get(prefix) === subscriber) this.#subscribers.delete(prefix);
    };
  }

  /** The store's revision at some moment after this call. */
  currentRevision(): Promise<number> {
    return this.#fresh.get();
  }

  /** Resolves when the feed has come to `revision`; 504 when that takes longer than {@link storageLimits.freshnessWaitMs}. */
  waitFor(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({
        revision,
        done: resolve,
        late: () => {
          reject(statusErrors.tooLargeResourceVersion(String(revision), String(this.#revision), 1));
        },
        deadline: this.#clock.monotonic() + storageLimits.freshnessWaitMs,
      });
      this.#watch?.requestProgress();
      this.#scheduleProgress();
    });
  }

  close(): void {
    this.#closed = true;
    this.#watch?.close();
    this.#ticker?.cancel();
    this.#progressTimer?.cancel();
    for (const waiter of this.#waiters) waiter.late();
    this.#waiters = [];
  }

  async #open(): Promise<void> {
    for (let attempt = 0; !this.#closed; attempt++) {
      try {
        this.#place(await this.#store.currentRevision());
        this.#ticker ??= this.#clock.setInterval(() => {
          for (const subscriber of [...this.#subscribers.values()]) subscriber.onTick();
        }, 1000);
        return;
      } catch (error) {
        this.#logger.warn('Cannot start the watch on the store', { error: errorMessage(error), attempt });
        const delayMs = Math.min(100 * 2 ** attempt, 5000);
        await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, delayMs));
      }
    }
  }

  #place(revision: number): void {
    this.#revision = revision;
    this.#watch = this.#store.watch(this.#root, revision, {
      onEvents: (events, at) => {
        this.#deliver(events);
        this.#advance(at);
      },
      onProgress: (at) => {
        this.#advance(at);
      },
      onCompacted: (compactRevision) => {
        this.#logger.warn(
          'The history of the store was compacted behind the watch; all caches are listed anew',
          {
            position: this.#revision,
            compactRevision,
          },
        );
        this.#watch = undefined;
        this.#started = this.#open().then(() => {
          for (const subscriber of [...this.#subscribers.values()]) subscriber.onReset();
        });
      },
    });
  }

  #deliver(events: readonly KeyValueEvent[]): void {
    if (events.length === 1) {
      const event = events[0] as KeyValueEvent;
      this.#subscriberOf(keyOf(event))?.onEvents(events);
      return;
    }
    const parts = new Map<FeedSubscriber, KeyValueEvent[]>();
    for (const event of events) {
      const subscriber = this.#subscriberOf(keyOf(event));
      if (subscriber === undefined) continue;
      const part = parts.get(subscriber);
      if (part === undefined) parts.set(subscriber, [event]);
      else part.push(event);
    }
    for (const [subscriber, part] of parts) subscriber.onEvents(part);
  }

  #subscriberOf(key: string): FeedSubscriber | undefined {
    const first = key.indexOf('/', this.#root.length) + 1;
    if (first === 0) return undefined;
    const found = this.#subscribers.get(key.slice(0, first));
    if (found !== undefined) return found;
    const second = key.indexOf('/', first) + 1;
    return second === 0 ? undefined : this.#subscribers.get(key.slice(0, second));
  }

  #advance(revision: number): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    for (const subscriber of this.#subscribers.values()) subscriber.onRevision(revision);
    if (this.#waiters.length === 0) return;
    const waiting: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.revision <= revision) waiter.done();
      else waiting.push(waiter);
    }
    this.#waiters = waiting;
  }

  #scheduleProgress(): void {
    if (this.#progressTimer !== undefined) return;
    this.#progressTimer = this.#clock.setTimeout(() => {
      this.#progressTimer = undefined;
      const now = this.#clock.monotonic();
      const late = this.#waiters.filter((waiter) => waiter.deadline <= now);
      this.#waiters = this.#waiters.filter((waiter) => waiter.deadline > now);
      for (const waiter of late) waiter.late();
      if (this.#waiters.length === 0) return;
      this.#watch?.requestProgress();
      this.#scheduleProgress();
    }, storageLimits.progressPeriodMs);
  }
}

function keyOf(event: KeyValueEvent): string {
  return event.type === 'put' ? event.kv.key : event.key;
}
