import { assert, Members } from '@pilothouse/base';
import { dealHand } from './shuffle-shard.ts';
import type { Ticket } from './ticket.ts';
import { maxSeats, seatSeconds } from './ticket.ts';

export interface QueueingConfig {
  readonly queues: number;
  /** Queues that one flow may use. */
  readonly handSize: number;
  /** Requests that may wait in one queue. */
  readonly lengthLimit: number;
}

/** `execute`: at once. The two refusals are the reasons in upstream's metric. */
export type Arrival = 'execute' | 'queued' | 'queue-full' | 'concurrency-limit';

interface Queue {
  readonly waiting: Ticket[];
  readonly executing: Members<Ticket>;
  seatsInUse: number;
  /** Virtual time at which its next request would start, seat-seconds. */
  nextDispatchR: number;
  /** Has requests that wait or are executed. */
  isBusy: boolean;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

export interface VirtualProgress {
  readonly current: number;
  readonly atLastDispatch: number;
  /** Virtual start of the request that was dispatched last. */
  readonly latestStart: number;
  /** Over the queues in which something waits: virtual start of their oldest request. */
  readonly nextStarts: Bounds | undefined;
  /** The same, without the work that is thought to be under way. */
  readonly nextDiscountedStarts: Bounds | undefined;
}

/** How long a request is thought to take until it is known, milliseconds (upstream's guess). */
const guessedDurationMs = 3;
const handsKept = 1024;

/**
 * The seats of one priority level, shared fairly among flows: fair queuing over shuffle-sharded queues. Virtual time runs at the rate at which
 * each busy queue would get seats if all were served at once bit by bit; the request that would end first in that ideal world is dispatched
 * first. A request is charged the guessed duration when it starts and the real one when it ends.
 *
 * Without queueing, requests beyond the limit are refused. `undefined` as limit: nothing is ever refused (exempt).
 * Pure: time comes in with each call, milliseconds of a clock that never goes back.
 */
export class FairQueue {
  #config: QueueingConfig | undefined;
  #limit: number | undefined;
  #queues: Queue[] = [];
  readonly #hands = new Map<string, number[]>();
  readonly #loose = new Members<Ticket>();
  #currentR = 0;
  #lastMs = 0;
  #robin = 0;
  #seatsInUse = 0;
  #seatsWaiting = 0;
  #waiting = 0;
  #executing = 0;
  #busyQueues = 0;
  #dispatchedR = 0;
  #latestS = 0;
  dispatched = 0;
  rejected = 0;
  timedOut = 0;
  cancelled = 0;

  constructor(config: QueueingConfig | undefined, limit: number | undefined) {
    this.#config = config;
    this.#limit = limit;
    this.#grow();
  }

  get waiting(): number {
    return this.#waiting;
  }

  get executing(): number {
    return this.#executing;
  }

  get seatsInUse(): number {
    return this.#seatsInUse;
  }

  /** Seats that requests use or wait for. */
  get seatDemand(): number {
    return this.#seatsInUse + this.#seatsWaiting;
  }

  get isIdle(): boolean {
    return this.#waiting === 0 && this.#seatsInUse === 0 && this.#executing === 0;
  }

  /** New settings; what waits stays where it is. More seats dispatch at once. */
  configure(nowMs: number, config: QueueingConfig | undefined, limit: number | undefined): void {
    this.#advance(nowMs);
    const before = this.#config;
    this.#config = config;
    this.#limit = limit;
    if (before?.queues !== config?.queues || before?.handSize !== config?.handSize) this.#hands.clear();
    this.#grow();
    this.#dispatch(nowMs);
  }

  arrive(nowMs: number, ticket: Ticket): Arrival {
    assert(ticket.state === 'new', 'A ticket arrives once');
    this.#advance(nowMs);
    const limit = this.#limit;
    if (limit === undefined) {
      this.#start(nowMs, ticket, undefined);
      return 'execute';
    }
    if (this.#config === undefined) {
      if (!this.#hasSeats(maxSeats(ticket.work))) {
        this.rejected++;
        return 'concurrency-limit';
      }
      this.#start(nowMs, ticket, undefined);
      return 'execute';
    }
    const index = this.#chooseQueue(ticket, this.#config);
    const queue = this.#queues[index] as Queue;
    if (this.#executing >= limit && queue.waiting.length >= this.#config.lengthLimit) {
      this.rejected++;
      return 'queue-full';
    }
    // An idle queue must not have saved up virtual time.
    if (queue.waiting.length === 0 && queue.executing.size === 0) queue.nextDispatchR = this.#currentR;
    ticket.queue = index;
    if (this.#waiting === 0 && this.#hasSeats(maxSeats(ticket.work))) {
      this.#start(nowMs, ticket, queue);
      return 'execute';
    }
    ticket.state = 'waiting';
    queue.waiting.push(ticket);
    this.#waiting++;
    this.#seatsWaiting += maxSeats(ticket.work);
    this.#note(queue);
    this.#dispatch(nowMs);
    return (ticket.state as Ticket['state']) === 'waiting' ? 'queued' : 'execute';
  }

  /** Takes a waiting request out. False when it does not wait any more. */
  leave(nowMs: number, ticket: Ticket, reason: 'time-out' | 'cancelled'): boolean {
    if (ticket.state !== 'waiting') return false;
    this.#advance(nowMs);
    const queue = this.#queues[ticket.queue] as Queue;
    queue.waiting.splice(queue.waiting.indexOf(ticket), 1);
    this.#note(queue);
    ticket.state = 'done';
    this.#waiting--;
    this.#seatsWaiting -= maxSeats(ticket.work);
    if (reason === 'time-out') this.timedOut++;
    else this.cancelled++;
    this.#dispatch(nowMs);
    return true;
  }

  /** The request was executed. Its seats stay taken until {@link release} when its work has a second part. */
  finish(nowMs: number, ticket: Ticket): void {
    if (ticket.state !== 'executing') return;
    this.#advance(nowMs);
    this.#executing--;
    const queue = this.#queues[ticket.queue];
    if (queue) {
      const over = nowMs - ticket.dispatchedMs - guessedDurationMs;
      queue.nextDispatchR += (ticket.work.initialSeats * over) / 1000;
    }
    ticket.state = 'finishing';
    if (ticket.work.finalSeats === 0 || ticket.work.additionalLatencyMs <= 0) this.release(nowMs, ticket);
    else this.#dispatch(nowMs);
  }

  /** Frees the seats of a finished request. */
  release(nowMs: number, ticket: Ticket): void {
    if (ticket.state !== 'finishing') return;
    this.#advance(nowMs);
    ticket.state = 'done';
    this.#seatsInUse -= maxSeats(ticket.work);
    ticket.place?.leave();
    const queue = this.#queues[ticket.queue];
    if (queue) {
      queue.seatsInUse -= maxSeats(ticket.work);
      this.#note(queue);
    }
    this.#shrink();
    this.#dispatch(nowMs);
  }

  /** Where virtual time is, in seat-seconds. Bounds only while something waits. */
  get progress(): VirtualProgress {
    const starts: number[] = [];
    const discounted: number[] = [];
    for (const queue of this.#queues) {
      if (queue.waiting.length === 0) continue;
      starts.push(queue.nextDispatchR);
      discounted.push(queue.nextDispatchR - (queue.seatsInUse * guessedDurationMs) / 1000);
    }
    const bounds = (values: readonly number[]): Bounds | undefined =>
      values.length === 0 ? undefined : { min: Math.min(...values), max: Math.max(...values) };
    return {
      current: this.#currentR,
      atLastDispatch: this.#dispatchedR,
      latestStart: this.#latestS,
      nextStarts: bounds(starts),
      nextDiscountedStarts: bounds(discounted),
    };
  }

  /** For dumps. Tickets in `loose` are executed without a queue. */
  dump(): {
    readonly queues: readonly {
      readonly waiting: readonly Ticket[];
      readonly executing: readonly Ticket[];
      readonly seatsInUse: number;
      readonly nextDispatchR: number;
    }[];
    readonly loose: readonly Ticket[];
  } {
    return {
      queues: this.#queues.map((queue) => ({
        waiting: [...queue.waiting],
        executing: queue.executing.values(),
        seatsInUse: queue.seatsInUse,
        nextDispatchR: queue.nextDispatchR,
      })),
      loose: this.#loose.values(),
    };
  }

  #advance(nowMs: number): void {
    const elapsed = (nowMs - this.#lastMs) / 1000;
    this.#lastMs = nowMs;
    if (elapsed > 0 && this.#queues.length > 0) this.#currentR += elapsed * this.#rate();
  }

  /** Seats that each busy queue gets in the ideal world. */
  #rate(): number {
    return this.#busyQueues === 0 ? 0 : Math.min(this.seatDemand, this.#limit ?? 0) / this.#busyQueues;
  }

  #note(queue: Queue): void {
    const isBusy = queue.waiting.length > 0 || queue.executing.size > 0;
    if (isBusy === queue.isBusy) return;
    queue.isBusy = isBusy;
    this.#busyQueues += isBusy ? 1 : -1;
  }

  /** Of the flow's hand, the queue with the least work waiting. */
  #chooseQueue(ticket: Ticket, config: QueueingConfig): number {
    const flow = `${ticket.flowSchema}\0${ticket.distinguisher}`;
    let hand = this.#hands.get(flow);
    if (hand === undefined) {
      hand = dealHand(flow, config.queues, config.handSize);
      if (this.#hands.size >= handsKept) this.#hands.clear();
      this.#hands.set(flow, hand);
    }
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (const index of hand) {
      const queue = this.#queues[index] as Queue;
      let load = (queue.seatsInUse * guessedDurationMs) / 1000;
      for (const waiting of queue.waiting) load += seatSeconds(waiting.work, guessedDurationMs);
      if (load < least) {
        least = load;
        best = index;
      }
    }
    return best;
  }

  #hasSeats(seats: number): boolean {
    const limit = this.#limit ?? Number.POSITIVE_INFINITY;
    // A request that is wider than the level gets it all for itself.
    if (seats > limit) return this.#executing === 0 && this.#seatsInUse === 0;
    return this.#seatsInUse + seats <= limit;
  }

  #dispatch(nowMs: number): void {
    while (this.#waiting > 0) {
      const index = this.#nextQueue();
      if (index < 0) return;
      const queue = this.#queues[index] as Queue;
      const ticket = queue.waiting[0] as Ticket;
      if (!this.#hasSeats(maxSeats(ticket.work))) {
        ticket.onNoRoom?.();
        return;
      }
      this.#robin = index;
      queue.waiting.shift();
      this.#waiting--;
      this.#seatsWaiting -= maxSeats(ticket.work);
      this.#start(nowMs, ticket, queue);
    }
  }

  /** The queue whose oldest request would end first; among equals the next one in turn. */
  #nextQueue(): number {
    let best = -1;
    let earliest = Number.POSITIVE_INFINITY;
    const count = this.#queues.length;
    for (let step = 1; step <= count; step++) {
      const index = (this.#robin + step) % count;
      const queue = this.#queues[index] as Queue;
      const oldest = queue.waiting[0];
      if (oldest === undefined) continue;
      const end = queue.nextDispatchR + seatSeconds(oldest.work, guessedDurationMs);
      if (end < earliest) {
        earliest = end;
        best = index;
      }
    }
    return best;
  }

  #start(nowMs: number, ticket: Ticket, queue: Queue | undefined): void {
    const seats = maxSeats(ticket.work);
    ticket.state = 'executing';
    ticket.dispatchedMs = nowMs;
    this.dispatched++;
    this.#executing++;
    this.#seatsInUse += seats;
    if (queue) {
      this.#dispatchedR = this.#currentR;
      this.#latestS = queue.nextDispatchR;
      ticket.place = queue.executing.add(ticket);
      queue.seatsInUse += seats;
      queue.nextDispatchR += seatSeconds(ticket.work, guessedDurationMs);
      this.#note(queue);
    } else {
      ticket.place = this.#loose.add(ticket);
    }
    ticket.onDispatch();
  }

  #grow(): void {
    const wanted = this.#config?.queues ?? 0;
    while (this.#queues.length < wanted) {
      this.#queues.push({
        waiting: [],
        executing: new Members(),
        seatsInUse: 0,
        nextDispatchR: this.#currentR,
        isBusy: false,
      });
    }
    this.#shrink();
  }

  /** Queues that are no longer wanted go once they are empty, from the end so that indexes stay. */
  #shrink(): void {
    const wanted = this.#config?.queues ?? 0;
    while (this.#queues.length > wanted) {
      const last = this.#queues[this.#queues.length - 1] as Queue;
      if (last.waiting.length > 0 || last.executing.size > 0) return;
      this.#queues.pop();
    }
    if (this.#robin >= this.#queues.length) this.#robin = 0;
  }
}
