import { assert, IdMap } from '@pilothouse/base';
import { isMember, isVoter } from '@pilothouse/raft';
import type { ConfigState, Entry, Message, Proposal, RaftNode, Ready, SingleChange } from '@pilothouse/raft';
import { ReplicationError } from '../replication-error.ts';
import type {
  LogIndex,
  MemberId,
  MemberInfo,
  MembershipChange,
  ReplicaStatus,
  StateMachine,
  Term,
} from '../replication.ts';
import type { Completion } from './completion.ts';
import { decodeEnvelope, encodeEnvelope } from './envelope.ts';
import type { EnvelopeKind } from './envelope.ts';
import { decodeMembershipChange, encodeMembershipChange, toSingleChange } from './membership.ts';
import type { Membership } from './membership.ts';
import { ReadBarriers } from './read-barriers.ts';
import { bestTransferee, fasterVoter } from './successor.ts';
import type { ReplicaEvent, Turn } from './turn.ts';

export interface ReplicaLimits {
  /** Ticks until a proposal or a read is given up. */
  readonly requestTimeoutTicks: number;
  /** Ticks until a leadership transfer is given up. */
  readonly transferTimeoutTicks: number;
  /** Ticks until an unanswered read round is asked again. */
  readonly readRetryTicks: number;
  /** Proposals that may wait at once; more are refused with `tooManyRequests`. */
  readonly pendingProposalsMax: number;
  /** Bytes of one proposal; what the log can hold. */
  readonly proposalBytesMax: number;
  /** Bytes of proposals in one message or append. */
  readonly proposalBatchBytesMax: number;
  /** Committed entries that may wait to be applied before proposals are refused. */
  readonly applyBacklogMax: number;
  /** Applied entries after which a snapshot is due. */
  readonly snapshotCount: number;
  /** Payload bytes of new entries after which a snapshot is due, and that are kept at most after it. */
  readonly logBytesMax: number;
}

export interface ReplicaOptions {
  readonly raft: RaftNode;
  readonly stateMachine: StateMachine;
  /** As of the raft node's applied index. */
  readonly membership: Membership;
  readonly snapshotIndex: LogIndex;
  /** Random 64 bits, new at each start. */
  readonly proposer: bigint;
  readonly limits: ReplicaLimits;
}

/** Where the log can begin: the state as of the applied index. */
export interface Checkpoint {
  readonly index: LogIndex;
  readonly term: Term;
  readonly config: ConfigState;
  readonly membership: Uint8Array;
}

interface Pending {
  readonly sequence: number;
  readonly proposal: Proposal;
  readonly bytes: number;
  readonly completion: Completion;
  readonly deadline: number;
  /** Term in which it was handed to a leader; 0 while it waits here. */
  term: number;
  /** Whether a leader was lost while it waited, which tells the kind of timeout. */
  sawLeaderLoss: boolean;
}

const noPayload = new Uint8Array(0);

/**
 * Drives a state machine from a {@link RaftNode}: gathers proposals and reads of one turn, applies what commits and gives
 * results to whoever proposed. Pure: the shell calls {@link turn} after any input and carries out what it returns.
 *
 * A proposal is executed at most once. When an entry of a later term than the one it was sent in is applied, and the proposal
 * was not applied before, it can never commit (see Propose in the raft package): it is then proposed again, so
 * clients ride out a failover without an error.
 */
export class Replica {
  readonly #raft: RaftNode;
  readonly #machine: StateMachine;
  readonly #limits: ReplicaLimits;
  readonly #proposer: bigint;
  #membership: Membership;
  #notices: Message[] = [];
  readonly #pending = new IdMap<Pending>();
  #unsent: Pending[] = [];
  #sequence = 0;
  #ticks = 0;
  #appliedTerm = 0;
  #snapshotIndex: LogIndex;
  #isSnapshotDue = false;
  /** Bytes that the log held after its last compaction. */
  #keptBytes = 0;
  readonly #reads: ReadBarriers;
  #transfer:
    { readonly target: MemberId; readonly completion: Completion; readonly deadline: number } | undefined;
  #events: ReplicaEvent[] = [];
  #isStopped = false;
  #wasMember: boolean;
  #hasLeft = false;

  constructor(options: ReplicaOptions) {
    this.#raft = options.raft;
    this.#reads = new ReadBarriers(options.raft, options.limits.readRetryTicks);
    this.#machine = options.stateMachine;
    this.#limits = options.limits;
    this.#proposer = options.proposer;
    this.#membership = options.membership;
    this.#snapshotIndex = options.snapshotIndex;
    this.#wasMember = isMember(this.#raft.config, this.#raft.id);
    if (this.#membership.removed.has(this.#raft.id)) this.#leave();
  }

  get members(): ReadonlyMap<MemberId, MemberInfo> {
    return this.#membership.members;
  }

  // ---- requests ----

  propose(payload: Uint8Array, completion: Completion): void {
    this.#enqueue('proposal', payload, completion);
  }

  changeMembership(change: MembershipChange, completion: Completion): void {
    const content = encodeMembershipChange(change);
    if (change.kind === 'update') this.#enqueue('memberUpdate', content, completion);
    else this.#enqueue('memberChange', content, completion, toSingleChange(change));
  }

  #enqueue(kind: EnvelopeKind, content: Uint8Array, completion: Completion, single?: SingleChange): void {
    if (this.#isStopped) return completion.reject(stoppedError());
    const backlog = this.#raft.commitIndex - this.#raft.appliedIndex;
    if (this.#pending.size >= this.#limits.pendingProposalsMax || backlog > this.#limits.applyBacklogMax) {
      return completion.reject(
        new ReplicationError('tooManyRequests', 'Too many requests wait to be applied'),
      );
    }
    if (content.length > this.#limits.proposalBytesMax) {
      const problem = `A proposal of ${content.length} bytes exceeds the limit of ${this.#limits.proposalBytesMax}`;
      return completion.reject(new ReplicationError('tooManyRequests', problem));
    }
    const sequence = ++this.#sequence;
    const bytes = encodeEnvelope({ kind, proposer: this.#proposer, sequence, content });
    const pending: Pending = {
      sequence,
      proposal: single
        ? { kind: 'configChange', change: { transition: 'auto', changes: [single] }, context: bytes }
        : { kind: 'normal', payload: bytes },
      bytes: bytes.length,
      completion,
      deadline: this.#ticks + this.#limits.requestTimeoutTicks,
      term: 0,
      sawLeaderLoss: false,
    };
    this.#pending.set(sequence, pending);
    this.#unsent.push(pending);
  }

  readBarrier(completion: Completion): void {
    if (this.#isStopped) return completion.reject(stoppedError());
    this.#reads.add(completion, this.#ticks + this.#limits.requestTimeoutTicks);
  }

  transferLeadership(target: MemberId, completion: Completion): void {
    if (this.#isStopped) return completion.reject(stoppedError());
    if (this.#raft.role !== 'leader')
      return completion.reject(new ReplicationError('notLeader', 'This member does not lead'));
    if (target === this.#raft.id) return completion.resolve(undefined);
    if (!this.#raft.transferLeadership(target)) {
      return completion.reject(
        new ReplicationError('badLeaderTransferee', `Member ${target.toString(16)} is not a voter`),
      );
    }
    this.#transfer?.completion.reject(
      new ReplicationError('timeout', 'Another leadership transfer was started'),
    );
    this.#transfer = { target, completion, deadline: this.#ticks + this.#limits.transferTimeoutTicks };
  }

  get bestTransferee(): MemberId | undefined {
    return bestTransferee(this.#raft);
  }

  get fasterVoter(): MemberId | undefined {
    return this.#transfer === undefined ? fasterVoter(this.#raft) : undefined;
  }

  // ---- events of the shell ----

  receive(message: Message): void {
    if (message.kind === 'removed') {
      this.#leave();
      return;
    }
    // Who missed the entry of its own removal would campaign forever: tell it.
    if (this.#membership.removed.has(message.from)) {
      const { id, term } = this.#raft;
      this.#notices.push({ kind: 'removed', from: id, to: message.from, term });
      return;
    }
    this.#raft.step(message);
  }

  tick(): void {
    this.#ticks++;
    this.#raft.tick();
    this.#expire();
  }

  peerDisconnected(peer: MemberId): void {
    this.#raft.peerDisconnected(peer);
  }

  /** To be called a small random time after a disconnect; campaigns if nobody leads or is about to. */
  campaignIfLeaderless(): void {
    this.#raft.campaignAfterDisconnect();
  }

  snapshotStatus(peer: MemberId, isDelivered: boolean): void {
    this.#raft.snapshotStatus(peer, isDelivered);
  }

  /** The lowest commit index that a follower was told, and the one that there is. */
  get commits(): { readonly told: LogIndex; readonly reached: LogIndex } {
    return { told: this.#raft.toldCommit, reached: this.#raft.commitIndex };
  }

  tellCommit(): void {
    this.#raft.tellCommit();
  }

  persisted(sequence: number): void {
    this.#raft.advance(sequence);
  }

  /** The state machine holds the snapshot of a Ready now. */
  snapshotInstalled(index: LogIndex, term: Term, membership: Membership): void {
    assert(this.#machine.appliedIndex >= index, 'The restored state machine is at the snapshot');
    this.#membership = membership;
    this.#raft.applied(index);
    this.#snapshotIndex = index;
    this.#isSnapshotDue = false;
    this.#keptBytes = 0;
    this.#appliedTerm = Math.max(this.#appliedTerm, term);
    // Whatever was handed to a leader may be inside the image: whether it ran cannot be known, so it is not proposed again.
    for (const pending of this.#pending.values()) {
      if (pending.term === 0) continue;
      this.#pending.delete(pending.sequence);
      pending.completion.reject(
        new ReplicationError('timeoutLeaderFailure', 'A snapshot replaced the log meanwhile'),
      );
    }
    this.#events.push({ kind: 'membershipChanged' });
    this.#reads.resolveApplied();
  }

  /** The state as of now, from which a snapshot may be made. */
  checkpoint(): Checkpoint {
    const index = this.#raft.appliedIndex;
    const term = this.#raft.termAt(index);
    assert(term !== undefined, 'The applied entry has a term');
    return { index, term, config: this.#raft.config, membership: this.#membership.encode() };
  }

  /** A snapshot as of `index` is durable; the log may be forgotten up to `compactIndex`. */
  snapshotTaken(index: LogIndex, compactIndex: LogIndex): void {
    this.#snapshotIndex = index;
    this.#isSnapshotDue = false;
    this.#raft.compact(compactIndex);
    this.#raft.compactToBytes(this.#limits.logBytesMax, index);
    this.#keptBytes = this.#raft.logBytes;
  }

  /** Ends everything that waits. */
  stop(): void {
    this.#isStopped = true;
    const error = stoppedError();
    for (const { completion } of this.#pending.values()) completion.reject(error);
    this.#pending.clear();
    this.#unsent = [];
    this.#reads.rejectAll(error);
    this.#transfer?.completion.reject(error);
    this.#transfer = undefined;
  }

  status(): ReplicaStatus {
    const raft = this.#raft;
    const isLearner = raft.role === 'follower' && !isVoter(raft.config, raft.id);
    return {
      id: raft.id,
      leader: raft.leader,
      term: raft.term,
      role: isLearner ? 'learner' : raft.role,
      commitIndex: raft.commitIndex,
      appliedIndex: raft.appliedIndex,
      progress: () => new Map([...raft.progress].map(([id, progress]) => [id, progress.match])),
    };
  }

  // ---- one turn ----

  turn(): Turn {
    const readys: Ready[] = [];
    if (!this.#isStopped) {
      this.#sendProposals();
      this.#reads.startRound(this.#ticks);
    }
    while (this.#raft.hasReady()) {
      const ready = this.#raft.ready();
      this.#handle(ready);
      readys.push(ready);
      if (!this.#isStopped) {
        this.#sendProposals();
        this.#reads.startRound(this.#ticks);
      }
    }
    const events = this.#events;
    const notices = this.#notices;
    this.#events = [];
    this.#notices = [];
    return { readys, notices, events, hasCommitNews: this.#raft.hasCommitNews };
  }

  #handle(ready: Ready): void {
    if (ready.softState) this.#softStateChanged(ready.softState.leader, ready.softState.term);
    for (const entry of ready.committedEntries) this.#apply(entry);
    const last = ready.committedEntries.at(-1);
    if (last) {
      this.#raft.applied(last.index);
      this.#configApplied(ready.committedEntries);
      this.#reads.resolveApplied();
      const isLong = last.index - this.#snapshotIndex >= this.#limits.snapshotCount;
      const isLarge = this.#raft.logBytes - this.#keptBytes >= this.#limits.logBytesMax;
      if (!this.#isSnapshotDue && (isLong || isLarge)) {
        this.#isSnapshotDue = true;
        this.#events.push({ kind: 'snapshotDue' });
      }
    }
    for (const { context, index } of ready.readStates) this.#reads.confirmed(context, index);
  }

  #softStateChanged(leader: MemberId | undefined, term: Term): void {
    this.#events.push({ kind: 'leaderChanged', leader, term });
    this.#events.push({ kind: 'roleChanged', role: this.status().role, term });
    for (const pending of this.#pending.values()) pending.sawLeaderLoss = true;
    // A round that was asked of the former leader may never be answered.
    this.#reads.retry();
    if (this.#transfer && leader !== undefined && leader === this.#transfer.target) {
      this.#transfer.completion.resolve(undefined);
      this.#transfer = undefined;
    }
  }

  #apply(entry: Entry): void {
    if (entry.term > this.#appliedTerm) {
      this.#appliedTerm = entry.term;
      this.#requeueLost(entry.term);
    }
    const machine = this.#machine;
    // After a restart the log is replayed from the snapshot on; what the backend holds already is skipped.
    const isNew = entry.index > machine.appliedIndex;
    const { index, term } = entry;
    if (entry.kind === 'configChange') {
      if (entry.context.length === 0) {
        if (isNew) machine.apply({ index, term, payload: noPayload });
        return;
      }
      const envelope = decodeEnvelope(entry.context);
      this.#applyMembership(entry, decodeMembershipChange(envelope.content), isNew);
      this.#complete(envelope.proposer, envelope.sequence, undefined);
      return;
    }
    if (entry.payload.length === 0) {
      if (isNew) machine.apply({ index, term, payload: noPayload });
      return;
    }
    const envelope = decodeEnvelope(entry.payload);
    let result: unknown;
    if (envelope.kind === 'memberUpdate')
      this.#applyMembership(entry, decodeMembershipChange(envelope.content), isNew);
    else if (isNew) result = machine.apply({ index, term, payload: envelope.content });
    this.#complete(envelope.proposer, envelope.sequence, result);
  }

  #applyMembership(entry: Entry, change: MembershipChange, isNew: boolean): void {
    this.#membership.apply(change);
    if (isNew) this.#machine.applyMembership(entry.index, entry.term, change);
    this.#events.push({ kind: 'membershipChanged' });
  }

  #configApplied(entries: readonly Entry[]): void {
    if (!entries.some((entry) => entry.kind === 'configChange')) return;
    const isNowMember = isMember(this.#raft.config, this.#raft.id);
    // One that ended before it could leave for good sees its whole past at once; nobody would speak to it any more.
    const isGone = this.#wasMember || this.#membership.removed.has(this.#raft.id);
    if (!isNowMember && isGone) this.#leave();
    this.#wasMember = isNowMember;
  }

  #leave(): void {
    if (!this.#hasLeft) this.#events.push({ kind: 'removed' });
    this.#hasLeft = true;
  }

  #complete(proposer: bigint, sequence: number, result: unknown): void {
    if (proposer !== this.#proposer) return;
    const pending = this.#pending.get(sequence);
    if (!pending) return;
    this.#pending.delete(sequence);
    pending.completion.resolve(result);
  }

  // ---- proposals ----

  #sendProposals(): void {
    while (this.#unsent.length > 0) {
      const batch: Pending[] = [];
      let bytes = 0;
      for (const pending of this.#unsent) {
        const isChange = pending.proposal.kind === 'configChange';
        if (batch.length > 0 && (isChange || bytes + pending.bytes > this.#limits.proposalBatchBytesMax))
          break;
        batch.push(pending);
        bytes += pending.bytes;
        if (isChange) break;
      }
      const result = this.#raft.propose(batch.map(({ proposal }) => proposal));
      if (result.kind === 'dropped') {
        if (result.reason !== 'invalidConfig') return;
        for (const pending of batch) {
          this.#pending.delete(pending.sequence);
          pending.completion.reject(new ReplicationError('invalidMembershipChange', result.message));
        }
      } else for (const pending of batch) pending.term = result.term;
      this.#unsent.splice(0, batch.length);
    }
  }

  /** An entry of `term` is applied: what was handed over in an earlier term and is not applied by now never commits. */
  #requeueLost(term: Term): void {
    const lost: Pending[] = [];
    for (const pending of this.#pending.values()) {
      if (pending.term === 0 || pending.term >= term) continue;
      pending.term = 0;
      lost.push(pending);
    }
    if (lost.length > 0) this.#unsent = [...lost, ...this.#unsent];
  }

  #expire(): void {
    let hasExpired = false;
    for (const pending of this.#pending.values()) {
      // In order of arrival, so of deadline.
      if (pending.deadline > this.#ticks) break;
      this.#pending.delete(pending.sequence);
      hasExpired = true;
      pending.completion.reject(this.#timeoutError(pending.sawLeaderLoss));
    }
    if (hasExpired) this.#unsent = this.#unsent.filter((pending) => this.#pending.has(pending.sequence));
    this.#reads.tick(this.#ticks, () => this.#timeoutError(false));
    if (this.#transfer && this.#transfer.deadline <= this.#ticks) {
      this.#transfer.completion.reject(
        new ReplicationError('timeout', 'The leadership transfer took too long'),
      );
      this.#transfer = undefined;
    }
  }

  #timeoutError(sawLeaderLoss: boolean): ReplicationError {
    if (this.#raft.leader === undefined) return new ReplicationError('noLeader', 'There is no leader');
    return sawLeaderLoss
      ? new ReplicationError(
          'timeoutLeaderFailure',
          'The request timed out, possibly because a leader failed',
        )
      : new ReplicationError('timeout', 'The request timed out');
  }
}

const stoppedError = (): ReplicationError => new ReplicationError('stopped', 'The member is stopping');
