import { EventBatch } from './event-batch.ts';
import { LogEvent } from './log-event.ts';
import { keyRange, rangeContains, type KeyRange, type KeyText } from '../key-text.ts';
import { limits } from '../limits.ts';
import type { Change, MvccStore } from '../mvcc/mvcc-store.ts';

export interface WatchSpec {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  /** 0: from the next revision on. */
  readonly startRevision: number;
  readonly prevKv: boolean;
  readonly progressNotify: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
}

/** What a stream of watches tells its client; each message carries whole revisions. */
export type WatchMessage =
  | {
      readonly kind: 'events';
      readonly watchId: number;
      readonly revision: number;
      readonly events: readonly Uint8Array[];
      /** The same for all watches that are told the same. */
      readonly batch: EventBatch;
    }
  | { readonly kind: 'progress'; readonly watchId: number; readonly revision: number }
  | { readonly kind: 'compacted'; readonly watchId: number; readonly compactRevision: number };

export interface WatchSink {
  /** Takes a message. False: it was taken, but no more until {@link WatchStream.drained}. */
  send(message: WatchMessage): boolean;
}

interface Watcher {
  readonly id: number;
  readonly stream: WatchStream;
  readonly range: KeyRange;
  readonly spec: WatchSpec;
  /** The same for watchers that are told the same. */
  readonly sharing: string;
  /** The first revision not yet delivered; meaningful only while the watcher is unsynced. */
  next: number;
  /** Synced: everything up to the store's revision was delivered. */
  isSynced: boolean;
  sentSinceProgress: boolean;
}

/** What follows for watchers of one range from one revision on. */
interface WatchStep {
  /** The first revision that it does not cover. */
  readonly next: number;
  readonly events: EventBatch;
  /** Changes that were looked at. */
  readonly scanned: number;
}

/** Steps that are kept for other watchers, all of the newest revision. */
const batchesMax = 256;

interface RangeGroup {
  readonly range: KeyRange;
  readonly watchers: Set<Watcher>;
}

/**
 * The changes of the store as one shared log, and watchers with a cursor each. A watcher that lags costs its cursor and
 * nothing else: what left the log is read again from the store's history.
 */
export class WatchableStore {
  readonly store: MvccStore;
  readonly #log: LogEvent[] = [];
  #logHead = 0;
  #logBytes = 0;
  /** Every change with main ≥ this is in the log. */
  #logFirst: number;
  readonly #byKey = new Map<KeyText, Set<Watcher>>();
  readonly #byRange = new Map<string, RangeGroup>();
  readonly #dirty = new Set<WatchStream>();
  readonly #batches = new Map<string, WatchStep>();
  #lastStep: { readonly from: number; readonly sharing: string; readonly step: WatchStep } | undefined;
  #batchesAt = 0;
  /** Watchers whose start revision does not exist yet. */
  readonly #future = new Set<Watcher>();
  readonly #streams = new Set<WatchStream>();
  #watchers = 0;
  /** Events given to sinks since the start, for metrics. */
  sentEvents = 0;
  /** Called when {@link WatchableStore.deliver} has work; the shell calls that soon, once for many changes. */
  onDirty: () => void = () => {};

  constructor(store: MvccStore) {
    this.store = store;
    this.#logFirst = store.currentRevision + 1;
  }

  get watcherCount(): number {
    return this.#watchers;
  }

  /** Watchers that are behind. */
  get slowCount(): number {
    let count = 0;
    for (const stream of this.#streams) count += stream.unsyncedCount;
    return count;
  }

  /** Revisions that watchers which are behind have still to look through, all of them together. */
  get pendingCount(): number {
    let count = 0;
    for (const stream of this.#streams) count += stream.pendingCount;
    return count;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  stream(sink: WatchSink): WatchStream {
    const stream = new WatchStream(this, sink);
    this.#streams.add(stream);
    return stream;
  }

  /** Takes the changes of one new revision. */
  notify(changes: readonly Change[]): void {
    for (const change of changes) {
      this.#log.push(new LogEvent(change));
      this.#logBytes += change.bytes.length;
      const single = this.#byKey.get(change.key);
      if (single !== undefined) for (const watcher of single) this.#touch(watcher, change.main);
      for (const group of this.#byRange.values()) {
        if (rangeContains(group.range, change.key))
          for (const watcher of group.watchers) this.#touch(watcher, change.main);
      }
    }
    this.#wakeFuture();
    this.#trim();
  }

  #wakeFuture(): void {
    for (const watcher of this.#future) {
      if (watcher.next > this.store.currentRevision + 1) continue;
      this.#future.delete(watcher);
      this.markDirty(watcher.stream, watcher);
    }
  }

  /** Keeps a watcher aside until its start revision exists. */
  wait(watcher: Watcher): void {
    this.#future.add(watcher);
  }

  #touch(watcher: Watcher, revision: number): void {
    if (!watcher.isSynced) return;
    watcher.isSynced = false;
    watcher.next = revision;
    this.markDirty(watcher.stream, watcher);
  }

  markDirty(stream: WatchStream, watcher: Watcher): void {
    stream.addUnsynced(watcher);
    if (this.#dirty.size === 0) this.onDirty();
    this.#dirty.add(stream);
  }

  /** Sends what is due to every stream that has room. */
  deliver(): void {
    if (this.#dirty.size === 0) return;
    const streams = [...this.#dirty];
    this.#dirty.clear();
    for (const stream of streams) stream.pump();
  }

  /** Tells every idle, synced watcher that asked for it how far it is. Call at the notify interval. */
  notifyProgress(): void {
    this.deliver();
    for (const stream of this.#streams) stream.notifyProgress();
  }

  /** After the whole state was replaced: nothing of the old log is valid; every watcher reads on from history. */
  reset(previousRevision: number): void {
    this.#log.length = 0;
    this.#logHead = 0;
    this.#logBytes = 0;
    this.#logFirst = this.store.currentRevision + 1;
    this.#forgetSteps();
    this.#wakeFuture();
    for (const stream of this.#streams) {
      for (const watcher of stream.watchers()) {
        if (!watcher.isSynced) continue;
        watcher.isSynced = false;
        watcher.next = previousRevision + 1;
        this.markDirty(stream, watcher);
      }
    }
  }

  #trim(): void {
    let length = this.#log.length - this.#logHead;
    while (length > limits.watchLogEventsMax || (this.#logBytes > limits.watchLogBytesMax && length > 1)) {
      // Whole revisions leave together, so that #logFirst stays true.
      const main = (this.#log[this.#logHead] as LogEvent).change.main;
      while (length > 0 && (this.#log[this.#logHead] as LogEvent).change.main === main) {
        this.#logBytes -= (this.#log[this.#logHead] as LogEvent).change.bytes.length;
        (this.#log as (LogEvent | undefined)[])[this.#logHead++] = undefined;
        length--;
      }
      this.#logFirst = main + 1;
    }
    if (this.#logHead > 1024 && this.#logHead * 2 > this.#log.length) {
      this.#log.splice(0, this.#logHead);
      this.#logHead = 0;
    }
  }

  /** Events from revision `from` on, in order: from the log when it reaches back far enough, else from history. */
  *since(from: number): Iterable<LogEvent> {
    let next = from;
    if (next < this.#logFirst) {
      for (const change of this.store.history(next, this.#logFirst - 1)) {
        next = change.main;
        yield new LogEvent(change);
      }
      next = this.#logFirst;
    }
    let low = this.#logHead;
    let high = this.#log.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#log[middle] as LogEvent).change.main < next) low = middle + 1;
      else high = middle;
    }
    for (let index = low; index < this.#log.length; index++) yield this.#log[index] as LogEvent;
  }

  #forgetSteps(): void {
    this.#batches.clear();
    this.#lastStep = undefined;
  }

  /** What a watcher is to be told next; watchers of the same range that stand at the same revision share it. */
  batchFor(watcher: Watcher): WatchStep {
    const current = this.store.currentRevision;
    if (this.#batchesAt !== current || this.#batches.size >= batchesMax) {
      this.#forgetSteps();
      this.#batchesAt = current;
    }
    // Mostly the next watcher is told what the one before was.
    const last = this.#lastStep;
    if (last?.from === watcher.next && last.sharing === watcher.sharing) return last.step;
    const id = `${watcher.next} ${watcher.sharing}`;
    const step = this.#batches.get(id) ?? this.#stepOf(watcher);
    this.#batches.set(id, step);
    this.#lastStep = { from: watcher.next, sharing: watcher.sharing, step };
    return step;
  }

  #stepOf(watcher: Watcher): WatchStep {
    const { prevKv, noPut, noDelete } = watcher.spec;
    const { store } = this;
    const events: Uint8Array[] = [];
    let bytes = 0;
    let last = 0;
    let next = store.currentRevision + 1;
    let scanned = 0;
    for (const event of this.since(watcher.next)) {
      const { change } = event;
      if (
        change.main !== last &&
        (events.length >= limits.watchBatchEventsMax ||
          bytes >= limits.watchBatchBytesMax ||
          scanned >= limits.watchScanEventsMax)
      ) {
        next = change.main;
        break;
      }
      last = change.main;
      scanned++;
      if ((change.isDelete ? noDelete : noPut) || !rangeContains(watcher.range, change.key)) continue;
      const encoded = event.encoded(store, prevKv);
      events.push(encoded);
      bytes += encoded.length;
    }
    return { next, events: new EventBatch(events), scanned };
  }

  add(watcher: Watcher): void {
    this.#watchers++;
    const { from, to } = watcher.range;
    if (to === undefined) {
      const set = this.#byKey.get(from) ?? new Set();
      this.#byKey.set(from, set.add(watcher));
      return;
    }
    const id = rangeId(watcher.range);
    const group = this.#byRange.get(id) ?? { range: watcher.range, watchers: new Set() };
    group.watchers.add(watcher);
    this.#byRange.set(id, group);
  }

  remove(watcher: Watcher): void {
    this.#watchers--;
    this.#future.delete(watcher);
    const { from, to } = watcher.range;
    if (to === undefined) {
      const set = this.#byKey.get(from);
      set?.delete(watcher);
      if (set?.size === 0) this.#byKey.delete(from);
      return;
    }
    const id = rangeId(watcher.range);
    const group = this.#byRange.get(id);
    group?.watchers.delete(watcher);
    if (group?.watchers.size === 0) this.#byRange.delete(id);
  }

  removeStream(stream: WatchStream): void {
    this.#streams.delete(stream);
    this.#dirty.delete(stream);
  }
}

/** The watches of one client stream. They share its backpressure. */
export class WatchStream {
  readonly #parent: WatchableStore;
  readonly #sink: WatchSink;
  readonly #watchers = new Map<number, Watcher>();
  readonly #unsynced = new Set<Watcher>();
  #isBlocked = false;
  #isPumping = false;

  constructor(parent: WatchableStore, sink: WatchSink) {
    this.#parent = parent;
    this.#sink = sink;
  }

  has(id: number): boolean {
    return this.#watchers.has(id);
  }

  get unsyncedCount(): number {
    return this.#unsynced.size;
  }

  get pendingCount(): number {
    const end = this.#parent.store.currentRevision + 1;
    let count = 0;
    for (const watcher of this.#unsynced) count += Math.max(0, end - watcher.next);
    return count;
  }

  watchers(): Iterable<Watcher> {
    return this.#watchers.values();
  }

  /** Adds a watch; its events follow through the sink, never during this call. */
  watch(id: number, spec: WatchSpec): void {
    const { store } = this.#parent;
    const starts = spec.startRevision > 0 ? spec.startRevision : store.currentRevision + 1;
    const range = keyRange(spec.key, spec.rangeEnd);
    const watcher: Watcher = {
      id,
      stream: this,
      range,
      spec,
      sharing: sharingOf(range, spec),
      next: starts,
      isSynced: starts === store.currentRevision + 1,
      sentSinceProgress: false,
    };
    this.#watchers.set(id, watcher);
    this.#parent.add(watcher);
    // A watch that starts in the future stays unsynced and silent until the store gets there.
    if (!watcher.isSynced) this.#parent.markDirty(this, watcher);
  }

  /** False when there is no such watch. */
  cancel(id: number): boolean {
    const watcher = this.#watchers.get(id);
    if (watcher === undefined) return false;
    this.#watchers.delete(id);
    this.#unsynced.delete(watcher);
    this.#parent.remove(watcher);
    return true;
  }

  close(): void {
    for (const id of [...this.#watchers.keys()]) this.cancel(id);
    this.#parent.removeStream(this);
  }

  addUnsynced(watcher: Watcher): void {
    this.#unsynced.add(watcher);
  }

  /** The sink has room again. */
  drained(): void {
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    this.pump();
  }

  /** A client's progress request: answered for the whole stream, behind its events, when every watch is synced. */
  requestProgress(): void {
    this.pump();
    if (this.#isBlocked || this.#unsynced.size > 0) return;
    this.#isBlocked = !this.#sink.send({
      kind: 'progress',
      watchId: -1,
      revision: this.#parent.store.currentRevision,
    });
  }

  notifyProgress(): void {
    for (const watcher of this.#watchers.values()) {
      if (this.#isBlocked) return;
      if (!watcher.spec.progressNotify || !watcher.isSynced) continue;
      if (watcher.sentSinceProgress) {
        watcher.sentSinceProgress = false;
        continue;
      }
      this.#isBlocked = !this.#sink.send({
        kind: 'progress',
        watchId: watcher.id,
        revision: this.#parent.store.currentRevision,
      });
    }
  }

  /** Sends to unsynced watchers until all are synced or the sink is full. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      for (const watcher of this.#unsynced) {
        while (!watcher.isSynced && this.#unsynced.has(watcher)) {
          if (this.#isBlocked) return;
          if (!this.#step(watcher)) break;
        }
      }
    } finally {
      this.#isPumping = false;
    }
  }

  /** Sends one batch; false when there is no more to do for this watcher now. */
  #step(watcher: Watcher): boolean {
    const { store } = this.#parent;
    const current = store.currentRevision;
    if (watcher.next < store.compactRevision) {
      this.cancel(watcher.id);
      this.#isBlocked = !this.#sink.send({
        kind: 'compacted',
        watchId: watcher.id,
        compactRevision: store.compactRevision,
      });
      return true;
    }
    if (watcher.next > current + 1) {
      this.#parent.wait(watcher);
      return false;
    }
    const { next, events, scanned } = this.#parent.batchFor(watcher);
    watcher.next = next;
    if (next === current + 1) {
      watcher.isSynced = true;
      this.#unsynced.delete(watcher);
    }
    if (events.events.length > 0) {
      watcher.sentSinceProgress = true;
      this.#parent.sentEvents += events.events.length;
      this.#isBlocked = !this.#sink.send({
        kind: 'events',
        watchId: watcher.id,
        revision: current,
        events: events.events,
        batch: events,
      });
    }
    if (watcher.isSynced || scanned < limits.watchScanEventsMax) return true;
    // A long replay goes on in a later turn, so that it does not keep others waiting.
    this.#parent.markDirty(this, watcher);
    return false;
  }
}

function rangeId({ from, to }: KeyRange): string {
  return `${from.length}:${from}${to === null ? '\u0100' : (to ?? '\u0101')}`;
}

function sharingOf(range: KeyRange, { prevKv, noPut, noDelete }: WatchSpec): string {
  return `${prevKv ? 'p' : ''}${noPut ? 'd' : ''}${noDelete ? 'w' : ''} ${rangeId(range)}`;
}
