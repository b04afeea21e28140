import type { LogIndex } from './types.ts';

/**
 * How the leader sends to one follower.
 * - `probe`: the match is unknown; one append at a time until it is found.
 * - `replicate`: appends are pipelined optimistically within the in-flight limits.
 * - `snapshot`: a snapshot is under way; appends wait for its outcome.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export interface InflightLimits {
  /** Appends that may be unacknowledged at once. */
  readonly inflightMessagesMax: number;
  /** Payload bytes that may be unacknowledged at once; one append may exceed it. */
  readonly inflightBytesMax: number;
}

/** The leader's view of one follower. Invariants: `match < next`; in `replicate` everything below `next` has been sent. */
export class Progress {
  state: ProgressState = 'probe';
  match = 0 as LogIndex;
  next: LogIndex;
  /** In `snapshot`: the index that the snapshot covers at least. */
  pendingSnapshot = 0 as LogIndex;
  /** Heard from since the last quorum check. */
  isRecentlyActive = false;
  /** In `probe`: the one append is out. */
  isProbeSent = false;
  /** Highest read round that this member has confirmed. */
  round = 0;
  /** Commit index that the last append told. */
  sentCommit = 0;
  /** The follower waits for the commit of this index: an entry that it proposed, or a read that it asked for. */
  awaitedCommit = 0;
  #heartbeatsWithoutNews = 0;
  readonly #limits: InflightLimits;
  #inflight: { readonly lastIndex: LogIndex; readonly bytes: number }[] = [];
  #inflightBytes = 0;

  constructor(next: LogIndex, limits: InflightLimits) {
    this.next = next;
    this.#limits = limits;
  }

  get isPaused(): boolean {
    switch (this.state) {
      case 'probe':
        return this.isProbeSent;
      case 'replicate':
        return this.isFull;
      case 'snapshot':
        return true;
    }
  }

  get isFull(): boolean {
    return (
      this.#inflight.length >= this.#limits.inflightMessagesMax ||
      this.#inflightBytes >= this.#limits.inflightBytesMax
    );
  }

  get inflightCount(): number {
    return this.#inflight.length;
  }

  becomeProbe(): void {
    const next =
      this.state === 'snapshot' ? Math.max(this.match + 1, this.pendingSnapshot + 1) : this.match + 1;
    this.#reset('probe');
    this.next = next as LogIndex;
  }

  becomeReplicate(): void {
    this.#reset('replicate');
    this.next = (this.match + 1) as LogIndex;
  }

  becomeSnapshot(index: LogIndex): void {
    this.#reset('snapshot');
    this.pendingSnapshot = index;
  }

  #reset(state: ProgressState): void {
    this.state = state;
    this.isProbeSent = false;
    this.pendingSnapshot = 0 as LogIndex;
    this.#inflight = [];
    this.#inflightBytes = 0;
    this.#heartbeatsWithoutNews = 0;
    this.sentCommit = 0;
  }

  /**
   * A heartbeat came back while appends are unacknowledged. True when that has happened often enough without progress to
   * conclude that an append or its answer was lost (a slow disk only costs a repeated append).
   */
  noteHeartbeat(): boolean {
    return ++this.#heartbeatsWithoutNews >= 10;
  }

  /** Notes that an append with entries up to `lastIndex` was sent. */
  sent(lastIndex: LogIndex, count: number, bytes: number): void {
    if (this.state === 'replicate') {
      if (count > 0) {
        this.next = (lastIndex + 1) as LogIndex;
        this.#inflight.push({ lastIndex, bytes });
        this.#inflightBytes += bytes;
      }
    } else if (this.state === 'probe') {
      this.isProbeSent = true;
    }
  }

  /** The follower holds everything up to `index`. Returns whether that is news. */
  acknowledge(index: LogIndex): boolean {
    let freed = 0;
    while (freed < this.#inflight.length && (this.#inflight[freed]?.lastIndex ?? Infinity) <= index) {
      this.#inflightBytes -= this.#inflight[freed]?.bytes ?? 0;
      freed++;
    }
    if (freed > 0) this.#inflight.splice(0, freed);
    this.next = Math.max(this.next, index + 1) as LogIndex;
    if (index <= this.match) return false;
    this.match = index;
    this.#heartbeatsWithoutNews = 0;
    this.isProbeSent = false;
    return true;
  }

  /** The follower refused the append after `rejected`; `hint` is the next candidate. Returns false for a stale answer. */
  reject(rejected: LogIndex, hint: LogIndex): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.next = (this.match + 1) as LogIndex;
      return true;
    }
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1) as LogIndex;
    this.isProbeSent = false;
    return true;
  }
}
