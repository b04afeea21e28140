import { assert } from '@pilothouse/base';
import type { Random } from '@pilothouse/base';
import { isVoter } from './config-change.ts';
import { ForwardedBatches } from './forwarded-batches.ts';
import type { CommitHint, Message } from './message.ts';
import { defaultLimits } from './options.ts';
import type { RaftLimits, RaftOptions } from './options.ts';
import type { Progress } from './progress.ts';
import { RaftLog } from './raft-log.ts';
import { ReadRounds } from './read-rounds.ts';
import { emptyConfig } from './types.ts';
import type { ConfigState, LogIndex, MemberId, ReadState, Role, SnapshotMetadata, Term } from './types.ts';

export type Draft<M> = M extends Message ? Omit<M, 'from' | 'term'> & { readonly term?: Term } : never;

/** A Ready that was handed out and is not known to be durable. */
export interface Outstanding {
  readonly sequence: number;
  /** Last index whose durability this Ready brings; lowered when the log is truncated meanwhile. */
  lastIndex: LogIndex;
  /** Term in which this Ready makes the vote for oneself durable. */
  readonly selfVoteTerm: Term | undefined;
}

/** What all parts of a member's consensus share: its state, and how that goes from one term and role to another. */
export class RaftCore {
  readonly id: MemberId;
  readonly random: Random;
  readonly limits: RaftLimits;
  readonly log: RaftLog;
  term = 0 as Term;
  vote: MemberId | undefined;
  role: Role = 'follower';
  leader: MemberId | undefined;
  config: ConfigState;
  progress = new Map<MemberId, Progress>();
  votes = new Map<MemberId, boolean>();
  isTransferCampaign = false;
  electionElapsed = 0;
  heartbeatElapsed = 0;
  electionTimeout = 0;
  /** After a broken connection to the leader: elections are retried after short timeouts until a leader is known. */
  isFastElection = false;
  /** A vote or pre-vote was given since the connection to the leader broke: another member is at it. */
  hasGivenWay = false;
  transferee: MemberId | undefined;
  pendingConfigIndex = 0 as LogIndex;
  uncommittedBytes = 0;
  /** Followers are told of the commit even when they do not wait for it. */
  isCommitDue = false;
  readonly reads = new ReadRounds();
  readonly forwarded = new ForwardedBatches();
  messages: Message[] = [];
  messagesAfterPersist: Message[] = [];
  readStates: ReadState[] = [];
  pendingSnapshot: SnapshotMetadata | undefined;
  isInstallingSnapshot = false;
  outstanding: Outstanding[] = [];
  selfVotePending: Term | undefined;

  constructor(options: RaftOptions) {
    this.id = options.id;
    this.random = options.random;
    this.limits = { ...defaultLimits, ...options.limits };
    const snapshot = options.snapshot ?? { index: 0 as LogIndex, term: 0 as Term, config: emptyConfig };
    this.config = snapshot.config;
    this.log = new RaftLog(snapshot.index, snapshot.term);
    for (const entry of options.entries ?? []) this.log.push(entry);
    this.log.stable = this.log.persisting = this.log.lastIndex;
    if (options.hardState) {
      const { term, vote, commit } = options.hardState;
      assert(
        commit <= this.log.lastIndex,
        `Commit index ${commit} is beyond the log, which ends at ${this.log.lastIndex}`,
      );
      this.term = term;
      this.vote = vote;
      this.log.committed = Math.max(commit, snapshot.index) as LogIndex;
    }
  }

  isPromotable(): boolean {
    if (!isVoter(this.config, this.id) || this.isInstallingSnapshot) return false;
    // A configuration that is committed but not applied could make this member's idea of a quorum wrong.
    for (let at = this.log.applied + 1; at <= this.log.committed; at++) {
      if (this.log.entry(at as LogIndex)?.kind === 'configChange') return false;
    }
    return true;
  }

  resetElectionTimer(): void {
    const { electionTicks } = this.limits;
    this.electionElapsed = 0;
    this.electionTimeout = this.isFastElection
      ? 2 + this.random.integer(Math.max(2, electionTicks >> 1))
      : electionTicks + this.random.integer(electionTicks);
  }

  reset(term: Term): void {
    if (term !== this.term) {
      assert(term > this.term, `Term goes from ${this.term} to ${term}`);
      this.term = term;
      this.vote = undefined;
    }
    this.leader = undefined;
    this.heartbeatElapsed = 0;
    this.resetElectionTimer();
    this.votes.clear();
    this.isTransferCampaign = false;
    this.selfVotePending = undefined;
    this.transferee = undefined;
    this.uncommittedBytes = 0;
    this.progress.clear();
    this.reads.clear();
    this.forwarded.clear();
  }

  becomeFollower(term: Term, leader: MemberId | undefined): void {
    if (leader !== undefined) this.isFastElection = false;
    this.reset(term);
    this.role = 'follower';
    this.leader = leader;
  }

  /** Up to where entries may be handed out and sent now. */
  get handOutIndex(): LogIndex {
    const { log, limits } = this;
    // Whoever is to take over must get everything, also when it takes over because this disk hangs.
    const isGathering =
      limits.areAppendsGathered &&
      this.role === 'leader' &&
      this.transferee === undefined &&
      log.stable < log.persisting;
    return isGathering ? log.persisting : log.lastIndex;
  }

  get commitHint(): CommitHint {
    return { commit: this.log.committed, commitTerm: this.log.term(this.log.committed) ?? (0 as Term) };
  }

  commitTo(index: LogIndex): void {
    if (index > this.log.committed) this.log.committed = index;
  }

  send(draft: Draft<Message>): void {
    this.messages.push({ ...draft, from: this.id, term: draft.term ?? this.term } as Message);
  }

  sendAfterPersist(draft: Draft<Message>): void {
    this.messagesAfterPersist.push({ ...draft, from: this.id, term: draft.term ?? this.term } as Message);
  }
}
