import { decodeMessage, mvccpb } from '@pilothouse/proto';
import { checkWatchSegment } from '@pilothouse/testkit';
import type {
  EventHistory,
  GotEvent,
  GotItem,
  SeededRandom,
  WatchSegment,
  WatchShape,
} from '@pilothouse/testkit';
import type { WatchMessage, WatchStream } from '../core/watch/watchable-store.ts';
import type { SimulatedMember, World } from './simulated-member.ts';
import { toEvent } from './witness.ts';

type Segment = WatchSegment & { readonly items: GotItem[] };

/**
 * A client that watches and resumes at another member after a failure or for no reason, from the revision after the last it saw
 * or was told of.
 */
export class SimulatedWatcher {
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #shape: WatchShape;
  readonly #segments: Segment[] = [];
  #next = 2;
  #member: SimulatedMember | undefined;
  #machine: SimulatedMember['machine'] | undefined;
  #stream: WatchStream | undefined;
  #held: GotItem | undefined;

  constructor(world: World, random: SeededRandom, shape: WatchShape) {
    this.#world = world;
    this.#random = random;
    this.#shape = shape;
  }

  /** To be called now and then: stays where it is, or moves. */
  poll(members: readonly SimulatedMember[]): void {
    const isLost = !this.#member?.isUp || this.#member.machine !== this.#machine;
    if (!isLost && !this.#random.chance(0.05)) {
      if (this.#random.chance(0.3)) this.#stream?.requestProgress();
      return;
    }
    this.#stream?.close();
    this.#stream = undefined;
    this.#member = undefined;
    const up = members.filter((member) => member.isUp);
    if (up.length > 0) this.#attach(this.#random.pick(up));
  }

  #attach(member: SimulatedMember): void {
    this.#member = member;
    this.#machine = member.machine;
    this.#held = undefined;
    const { key, prevKv, filter } = this.#shape;
    const isResumed = this.#segments.length > 0;
    const segment: Segment = { where: `m${member.id}`, startRevision: this.#next, isResumed, items: [] };
    this.#segments.push(segment);
    const { watchable } = member.machine;
    watchable.onDirty = () => this.#world.clock.setTimeout(() => watchable.deliver(), 1);
    const stream = watchable.stream({
      send: (message) => {
        if (this.#stream === stream) this.#take(segment, message);
        return true;
      },
    });
    this.#stream = stream;
    const skip = this.#world.mutation === 'skip-on-resume' && isResumed ? 1 : 0;
    const isFiltered = this.#world.mutation !== 'ignore-filter';
    stream.watch(1, {
      key: key === undefined ? Uint8Array.of(0) : Buffer.from(key),
      rangeEnd: key === undefined ? Uint8Array.of(0) : new Uint8Array(0),
      startRevision: this.#next + skip,
      prevKv,
      progressNotify: true,
      noPut: isFiltered && filter === 'put',
      noDelete: isFiltered && filter === 'delete',
    });
    watchable.deliver();
  }

  #take(segment: Segment, message: WatchMessage): void {
    const { mutation } = this.#world;
    if (message.kind === 'events') {
      const events = message.events.map(decodeEvent).map((event) => this.#mutated(event));
      this.#next = Math.max(this.#next, (events.at(-1)?.revision ?? 0) + 1);
      const kept = mutation === 'drop-event' ? events.filter(() => !this.#random.chance(1 / 30)) : events;
      const items: GotItem[] = [{ kind: 'events', events: kept }];
      if (mutation === 'split-event' && kept.length > 1)
        items.splice(0, 1, ...kept.map((event): GotItem => ({ kind: 'events', events: [event] })));
      if (mutation === 'repeat-event' && this.#random.chance(1 / 20)) items.push(items[0] as GotItem);
      if (mutation === 'reorder-event' && this.#held === undefined && this.#random.chance(1 / 10)) {
        this.#held = items.pop();
        return;
      }
      segment.items.push(...items, ...(this.#held ? [this.#held] : []));
      this.#held = undefined;
    } else if (message.kind === 'progress') {
      const early = mutation === 'early-progress' ? 3 : 0;
      segment.items.push({ kind: 'progress', revision: message.revision + early });
      this.#next = Math.max(this.#next, message.revision + 1);
    } else {
      // Compacted: the client has to list and watch from there.
      this.#next = Math.max(this.#next, message.compactRevision);
      this.#member = undefined;
    }
  }

  #mutated(event: GotEvent): GotEvent {
    const { mutation } = this.#world;
    if (mutation === 'wrong-previous' && event.previous && this.#random.chance(0.1))
      return { ...event, previous: undefined };
    if (mutation === 'wrong-create' && event.version > 1 && this.#random.chance(0.1))
      return { ...event, createRevision: event.revision };
    return event;
  }

  /** What is wrong with anything it saw, or undefined. With `finalRevision`, the present watch must have seen everything up to it. */
  check(history: EventHistory, compacted: number, finalRevision?: number): string | undefined {
    const { key, filter } = this.#shape;
    const check = { shape: this.#shape, history, knownUpTo: Infinity, compacted };
    for (const segment of this.#segments) {
      const [problem] = checkWatchSegment(segment, check);
      if (problem !== undefined) return `${problem.guarantee}: ${problem.text}`;
    }
    const wanted = key === undefined ? history.events : history.eventsOf(key);
    const last = wanted.findLast(({ kind }) => kind !== filter)?.revision ?? 0;
    if (finalRevision !== undefined && this.#member && this.#next <= Math.min(finalRevision, last)) {
      return `reliable: the watch stopped before revision ${this.#next}, the history goes on to ${last}`;
    }
    return undefined;
  }
}

function decodeEvent(bytes: Uint8Array): GotEvent {
  const { type, kv, prevKv } = decodeMessage(mvccpb.Event, bytes);
  if (!kv) throw new Error('An event carries a key value');
  return {
    ...toEvent(kv, Number(type) === 1),
    previous: prevKv && { value: Buffer.from(prevKv.value).toString(), modRevision: prevKv.modRevision },
  };
}
