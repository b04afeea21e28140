import type { KeyedOperation } from '@pilothouse/testkit';

/** One key as a read showed it. */
export interface SeenValue {
  readonly value: string;
  readonly modRevision: number;
  readonly createRevision: number;
  readonly version: number;
}

/** A write, or an attempt at one. */
export interface WriteRecord {
  readonly client: number;
  readonly call: number;
  /** Infinity: nobody knows whether it took place. */
  readonly end: number;
  /** `value` undefined: a delete. */
  readonly effects: readonly { readonly key: string; readonly value: string | undefined }[];
  /** Undefined while the outcome is not known. */
  readonly revision: number | undefined;
}

/** A read that was answered. */
export interface ReadRecord {
  readonly client: number;
  readonly call: number;
  readonly end: number;
  readonly isSerializable: boolean;
  /** Of the store at the moment of the read. */
  readonly revision: number;
  /** What was asked for: one key, or all below the prefix. */
  readonly key: string | undefined;
  readonly values: ReadonlyMap<string, SeenValue>;
}

export interface LeaseRecord {
  readonly id: bigint;
  readonly key: string;
  readonly ttlMs: number;
  /** Calls that succeeded: the grant and every renewal. */
  readonly renewals: { readonly call: number; readonly end: number }[];
  /** Set when the client revoked it. */
  revokedAt: number | undefined;
  /** The key was written and the outcome is known. */
  isAttached: boolean;
  isForgotten: boolean;
}

/** Everything that clients did and saw in one round. Times are milliseconds of the checker's monotonic clock. */
export class History {
  readonly writes: WriteRecord[] = [];
  readonly reads: ReadRecord[] = [];
  readonly keyed: KeyedOperation[] = [];
  readonly leases: LeaseRecord[] = [];
  /** When a revision was first known to exist: pairs of time and revision, in the order of time. */
  readonly sightings: { readonly at: number; readonly revision: number }[] = [];
  failed = 0;
  #sighted = 0;

  sight(revision: number): void {
    if (revision <= this.#sighted) return;
    this.#sighted = revision;
    this.sightings.push({ at: performance.now(), revision });
  }

  /** The first moment at which `revision` was known to exist; Infinity if never. */
  knownAt(revision: number): number {
    let low = 0;
    let high = this.sightings.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.sightings[middle]?.revision ?? 0) >= revision) high = middle;
      else low = middle + 1;
    }
    return this.sightings[low]?.at ?? Infinity;
  }
}

/** All keys that are checked begin with this. */
export const keyPrefix = 'r/';
