import type { Membership } from '@pilothouse/base';

/** What a request takes up. */
export interface Work {
  /** Seats while it is executed. */
  readonly initialSeats: number;
  /** Seats for the work that follows (events to watchers), and for how long, milliseconds. */
  readonly finalSeats: number;
  readonly additionalLatencyMs: number;
}

/** One request at a priority level, from its arrival until its seats are free again. */
export interface Ticket {
  readonly flowSchema: string;
  /** User or namespace, as the flow schema tells flows apart. */
  readonly distinguisher: string;
  readonly work: Work;
  readonly arrivedMs: number;
  /** Called when the request may be executed; also from within `arrive`. */
  onDispatch(): void;
  /** Called when it was next in turn and the seats did not suffice; at each such attempt. */
  readonly onNoRoom?: (() => void) | undefined;
  /** For dumps: whatever the caller knows about the request. */
  readonly details?: unknown;
  state: 'new' | 'waiting' | 'executing' | 'finishing' | 'done';
  /** Index of its queue; -1 at a level without queues. */
  queue: number;
  dispatchedMs: number;
  /** Among those that are executed. */
  place: Membership<Ticket> | undefined;
}

export function maxSeats(work: Work): number {
  return Math.max(work.initialSeats, work.finalSeats);
}

/** Estimated work in seat-seconds, for an execution of `durationMs`. */
export function seatSeconds(work: Work, durationMs: number): number {
  return (work.initialSeats * durationMs + work.finalSeats * work.additionalLatencyMs) / 1000;
}

export function newTicket(
  fields: Pick<
    Ticket,
    'flowSchema' | 'distinguisher' | 'work' | 'arrivedMs' | 'onDispatch' | 'onNoRoom' | 'details'
  >,
): Ticket {
  // Member by member: this is made for each request, and copying by spread takes a slow path.
  return {
    flowSchema: fields.flowSchema,
    distinguisher: fields.distinguisher,
    work: fields.work,
    arrivedMs: fields.arrivedMs,
    onDispatch: fields.onDispatch,
    onNoRoom: fields.onNoRoom,
    details: fields.details,
    state: 'new',
    queue: -1,
    dispatchedMs: 0,
    place: undefined,
  };
}
