import type { ClusterEvent } from './framework.ts';
import type { PodInfo } from './pod-info.ts';
import type { Profile } from './profile.ts';

/** Waits in milliseconds. */
export interface QueueLimits {
  /** After the first failed attempt; doubled with each. */
  readonly initialBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** So long a pod waits at most for an event that may help it. */
  readonly unschedulableMaxMs?: number;
}

/** A pod that waits for a node. */
export interface QueuedPod {
  pod: PodInfo;
  /** Failed attempts in a row. */
  attempts: number;
  /** When it entered the queue first, and when it came (back) into the queue last; monotonic milliseconds. */
  readonly since: number;
  timestamp: number;
  unschedulablePlugins: ReadonlySet<string>;
}

type Place = 'active' | 'backoff' | 'unschedulable' | 'gated';

interface Entry extends QueuedPod {
  place: Place;
  backoffUntil: number;
}

/**
 * Pods to place: active ones by priority and age, those in backoff after a failure, and those that wait for an event that may help them.
 * Time is a parameter (monotonic milliseconds).
 */
export class SchedulingQueue {
  readonly #profileOf: (pod: PodInfo) => Profile | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #active: Entry[] = [];
  readonly #backoff = new Set<Entry>();
  readonly #unschedulable = new Set<Entry>();
  readonly #gated = new Set<Entry>();
  /** Heap items are copies: the entry each stands for. */
  readonly #owner = new WeakMap<Entry, Entry>();
  readonly #limits: Required<QueueLimits>;

  constructor(profileOf: (pod: PodInfo) => Profile | undefined, limits: QueueLimits = {}) {
    this.#profileOf = profileOf;
    this.#limits = {
      initialBackoffMs: 1_000,
      maxBackoffMs: 10_000,
      unschedulableMaxMs: 300_000,
      ...limits,
    };
  }

  get counts(): { active: number; backoff: number; unschedulable: number; gated: number } {
    let active = 0;
    for (const { place } of this.#entries.values()) if (place === 'active') active++;
    return {
      active,
      backoff: this.#backoff.size,
      unschedulable: this.#unschedulable.size,
      gated: this.#gated.size,
    };
  }

  has(uid: string): boolean {
    return this.#entries.has(uid);
  }

  add(pod: PodInfo, now: number): void {
    if (this.#entries.has(pod.uid)) {
      this.update(pod, now);
      return;
    }
    const entry: Entry = {
      pod,
      attempts: 0,
      since: now,
      timestamp: now,
      unschedulablePlugins: new Set(),
      place: 'gated',
      backoffUntil: 0,
    };
    this.#entries.set(pod.uid, entry);
    this.#enter(entry);
  }

  /** The pod changed. One that waited is tried again when the change may help it. */
  update(pod: PodInfo, now: number): void {
    const entry = this.#entries.get(pod.uid);
    if (entry === undefined) {
      this.add(pod, now);
      return;
    }
    const old = entry.pod;
    entry.pod = pod;
    if (entry.place === 'gated') this.#enter(entry);
    else if (entry.place === 'active' && old.priority !== pod.priority) this.#activate(entry);
    else if (entry.place === 'unschedulable' && specChanged(old, pod)) this.#release(entry, now);
  }

  remove(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    this.#leave(entry);
    this.#entries.delete(uid);
  }

  #leave(entry: Entry): void {
    this.#backoff.delete(entry);
    this.#unschedulable.delete(entry);
    this.#gated.delete(entry);
  }

  #enter(entry: Entry): void {
    const gates = this.#profileOf(entry.pod)?.preEnqueue ?? [];
    if (gates.some((plugin) => plugin.preEnqueue?.(entry.pod) !== undefined)) {
      entry.place = 'gated';
      this.#gated.add(entry);
      return;
    }
    this.#gated.delete(entry);
    this.#activate(entry);
  }

  #activate(entry: Entry): void {
    this.#backoff.delete(entry);
    this.#unschedulable.delete(entry);
    entry.place = 'active';
    // A lazy heap: stale copies of an entry are skipped when popped.
    this.#push({ ...entry, place: 'active' }, entry);
  }

  /** The next pod to try, which leaves the queue; undefined when none is active. */
  pop(): QueuedPod | undefined {
    for (;;) {
      const item = this.#popHeap();
      if (item === undefined) return undefined;
      const entry = this.#owner.get(item);
      if (entry === undefined || this.#entries.get(entry.pod.uid) !== entry || entry.place !== 'active')
        continue;
      if (item.pod.priority !== entry.pod.priority) continue;
      this.#entries.delete(entry.pod.uid);
      return {
        pod: entry.pod,
        attempts: entry.attempts,
        since: entry.since,
        timestamp: entry.timestamp,
        unschedulablePlugins: new Set(),
      };
    }
  }

  /** An attempt failed: without a plugin to blame the pod backs off, else it waits for an event. */
  requeue(
    queued: QueuedPod,
    unschedulablePlugins: ReadonlySet<string>,
    now: number,
    retryAtOnce = false,
  ): void {
    if (this.#entries.has(queued.pod.uid)) return;
    const attempts = queued.attempts + 1;
    const { initialBackoffMs, maxBackoffMs } = this.#limits;
    const entry: Entry = {
      ...queued,
      attempts,
      timestamp: now,
      unschedulablePlugins,
      place: 'unschedulable',
      backoffUntil: now + Math.min(maxBackoffMs, initialBackoffMs * 2 ** Math.min(attempts - 1, 10)),
    };
    this.#entries.set(queued.pod.uid, entry);
    if (retryAtOnce || unschedulablePlugins.size === 0) {
      entry.place = 'backoff';
      this.#backoff.add(entry);
    } else this.#unschedulable.add(entry);
  }

  #release(entry: Entry, now: number): void {
    this.#unschedulable.delete(entry);
    if (entry.backoffUntil > now) {
      entry.place = 'backoff';
      this.#backoff.add(entry);
    } else this.#activate(entry);
  }

  /** Moves waiting pods that the event may help. */
  moveOnEvent(event: ClusterEvent, now: number): void {
    for (const entry of [...this.#unschedulable]) {
      const plugins = this.#profileOf(entry.pod)?.plugins ?? [];
      const isHelped = [...entry.unschedulablePlugins].some((name) => {
        const plugin = plugins.find((each) => each.name === name);
        return plugin?.mayHelp === undefined || plugin.mayHelp(entry.pod, event);
      });
      if (isHelped) this.#release(entry, now);
    }
  }

  /** Ends backoffs, and waits that took too long. Returns the milliseconds until the next backoff ends, if any. */
  tick(now: number): number | undefined {
    let next: number | undefined;
    for (const entry of [...this.#backoff]) {
      if (entry.backoffUntil <= now) this.#activate(entry);
      else next = Math.min(next ?? Number.POSITIVE_INFINITY, entry.backoffUntil - now);
    }
    for (const entry of [...this.#unschedulable]) {
      if (now - entry.timestamp > this.#limits.unschedulableMaxMs) this.#release(entry, now);
    }
    return next;
  }

  // ---- heap ----

  #before(left: Entry, right: Entry): boolean {
    if (left.pod.priority !== right.pod.priority) return left.pod.priority > right.pod.priority;
    return left.timestamp < right.timestamp;
  }
  #push(item: Entry, owner: Entry): void {
    this.#owner.set(item, owner);
    const heap = this.#active;
    heap.push(item);
    let index = heap.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#before(heap[index] as Entry, heap[parent] as Entry)) break;
      [heap[index], heap[parent]] = [heap[parent] as Entry, heap[index] as Entry];
      index = parent;
    }
  }
  #popHeap(): Entry | undefined {
    const heap = this.#active;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    heap[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let first = index;
      if (left < heap.length && this.#before(heap[left] as Entry, heap[first] as Entry)) first = left;
      if (right < heap.length && this.#before(heap[right] as Entry, heap[first] as Entry)) first = right;
      if (first === index) return top;
      [heap[index], heap[first]] = [heap[first] as Entry, heap[index] as Entry];
      index = first;
    }
  }
}

/** Status and metadata that do not matter to scheduling are left aside. */
function specChanged(old: PodInfo, next: PodInfo): boolean {
  return (
    JSON.stringify(old.pod['spec']) !== JSON.stringify(next.pod['spec']) ||
    JSON.stringify(old.labels) !== JSON.stringify(next.labels)
  );
}
