import type { Clock, Logger, OrderedMap, Random } from '@pilothouse/base';
import { errorMessage, orderedMap } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import type {
  CacheView,
  Preconditions,
  Stored,
  WatchEvent,
  WatchStream,
} from '../../registry/rest/rest-storage.ts';
import { bookmarkEvent } from '../bookmark.ts';
import { decodeContinue, encodeContinue } from '../continue-token.ts';
import { statusErrors } from '@pilothouse/apimachinery';
import { storageErrors } from '../errors.ts';
import type {
  Storage,
  StorageList,
  StorageListOptions,
  StorageWatchOptions,
  StorageWriteResult,
  UpdateOutput,
  UpdateState,
} from '../interface.ts';
import type { KeyValueEvent } from '../key-value-store.ts';
import { prefixEnd } from '../key-value-store.ts';
import { storageLimits } from '../limits.ts';
import type { ObjectStorage } from '../object-storage.ts';
import { parseResourceVersion } from '../revision-text.ts';
import { atRevision } from '../stored-object.ts';
import { WatchQueue } from '../watch-queue.ts';
import type { WatcherHost } from './cache-watcher.ts';
import { CacheWatcher } from './cache-watcher.ts';
import type { CacherOptions } from './cacher-options.ts';
import type { ChangeFeed } from './change-feed.ts';
import type { LogEntry } from './event-log.ts';
import { EventLog } from './event-log.ts';

type State = OrderedMap<string, Stored>;

interface Snapshot {
  readonly state: State;
  readonly madeAt: number;
}

const compareKeys = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * The watch cache of one resource: all its objects in key order, and the latest changes. Serves reads and watches with the guarantees of
 * {@link Storage}, and passes writes through. While it has no state yet, reads go to the store.
 */
export class Cacher implements Storage, WatcherHost, CacheView {
  readonly #storage: ObjectStorage;
  readonly #feed: ChangeFeed;
  readonly #refusesAsStore: boolean;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #trigger: ((object: KubeObject) => string) | undefined;
  #state: State = orderedMap<string, Stored>(compareKeys);
  #log = new EventLog(storageLimits.cacheEventsKept, 0);
  #revision = 0;
  #synced = false;
  #ready: Promise<void> | undefined;
  /** Changes that arrive while the list is under way. */
  #pending: KeyValueEvent[] = [];
  readonly #watchers = new Set<CacheWatcher>();
  readonly #parked = new Set<CacheWatcher>();
  readonly #parkedByTrigger = new Map<string, Set<CacheWatcher>>();
  readonly #snapshots = new Map<number, Snapshot>();
  #unsubscribe: (() => void) | undefined;
  #closed = false;

  constructor(options: CacherOptions) {
    this.#storage = options.storage;
    this.#feed = options.feed;
    this.#refusesAsStore = options.refusesAsStore === true;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger;
    this.#trigger = options.trigger;
  }

  /** Begins to fill the cache; resolves when it is filled. */
  start(): Promise<void> {
    this.#ready ??= this.#fill();
    return this.#ready;
  }

  close(): void {
    this.#closed = true;
    this.#unsubscribe?.();
    for (const watcher of [...this.#watchers]) watcher.end();
  }

  get synced(): boolean {
    return this.#synced;
  }

  get log(): EventLog {
    return this.#log;
  }

  get revision(): number {
    return this.#revision;
  }

  stats(): { count: number; averageBytes: number; watchers: number } {
    const { averageBytes } = this.#storage;
    return { count: this.#state.size, averageBytes, watchers: this.#watchers.size };
  }

  // CacheView and Storage both have list and get; the shapes of their arguments tell them apart.
  list(namespace?: string): Iterable<KubeObject>;
  list(options: StorageListOptions): Promise<StorageList>;
  list(argument?: string | StorageListOptions): Iterable<KubeObject> | Promise<StorageList> {
    if (argument === undefined || typeof argument === 'string') return this.objects(argument ?? '');
    return this.#list(argument);
  }

  get(namespace: string, name: string): KubeObject | undefined;
  get(key: string, options: { readonly resourceVersion: string }): Promise<Stored>;
  get(
    first: string,
    second: string | { readonly resourceVersion: string },
  ): KubeObject | undefined | Promise<Stored> {
    if (typeof second === 'string')
      return this.#state.get(first === '' ? second : `${first}/${second}`)?.object;
    return this.#get(first, second.resourceVersion);
  }

  /** Frozen objects of a namespace (all when empty), in key order. */
  objects(namespace: string): KubeObject[] {
    const objects: KubeObject[] = [];
    // Asked for policies and webhooks by every write; mostly there are none.
    if (this.#state.size === 0) return objects;
    for (const stored of this.#select(this.#state, namespace === '' ? '' : `${namespace}/`))
      objects.push(stored.object);
    return objects;
  }

  create(key: string, object: KubeObject, ttlSeconds: number): Promise<Stored> {
    return this.#storage.create(key, object, ttlSeconds);
  }

  delete(
    key: string,
    preconditions: Preconditions | undefined,
    validate: (existing: Stored) => Promise<void> | void,
  ): Promise<Stored> {
    return this.#storage.delete(key, preconditions, validate);
  }

  guaranteedUpdate(
    key: string,
    options: { readonly mustExist: boolean; readonly preconditions: Preconditions | undefined },
    tryUpdate: (state: UpdateState) => Promise<UpdateOutput> | UpdateOutput,
  ): Promise<StorageWriteResult> {
    return this.#storage.guaranteedUpdate(key, { ...options, cached: this.#state.get(key) }, tryUpdate);
  }

  currentRevision(): Promise<number> {
    return this.#feed.currentRevision();
  }

  count(): Promise<number> {
    return this.#synced ? Promise.resolve(this.#state.size) : this.#storage.count();
  }

  async #get(key: string, resourceVersion: string): Promise<Stored> {
    const minimum = parseResourceVersion(resourceVersion, this.#refusesAsStore ? 'list' : 'other');
    if (!this.#synced) return this.#storage.get(key, { resourceVersion });
    if (resourceVersion !== '0') await this.#waitFresh(resourceVersion === '' ? undefined : minimum);
    const stored = this.#state.get(key);
    if (stored === undefined) throw storageErrors.keyNotFound(key);
    return stored;
  }

  async #list(options: StorageListOptions): Promise<StorageList> {
    const { resourceVersion, resourceVersionMatch: match } = options;
    const wanted = parseResourceVersion(resourceVersion, 'list');
    if (options.continue !== '') return this.#listPage(options);
    if (!this.#synced) return this.#storage.list(options);
    // A limit is not kept where any state will do: the whole answer costs less than its pages.
    const limit = resourceVersion === '0' ? 0 : options.limit;
    if (match === 'Exact' || (match === '' && limit > 0 && wanted > 0)) {
      await this.#waitFresh(wanted);
      const state = this.#stateAt(wanted);
      if (state === undefined) return this.#storage.list(options);
      return this.#pick(state, options, limit, wanted, '');
    }
    if (resourceVersion !== '0') await this.#waitFresh(resourceVersion === '' ? undefined : wanted);
    return this.#pick(this.#state, options, limit, this.#revision, '');
  }

  #listPage(options: StorageListOptions): Promise<StorageList> | StorageList {
    const position = decodeContinue(options.continue);
    if (options.resourceVersion !== '' && options.resourceVersion !== '0') {
      throw statusErrors.badRequest('specifying resource version is not allowed when using continue');
    }
    const state = this.#synced ? this.#stateAt(position.revision) : undefined;
    if (state === undefined) return this.#storage.list(options);
    return this.#pick(state, options, options.limit, position.revision, position.startKey);
  }

  #pick(
    state: State,
    options: StorageListOptions,
    limit: number,
    revision: number,
    startKey: string,
  ): StorageList {
    const { predicate, prefix } = options;
    const items: Stored[] = [];
    if (limit === 0) {
      for (const stored of this.#select(state, prefix, startKey, predicate.name)) {
        if (predicate.everything || predicate.matches(stored.object)) items.push(stored);
      }
      return { items, revision, continue: '', remainingItemCount: undefined };
    }
    let left = 0;
    let last = '';
    for (const stored of this.#select(state, prefix, startKey, predicate.name)) {
      if (items.length < limit) {
        if (!predicate.everything && !predicate.matches(stored.object)) continue;
        items.push(stored);
        last = stored.key;
      } else left++;
    }
    if (left === 0) return { items, revision, continue: '', remainingItemCount: undefined };
    this.#keepSnapshot(revision, state);
    const next = encodeContinue({ startKey: `${last.slice(prefix.length)}\0`, revision });
    return { items, revision, continue: next, remainingItemCount: predicate.everything ? left : undefined };
  }

  *#select(state: State, prefix: string, startKey = '', name?: string): Iterable<Stored> {
    if (name !== undefined && prefix !== '' && startKey === '') {
      const stored = state.get(prefix + name);
      if (stored !== undefined) yield stored;
      return;
    }
    const start = prefix + startKey;
    const end = prefix === '' ? undefined : prefixEnd(prefix);
    for (const [key, stored] of start === '' ? state.entries() : state.entries(start)) {
      if (end !== undefined && key >= end) return;
      yield stored;
    }
  }

  async watch(options: StorageWatchOptions): Promise<WatchStream> {
    const wanted = parseResourceVersion(options.resourceVersion);
    await this.start();
    const fromNow = options.resourceVersion === '' || options.resourceVersion === '0';
    const withState = options.sendInitialEvents ?? fromNow;
    if (options.resourceVersion === '') await this.#waitFresh(undefined);
    else if (withState && wanted > 0) await this.#waitFresh(wanted);
    if (!withState && !fromNow && wanted < this.#log.startRevision) {
      const queue = new WatchQueue(1, () => undefined);
      queue.push({
        type: 'ERROR',
        status: storageErrors.compactedWatch(wanted, this.#log.startRevision).status,
      });
      queue.end();
      return queue;
    }
    const initial = withState ? this.#initial(options) : undefined;
    const resumeAt = withState || fromNow ? this.#revision : wanted;
    const watcher = new CacheWatcher(this, {
      predicate: options.predicate,
      prefix: options.prefix,
      afterRevision: resumeAt,
      position: this.#log.after(resumeAt),
      initial,
      initialRevision: this.#revision,
      endInitialWithBookmark: options.sendInitialEvents === true && options.bookmarks,
      bookmarks: options.bookmarks,
    });
    if (options.bookmarks) {
      const now = this.#clock.monotonic();
      watcher.bookmarkAt = now + this.#bookmarkDelayMs();
      if (options.timeoutSeconds > 0) {
        const endMs = options.timeoutSeconds * 1000;
        watcher.lastBookmarkAt = now + Math.max(endMs - storageLimits.bookmarkBeforeEndMs, endMs / 2);
      }
    }
    this.#watchers.add(watcher);
    return watcher;
  }

  // What watchers need (WatcherHost).

  deletionOf(entry: LogEntry): Stored {
    return (entry.deletion ??= atRevision(this.#storage.codec, entry.previous as Stored, entry.revision));
  }

  bookmark(revision: number, endsInitialEvents: boolean): WatchEvent {
    return bookmarkEvent(this.#storage.codec, this.#storage.typeMeta, revision, endsInitialEvents);
  }

  park(watcher: CacheWatcher): void {
    this.#parkedSet(watcher).add(watcher);
  }

  closed(watcher: CacheWatcher): void {
    this.#watchers.delete(watcher);
    this.#unpark(watcher);
  }

  #parkedSet(watcher: CacheWatcher): Set<CacheWatcher> {
    if (watcher.trigger === undefined || this.#trigger === undefined) return this.#parked;
    let set = this.#parkedByTrigger.get(watcher.trigger);
    if (set === undefined) this.#parkedByTrigger.set(watcher.trigger, (set = new Set()));
    return set;
  }

  #unpark(watcher: CacheWatcher): void {
    if (watcher.trigger === undefined || this.#trigger === undefined) {
      this.#parked.delete(watcher);
      return;
    }
    const set = this.#parkedByTrigger.get(watcher.trigger);
    set?.delete(watcher);
    if (set?.size === 0) this.#parkedByTrigger.delete(watcher.trigger);
  }

  #initial(options: StorageWatchOptions): Stored[] {
    const { predicate } = options;
    const initial: Stored[] = [];
    for (const stored of this.#select(this.#state, options.prefix, '', predicate.name)) {
      if (predicate.everything || predicate.matches(stored.object)) initial.push(stored);
    }
    return initial;
  }

  /** Waits until the cache has come to `revision`, or to the store's present one. */
  async #waitFresh(revision: number | undefined): Promise<void> {
    const target = revision ?? (await this.#feed.currentRevision());
    if (this.#refusesAsStore && revision !== undefined && target > this.#revision) {
      const current = await this.#feed.currentRevision();
      if (target > current) throw statusErrors.tooLargeResourceVersion(String(target), String(current), 0);
    }
    if (target > this.#revision) await this.#feed.waitFor(target);
  }

  /** The state at exactly this revision, if it is at hand. */
  #stateAt(revision: number): State | undefined {
    const snapshot = this.#snapshots.get(revision);
    if (snapshot !== undefined) return snapshot.state;
    if (revision > this.#revision) return undefined;
    const lastChange =
      this.#log.end === this.#log.base ? this.#log.startRevision : this.#log.at(this.#log.end - 1).revision;
    return revision >= lastChange ? this.#state : undefined;
  }

  #keepSnapshot(revision: number, state: State): void {
    if (this.#snapshots.has(revision)) return;
    const oldest = this.#snapshots.keys().next();
    if (this.#snapshots.size >= storageLimits.snapshotsKept && oldest.done !== true)
      this.#snapshots.delete(oldest.value);
    this.#snapshots.set(revision, { state: state.clone(), madeAt: this.#clock.monotonic() });
  }

  async #fill(): Promise<void> {
    await this.#feed.start();
    this.#unsubscribe ??= this.#feed.subscribe(this.#storage.prefix, {
      onEvents: (events) => {
        if (this.#synced) this.#apply(events);
        else this.#pending.push(...events);
      },
      onRevision: (revision) => {
        if (this.#synced && revision > this.#revision) this.#revision = revision;
      },
      onReset: () => {
        this.#reset();
      },
      onTick: () => {
        this.#tick();
      },
    });
    for (let attempt = 0; !this.#closed; attempt++) {
      try {
        const list = await this.#storage.list({
          resourceVersion: '',
          resourceVersionMatch: '',
          predicate: { everything: true, matches: () => true },
          limit: 0,
          continue: '',
          prefix: '',
        });
        const state = orderedMap<string, Stored>(compareKeys);
        for (const stored of list.items) state.set(stored.key, stored);
        this.#state = state;
        this.#revision = list.revision;
        this.#log = new EventLog(storageLimits.cacheEventsKept, list.revision);
        this.#synced = true;
        const pending = this.#pending;
        this.#pending = [];
        this.#apply(pending);
        this.#revision = Math.max(this.#revision, this.#feed.revision);
        return;
      } catch (error) {
        this.#logger.warn('Cannot list a resource for its watch cache', {
          prefix: this.#storage.prefix,
          error: errorMessage(error),
          attempt,
        });
        await new Promise<void>((resolve) =>
          this.#clock.setTimeout(resolve, Math.min(100 * 2 ** attempt, 5000)),
        );
      }
    }
  }

  #reset(): void {
    this.#synced = false;
    this.#pending = [];
    this.#snapshots.clear();
    for (const watcher of [...this.#watchers]) watcher.end();
    this.#ready = this.#fill();
  }

  #apply(events: readonly KeyValueEvent[]): void {
    const firstNew = this.#log.end;
    const touched = this.#trigger === undefined ? undefined : new Set<string>();
    for (const event of events) {
      const entry = this.#entryOf(event);
      if (entry === undefined) continue;
      this.#log.append(entry);
      this.#revision = Math.max(this.#revision, entry.revision);
      if (entry.triggerBefore !== undefined) touched?.add(entry.triggerBefore);
      if (entry.triggerAfter !== undefined) touched?.add(entry.triggerAfter);
    }
    if (this.#log.end === firstNew) return;
    for (const watcher of this.#parked) if (watcher.wake(firstNew)) this.#parked.delete(watcher);
    if (touched === undefined) return;
    for (const value of touched) {
      for (const watcher of [...(this.#parkedByTrigger.get(value) ?? [])]) {
        if (watcher.wake(firstNew)) this.#unpark(watcher);
      }
    }
  }

  #entryOf(event: KeyValueEvent): LogEntry | undefined {
    const revision = event.type === 'put' ? event.kv.modRevision : event.modRevision;
    // Events up to the list's revision are in the list already.
    if (revision <= this.#log.startRevision) return undefined;
    const key = (event.type === 'put' ? event.kv.key : event.key).slice(this.#storage.prefix.length);
    const previous = this.#state.get(key);
    let current: Stored | undefined;
    if (event.type === 'put') {
      try {
        current = this.#storage.take(event.kv);
      } catch (error) {
        // Bytes that cannot be read must not stop the others: the object keeps its last readable state here, reads of the store report it.
        this.#logger.error('Cannot decode an object of the store', {
          key: event.kv.key,
          error: errorMessage(error),
        });
        return undefined;
      }
      this.#state.set(key, current);
    } else {
      if (previous === undefined) return undefined;
      this.#state.delete(key);
    }
    const trigger = this.#trigger;
    return {
      revision,
      key,
      previous,
      current,
      triggerBefore: trigger === undefined || previous === undefined ? undefined : trigger(previous.object),
      triggerAfter: trigger === undefined || current === undefined ? undefined : trigger(current.object),
      deletion: undefined,
    };
  }

  #tick(): void {
    const now = this.#clock.monotonic();
    for (const [revision, snapshot] of this.#snapshots) {
      if (now - snapshot.madeAt > storageLimits.snapshotAgeMs) this.#snapshots.delete(revision);
    }
    if (!this.#synced) return;
    for (const watcher of [...this.#watchers]) {
      if (!watcher.bookmarks) continue;
      if (watcher.lastBookmarkAt <= now) watcher.lastBookmarkAt = Infinity;
      else if (watcher.bookmarkAt > now) continue;
      watcher.bookmarkAt = now + this.#bookmarkDelayMs();
      watcher.requestBookmark();
      if (!watcher.isWaiting) this.#unpark(watcher);
    }
  }

  #bookmarkDelayMs(): number {
    return storageLimits.bookmarkPeriodMs * (1 + this.#random.float() / 4);
  }
}
