import { decodeMessage, mvccpb } from '@pilothouse/proto';
import { checkWatch } from '@pilothouse/testkit';
import type { SeededRandom, WatchedEvent, WatchedItem } from '@pilothouse/testkit';
import type { WatchStream } from '../core/watch/watchable-store.ts';
import type { SimulatedMember, World } from './simulated-member.ts';
import { toEvent } from './witness.ts';

interface Segment {
  readonly startRevision: number;
  readonly items: WatchedItem[];
}

/**
 * A client that watches everything and resumes at another member after a failure or for no reason, from the revision after
 * the last it saw.
 */
export class SimulatedWatcher {
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #segments: Segment[] = [];
  #next = 2;
  #member: SimulatedMember | undefined;
  #machine: SimulatedMember['machine'] | undefined;
  #stream: WatchStream | undefined;

  constructor(world: World, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
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
    const segment: Segment = { startRevision: this.#next, items: [] };
    this.#segments.push(segment);
    const { watchable } = member.machine;
    watchable.onDirty = () => this.#world.clock.setTimeout(() => watchable.deliver(), 1);
    const stream = watchable.stream({
      send: (message) => {
        if (this.#stream !== stream) return true;
        if (message.kind === 'events') {
          const events = message.events.map(decodeEvent);
          const kept =
            this.#world.mutation === 'drop-event'
              ? events.filter(() => !this.#random.chance(1 / 30))
              : events;
          if (kept.length > 0) segment.items.push({ kind: 'events', events: kept });
          this.#next = Math.max(this.#next, (events.at(-1)?.revision ?? 0) + 1);
        } else if (message.kind === 'progress') {
          segment.items.push({ kind: 'progress', revision: message.revision });
          this.#next = Math.max(this.#next, message.revision + 1);
        } else {
          // Compacted: the client has to list and watch from there.
          this.#next = Math.max(this.#next, message.compactRevision);
          this.#member = undefined;
        }
        return true;
      },
    });
    this.#stream = stream;
    stream.watch(1, {
      key: Uint8Array.of(0),
      rangeEnd: Uint8Array.of(0),
      startRevision: this.#next,
      prevKv: false,
      progressNotify: true,
      noPut: false,
      noDelete: false,
    });
    watchable.deliver();
  }

  /** What is wrong with anything it saw, or undefined. With `isFinal`, the present watch must have seen everything up to `revision`. */
  check(history: readonly WatchedEvent[], finalRevision?: number): string | undefined {
    for (const { startRevision, items } of this.#segments) {
      const problem = checkWatch(items, history, startRevision);
      if (problem !== undefined) return problem;
    }
    const last = history.at(-1)?.revision ?? 0;
    if (finalRevision !== undefined && this.#member && this.#next <= Math.min(finalRevision, last)) {
      return `The watch stopped before revision ${this.#next}, the history goes on to ${last}`;
    }
    return undefined;
  }
}

function decodeEvent(bytes: Uint8Array): WatchedEvent {
  const { type, kv } = decodeMessage(mvccpb.Event, bytes);
  if (!kv) throw new Error('An event carries a key value');
  return toEvent(kv, Number(type) === 1);
}
