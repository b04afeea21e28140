import type { RaftNode } from '@pilothouse/raft';
import type { ReplicationError } from '../replication-error.ts';
import type { LogIndex } from '../replication.ts';
import type { Completion } from './completion.ts';

interface WaitingRead {
  readonly completion: Completion;
  readonly deadline: number;
}

/**
 * Reads that wait until this member has applied what was committed when they came. One round with the quorum is under way at
 * a time and serves all reads that came before it began. Times are in ticks.
 */
export class ReadBarriers {
  readonly #raft: RaftNode;
  readonly #retryTicks: number;
  #next: WaitingRead[] = [];
  #active: WaitingRead[] = [];
  #appliedWaits: { readonly index: LogIndex; readonly reads: readonly WaitingRead[] }[] = [];
  #context = 0;
  #startedAt = 0;
  #isActive = false;

  constructor(raft: RaftNode, retryTicks: number) {
    this.#raft = raft;
    this.#retryTicks = retryTicks;
  }

  add(completion: Completion, deadline: number): void {
    this.#next.push({ completion, deadline });
  }

  /** Asks for the waiting reads unless a round is under way or there is no leader to ask. */
  startRound(now: number): void {
    if (this.#isActive || this.#next.length === 0) return;
    if (!this.#raft.readIndex(this.#context + 1)) return;
    this.#context++;
    this.#isActive = true;
    this.#startedAt = now;
    this.#active = this.#next;
    this.#next = [];
  }

  /** The round of `context` was answered: its reads go on once `index` is applied. */
  confirmed(context: number, index: LogIndex): void {
    if (!this.#isActive || context !== this.#context) return;
    this.#isActive = false;
    this.#appliedWaits.push({ index, reads: this.#active });
    this.#active = [];
    this.resolveApplied();
  }

  /** Gives up the round under way, if any; its reads are part of the next one. */
  retry(): void {
    if (!this.#isActive) return;
    this.#isActive = false;
    this.#next = [...this.#active, ...this.#next];
    this.#active = [];
  }

  resolveApplied(): void {
    if (this.#appliedWaits.length === 0) return;
    const applied = this.#raft.appliedIndex;
    const ready = this.#appliedWaits.filter((wait) => wait.index <= applied);
    if (ready.length === 0) return;
    this.#appliedWaits = this.#appliedWaits.filter((wait) => wait.index > applied);
    for (const wait of ready) for (const read of wait.reads) read.completion.resolve(undefined);
  }

  /** Rejects what is due and repeats a round that stays unanswered. */
  tick(now: number, timeoutError: () => ReplicationError): void {
    const isDue = (read: WaitingRead): boolean => read.deadline <= now;
    const keep = (reads: readonly WaitingRead[]): WaitingRead[] => {
      for (const read of reads) if (isDue(read)) read.completion.reject(timeoutError());
      return reads.filter((read) => !isDue(read));
    };
    if (this.#active.some(isDue)) this.#active = keep(this.#active);
    if (this.#next.some(isDue)) this.#next = keep(this.#next);
    if (this.#appliedWaits.some((wait) => wait.reads.some(isDue))) {
      this.#appliedWaits = this.#appliedWaits.map((wait) => ({ index: wait.index, reads: keep(wait.reads) }));
    }
    if (now - this.#startedAt >= this.#retryTicks) this.retry();
  }

  rejectAll(error: ReplicationError): void {
    const reads = [...this.#next, ...this.#active, ...this.#appliedWaits.flatMap((wait) => wait.reads)];
    this.#next = this.#active = [];
    this.#appliedWaits = [];
    for (const { completion } of reads) completion.reject(error);
  }
}
