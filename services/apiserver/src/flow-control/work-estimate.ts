import type { Work } from './ticket.ts';

/** What is known of the stored objects of a resource. */
export interface ResourceSize {
  readonly count: number;
  readonly averageBytes: number;
}

/** What of a request its width depends on. */
export interface WorkQuestion {
  readonly verb: string;
  /** Names one object, also by a field selector. */
  readonly isSingle: boolean;
  readonly limit: number;
  readonly hasSelector: boolean;
  /** Answered from the watch cache, in pieces. */
  readonly fromCache: boolean;
  /** A watch that begins with the state. */
  readonly sendsState: boolean;
  /** Undefined: unknown resource, or one of another server. */
  readonly size: ResourceSize | undefined;
  /** Watchers that an event of this write goes to. */
  readonly watchers: number;
}

const bytesPerSeat = 100_000;
/** A list from the cache is sent in pieces and never uses more memory at once. */
const cacheBytesMax = 1_000_000;
/** For a resource whose objects nobody has seen the size of. */
const objectBytesMax = 1_500_000;
const listSeatsMax = 100;
const mutatingSeatsMax = 10;
const watchesPerSeat = 10;
const eventMs = 5;
const levelSeatsShare = 0.15;

const one: Work = { initialSeats: 1, finalSeats: 0, additionalLatencyMs: 0 };
const writes = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Whether the request sends events to watchers. */
export function isWrite({ verb }: WorkQuestion): boolean {
  return writes.has(verb);
}

/** The widest that a request may be at a level with so many seats. */
export function levelSeatsMax(nominalSeats: number, handSize: number): number {
  return Math.max(
    1,
    Math.min(Math.ceil(nominalSeats * levelSeatsShare), Math.floor(nominalSeats / Math.max(1, handSize))),
  );
}

/**
 * Seats of a request: a list as many as the bytes it holds at once, a write also some for its events to the watchers, anything else one. The
 * numbers are upstream's (gate SizeBasedListCostEstimate). `seatsMax` is what the level allows.
 */
export function estimateWork(question: WorkQuestion, seatsMax: number): Work {
  const { verb } = question;
  if (verb === 'list' || (verb === 'watch' && question.sendsState)) {
    const seats = Math.min(listSeats(question), listSeatsMax, seatsMax);
    return seats <= 1 ? one : { initialSeats: seats, finalSeats: 0, additionalLatencyMs: 0 };
  }
  if (!isWrite(question) || question.watchers < watchesPerSeat) return one;
  const wanted = Math.ceil(question.watchers / watchesPerSeat);
  const finalSeats = Math.min(wanted, mutatingSeatsMax, seatsMax);
  // The same work in fewer seats takes longer.
  return { initialSeats: 1, finalSeats, additionalLatencyMs: (wanted * eventMs) / finalSeats };
}

function listSeats({ size, isSingle, limit, hasSelector, fromCache }: WorkQuestion): number {
  if (size === undefined) return 1;
  const average = size.averageBytes > 0 || size.count === 0 ? size.averageBytes : objectBytesMax;
  const limited = limit > 0 ? Math.min(limit, size.count) : size.count;
  let objects = limited;
  if (isSingle) objects = 1;
  else if (!fromCache && hasSelector) objects = Math.max(limited, size.count / 2);
  const bytes = objects * average;
  return Math.max(1, Math.ceil((fromCache ? Math.min(bytes, cacheBytesMax) : bytes) / bytesPerSeat));
}
