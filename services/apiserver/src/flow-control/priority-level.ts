import type { KubeObject } from '@pilothouse/apimachinery';
import type { QueueingConfig } from './fair-queue.ts';
import { FairQueue } from './fair-queue.ts';
import type { LevelUse } from './level-use.ts';
import { RetryAfter } from './retry-after.ts';
import { SeatDemand } from './seat-demand.ts';
import { levelSeatsMax } from './work-estimate.ts';

/** What the spec of a PriorityLevelConfiguration means for a server with a known number of seats. */
export interface LevelSettings {
  readonly isExempt: boolean;
  readonly queueing: QueueingConfig | undefined;
  readonly nominalSeats: number;
  /** Seats that stay even when others borrow. */
  readonly minSeats: number;
  /** Seats with all that may be borrowed. */
  readonly maxSeats: number;
}

interface LevelSpec {
  readonly type: 'Exempt' | 'Limited';
  readonly exempt?: { nominalConcurrencyShares?: number; lendablePercent?: number };
  readonly limited?: {
    nominalConcurrencyShares?: number;
    lendablePercent?: number;
    borrowingLimitPercent?: number;
    limitResponse?: {
      type: 'Queue' | 'Reject';
      queuing?: { queues: number; handSize: number; queueLengthLimit: number };
    };
  };
}

/** Shares when the spec does not say, for a limited level. */
const sharesDefault = 30;

function specOf(object: KubeObject): LevelSpec {
  return object['spec'] as LevelSpec;
}

/** Shares of a level in the server's seats. */
export function sharesOf(object: KubeObject): number {
  const { type, exempt, limited } = specOf(object);
  if (type === 'Exempt') return exempt?.nominalConcurrencyShares ?? 0;
  return limited?.nominalConcurrencyShares ?? sharesDefault;
}

export function levelSettings(object: KubeObject, serverSeats: number, shareSum: number): LevelSettings {
  const { type, exempt, limited } = specOf(object);
  const nominalSeats = shareSum === 0 ? 0 : Math.ceil((serverSeats * sharesOf(object)) / shareSum);
  const lendable = Math.round((nominalSeats * ((limited ?? exempt)?.lendablePercent ?? 0)) / 100);
  const borrowing =
    limited?.borrowingLimitPercent === undefined
      ? serverSeats
      : Math.round((nominalSeats * limited.borrowingLimitPercent) / 100);
  const queuing = limited?.limitResponse?.type === 'Queue' ? limited.limitResponse.queuing : undefined;
  return {
    isExempt: type === 'Exempt',
    queueing: queuing && {
      queues: queuing.queues,
      handSize: queuing.handSize,
      lengthLimit: queuing.queueLengthLimit,
    },
    nominalSeats,
    minSeats: nominalSeats - lendable,
    maxSeats: nominalSeats + borrowing,
  };
}

/** A priority level at work: its seats, its queues and what is known of its demand. */
export class PriorityLevel {
  readonly name: string;
  readonly queue: FairQueue;
  readonly demand: SeatDemand;
  readonly retryAfter = new RetryAfter();
  uid = '';
  settings: LevelSettings;
  /** Seats at the moment, with what was lent or borrowed. */
  currentSeats: number;
  /** Set by metrics. */
  use: LevelUse | undefined;
  /** Its object is gone; what it has is brought to an end. */
  isQuiescing = false;

  constructor(name: string, settings: LevelSettings, nowMs: number) {
    this.name = name;
    this.settings = settings;
    this.currentSeats = settings.nominalSeats;
    this.queue = new FairQueue(settings.queueing, settings.isExempt ? undefined : this.currentSeats);
    this.demand = new SeatDemand(nowMs);
  }

  /** The widest request that it takes. */
  get seatsMax(): number {
    const { isExempt, nominalSeats, queueing } = this.settings;
    return isExempt ? Number.POSITIVE_INFINITY : levelSeatsMax(nominalSeats, queueing?.handSize ?? 1);
  }

  configure(nowMs: number, settings: LevelSettings): void {
    this.settings = settings;
    this.isQuiescing = false;
    this.setSeats(nowMs, Math.min(settings.maxSeats, Math.max(settings.minSeats, this.currentSeats)));
  }

  setSeats(nowMs: number, seats: number): void {
    this.currentSeats = seats;
    this.queue.configure(
      nowMs,
      this.settings.queueing,
      this.settings.isExempt ? undefined : Math.max(1, seats),
    );
  }

  noteDemand(nowMs: number): void {
    this.demand.set(nowMs, this.queue.seatDemand);
    const { use, queue } = this;
    if (use === undefined) return;
    const { queueing } = this.settings;
    const seats = Math.max(1, this.currentSeats);
    use.seats.set(nowMs, queue.seatsInUse / seats);
    use.executing.set(nowMs, queue.executing / seats);
    if (queueing) use.waiting.set(nowMs, queue.waiting / (queueing.queues * queueing.lengthLimit));
  }
}
