import { assert, assertNever, mustExist } from '@pilothouse/base';
import type { Random } from '@pilothouse/base';
import { ConfigChangeError, changeConfig, isJoint, isMember, isVoter } from './config-change.ts';
import { ForwardedBatches } from './forwarded-batches.ts';
import type {
  Append,
  AppendResponse,
  CommitHint,
  Heartbeat,
  HeartbeatResponse,
  Message,
  SnapshotMessage,
  VoteRequest,
  VoteResponse,
} from './message.ts';
import { defaultLimits } from './options.ts';
import type { ProposeResult, RaftLimits, RaftOptions } from './options.ts';
import { Progress } from './progress.ts';
import { allVoters, committedIndex, voteOutcome } from './quorum.ts';
import { RaftLog } from './raft-log.ts';
import { ReadRounds } from './read-rounds.ts';
import type { Ready } from './ready.ts';
import { emptyConfig, entryBytes } from './types.ts';
import type {
  ConfigChange,
  ConfigState,
  Entry,
  HardState,
  LogIndex,
  MemberId,
  Proposal,
  ReadState,
  Role,
  SnapshotMetadata,
  SoftState,
  Term,
} from './types.ts';

type Draft<M> = M extends Message ? Omit<M, 'from' | 'term'> & { readonly term?: Term } : never;
type Campaign = 'preVote' | 'vote' | 'transfer';

interface Outstanding {
  readonly sequence: number;
  /** Last index whose durability this Ready brings; lowered when the log is truncated meanwhile. */
  lastIndex: LogIndex;
  /** Term in which this Ready makes the vote for oneself durable. */
  readonly selfVoteTerm: Term | undefined;
}

const noPayload = new Uint8Array(0);

/**
 * One member's consensus as a machine that is turned by hand: {@link step}, {@link tick} and {@link propose} go in, {@link ready}
 * comes out (see {@link Ready} for what the shell owes). No I/O, clock or global randomness. Raft with pre-vote and check-quorum always
 * on, ReadIndex, leadership transfer, learners and joint configurations (Ongaro, "Consensus: Bridging Theory and Practice", 2014).
 *
 * Deviations worth knowing: a configuration takes effect when its entry is applied, not when it is appended; and a member that
 * learns of its leader's broken connection ({@link peerDisconnected}) stops shielding that leader from pre-votes before the
 * election timeout. The latter is why there are no lease reads: a read always confirms leadership with a quorum.
 */
export class RaftNode {
  readonly id: MemberId;
  readonly #random: Random;
  readonly #limits: RaftLimits;
  readonly #log: RaftLog;
  #term = 0 as Term;
  #vote: MemberId | undefined;
  #role: Role = 'follower';
  #leader: MemberId | undefined;
  #config: ConfigState;
  #progress = new Map<MemberId, Progress>();
  #votes = new Map<MemberId, boolean>();
  #isTransferCampaign = false;
  #electionElapsed = 0;
  #heartbeatElapsed = 0;
  #electionTimeout = 0;
  /** After a broken connection to the leader: elections are retried after short timeouts until a leader is known. */
  #isFastElection = false;
  #transferee: MemberId | undefined;
  #pendingConfigIndex = 0 as LogIndex;
  #uncommittedBytes = 0;
  readonly #reads = new ReadRounds();
  readonly #forwarded = new ForwardedBatches();
  readonly #incarnation: number;
  #forwardedBatches = 0;
  #messages: Message[] = [];
  #messagesAfterPersist: Message[] = [];
  #readStates: ReadState[] = [];
  #pendingSnapshot: SnapshotMetadata | undefined;
  #isInstallingSnapshot = false;
  #outstanding: Outstanding[] = [];
  #sequence = 0;
  #selfVotePending: Term | undefined;
  #lastHardState: HardState;
  #lastSoftState: SoftState;

  constructor(options: RaftOptions) {
    this.id = options.id;
    this.#random = options.random;
    this.#incarnation = options.random.integer(2 ** 48);
    this.#limits = { ...defaultLimits, ...options.limits };
    const snapshot = options.snapshot ?? { index: 0 as LogIndex, term: 0 as Term, config: emptyConfig };
    this.#config = snapshot.config;
    this.#log = new RaftLog(snapshot.index, snapshot.term);
    for (const entry of options.entries ?? []) this.#log.push(entry);
    this.#log.stable = this.#log.persisting = this.#log.lastIndex;
    if (options.hardState) {
      const { term, vote, commit } = options.hardState;
      assert(
        commit <= this.#log.lastIndex,
        `Commit index ${commit} is beyond the log, which ends at ${this.#log.lastIndex}`,
      );
      this.#term = term;
      this.#vote = vote;
      this.#log.committed = Math.max(commit, snapshot.index) as LogIndex;
    }
    this.#becomeFollower(this.#term, undefined);
    this.#lastHardState = this.hardState;
    this.#lastSoftState = this.softState;
  }

  get role(): Role {
    return this.#role;
  }
  get term(): Term {
    return this.#term;
  }
  get leader(): MemberId | undefined {
    return this.#leader;
  }
  /** The configuration as of {@link appliedIndex}. */
  get config(): ConfigState {
    return this.#config;
  }
  get commitIndex(): LogIndex {
    return this.#log.committed;
  }
  get appliedIndex(): LogIndex {
    return this.#log.applied;
  }
  get lastIndex(): LogIndex {
    return this.#log.lastIndex;
  }
  /** Index before the first entry still in memory. */
  get logOffset(): LogIndex {
    return this.#log.offset;
  }
  /** Payload bytes of the entries in memory. */
  get logBytes(): number {
    return this.#log.bytes;
  }
  get hardState(): HardState {
    return { term: this.#term, vote: this.#vote, commit: this.#log.committed };
  }
  get softState(): SoftState {
    return { role: this.#role, leader: this.#leader, term: this.#term };
  }
  /** Leader only, else empty: what is known of each member. */
  get progress(): ReadonlyMap<
    MemberId,
    Readonly<Pick<Progress, 'match' | 'next' | 'state' | 'isRecentlyActive'>>
  > {
    return this.#progress;
  }
  /** Requests for votes may be lost: candidates repeat them a few times per election timeout. */
  get #voteRetryTicks(): number {
    return Math.max(this.#limits.heartbeatTicks, this.#limits.electionTicks >> 2);
  }
  get transferee(): MemberId | undefined {
    return this.#transferee;
  }
  termAt(index: LogIndex): Term | undefined {
    return this.#log.term(index);
  }
  /** For checkers: the entry at `index`, if it is in memory. */
  entryAt(index: LogIndex): Entry | undefined {
    return this.#log.entry(index);
  }

  // ---- input ----

  /** One unit of time has passed. */
  tick(): void {
    this.#electionElapsed++;
    if (this.#role === 'leader') {
      this.#heartbeatElapsed++;
      if (this.#electionElapsed >= this.#limits.electionTicks) {
        this.#electionElapsed = 0;
        if (!this.#isQuorumActive()) {
          this.#becomeFollower(this.#term, undefined);
          return;
        }
        this.#transferee = undefined;
        if (!isVoter(this.#config, this.id)) {
          this.#becomeFollower(this.#term, undefined);
          return;
        }
      }
      if (!isVoter(this.#config, this.id)) this.#handOver();
      if (this.#heartbeatElapsed >= this.#limits.heartbeatTicks) {
        this.#heartbeatElapsed = 0;
        this.#broadcastHeartbeat();
      }
      return;
    }
    if (this.#electionElapsed >= this.#electionTimeout) {
      this.#electionElapsed = 0;
      if (this.#isPromotable()) this.#campaign('preVote');
    } else if (this.#role !== 'follower' && this.#electionElapsed % this.#voteRetryTicks === 0) {
      this.#requestVotes();
    }
  }

  /** Starts a pre-vote now, if this member may lead. */
  campaign(): void {
    if (this.#role !== 'leader' && this.#isPromotable()) this.#campaign('preVote');
  }

  /**
   * The transport saw the connection to `peer` break. A follower forgets that leader, so that it gives and may ask for pre-votes
   * at once; the shell calls {@link campaign} after a small random delay. A leader goes back to probing the peer.
   */
  peerDisconnected(peer: MemberId): void {
    if (this.#role === 'leader') {
      const progress = this.#progress.get(peer);
      if (progress?.state === 'replicate') progress.becomeProbe();
    } else if (this.#leader === peer) {
      this.#leader = undefined;
      this.#isFastElection = true;
      this.#resetElectionTimer();
    }
  }

  /** The shell's streaming of a snapshot to `peer` ended. */
  snapshotStatus(peer: MemberId, isDelivered: boolean): void {
    const progress = this.#progress.get(peer);
    if (this.#role !== 'leader' || progress?.state !== 'snapshot') return;
    if (!isDelivered) progress.pendingSnapshot = 0 as LogIndex;
    progress.becomeProbe();
    progress.isProbeSent = true;
  }

  /** Appends (leader) or forwards (follower) proposals, all or none. */
  propose(proposals: readonly Proposal[]): ProposeResult {
    if (this.#role !== 'leader') {
      if (this.#leader === undefined)
        return { kind: 'dropped', reason: 'noLeader', message: 'No leader is known' };
      const batch = ++this.#forwardedBatches;
      this.#send({ kind: 'propose', to: this.#leader, incarnation: this.#incarnation, batch, proposals });
      return { kind: 'forwarded', term: this.#term, leader: this.#leader };
    }
    if (!isVoter(this.#config, this.id)) {
      return { kind: 'dropped', reason: 'removed', message: 'This leader is no longer a voter' };
    }
    if (this.#transferee !== undefined) {
      return { kind: 'dropped', reason: 'transferring', message: 'Leadership is being transferred' };
    }
    let bytes = 0;
    for (const proposal of proposals) {
      bytes += entryBytes(proposal);
      if (proposal.kind !== 'configChange') continue;
      if (this.#pendingConfigIndex > this.#log.applied || proposals.length > 1) {
        return {
          kind: 'dropped',
          reason: 'configPending',
          message: 'Another configuration change is not applied yet',
        };
      }
      try {
        changeConfig(this.#config, proposal.change);
      } catch (error) {
        if (!(error instanceof ConfigChangeError)) throw error;
        return { kind: 'dropped', reason: 'invalidConfig', message: error.message };
      }
    }
    if (this.#uncommittedBytes > 0 && this.#uncommittedBytes + bytes > this.#limits.uncommittedBytesMax) {
      return { kind: 'dropped', reason: 'overloaded', message: 'Too many bytes wait for commit' };
    }
    this.#uncommittedBytes += bytes;
    const index = this.#log.lastIndex + 1;
    for (const proposal of proposals) this.#append(proposal);
    return { kind: 'appended', term: this.#term, index };
  }

  proposeConfigChange(change: ConfigChange, context: Uint8Array = noPayload): ProposeResult {
    return this.propose([{ kind: 'configChange', change, context }]);
  }

  /**
   * Asks up to where reads must wait to be linearizable; the answer is a {@link ReadState} with the same context, or never comes
   * (leader lost, message lost): the caller asks again. False: no leader is known.
   */
  readIndex(context: number): boolean {
    if (this.#role === 'leader') this.#reads.add(this.id, context);
    else if (this.#leader === undefined) return false;
    else this.#send({ kind: 'readIndex', to: this.#leader, context });
    return true;
  }

  /** Leader: hands over to `target`, a voter, once it has the whole log. Given up after an election timeout. */
  transferLeadership(target: MemberId): boolean {
    if (this.#role !== 'leader' || target === this.id || !this.#config.voters.includes(target)) return false;
    const progress = this.#progress.get(target);
    if (!progress) return false;
    this.#transferee = target;
    this.#electionElapsed = 0;
    if (progress.match === this.#log.lastIndex) this.#send({ kind: 'timeoutNow', to: target });
    else this.#sendAppend(target, progress);
    return true;
  }

  /** Takes a message from another member. Messages may be lost, repeated, delayed and reordered, never altered. */
  step(message: Message): void {
    if (message.kind === 'removed') return;
    if ('commitTerm' in message) this.#learnCommit(message);
    if (message.term > this.#term) {
      if (message.kind === 'preVote' || message.kind === 'vote') {
        if (
          !message.isTransfer &&
          this.#leader !== undefined &&
          this.#electionElapsed < this.#limits.electionTicks
        )
          return;
      }
      if (message.kind !== 'preVote' && !(message.kind === 'preVoteResponse' && message.isGranted)) {
        const isFromLeader =
          message.kind === 'append' || message.kind === 'heartbeat' || message.kind === 'snapshot';
        this.#becomeFollower(message.term, isFromLeader ? message.from : undefined);
      }
    } else if (message.term < this.#term) {
      this.#answerStale(message);
      return;
    }
    switch (message.kind) {
      case 'preVote':
      case 'vote':
        return this.#handleVoteRequest(message);
      case 'preVoteResponse':
      case 'voteResponse':
        return this.#handleVoteResponse(message);
      case 'append':
        this.#heardFromLeader(message.from);
        return this.#handleAppend(message);
      case 'heartbeat':
        this.#heardFromLeader(message.from);
        return this.#handleHeartbeat(message);
      case 'snapshot':
        this.#heardFromLeader(message.from);
        return this.#handleSnapshot(message);
      case 'appendResponse':
        if (this.#role === 'leader') this.#handleAppendResponse(message);
        return;
      case 'heartbeatResponse':
        if (this.#role === 'leader') this.#handleHeartbeatResponse(message);
        return;
      case 'timeoutNow':
        if (this.#role === 'follower' && this.#isPromotable()) this.#campaign('transfer');
        return;
      case 'propose':
        if (this.#role === 'leader' && this.#forwarded.isNew(message)) this.propose(message.proposals);
        return;
      case 'readIndex':
        if (this.#role === 'leader') this.#reads.add(message.from, message.context);
        return;
      case 'readIndexResponse':
        this.#readStates.push({ context: message.context, index: message.index });
        return;
      default:
        assertNever(message, 'message');
    }
  }

  // ---- output ----

  /** Whether {@link ready} has anything to give. */
  hasReady(): boolean {
    this.#flush();
    return (
      this.#messages.length > 0 ||
      this.#messagesAfterPersist.length > 0 ||
      this.#readStates.length > 0 ||
      this.#pendingSnapshot !== undefined ||
      this.#log.persisting < this.#log.lastIndex ||
      this.#applicableIndex() > this.#log.applying ||
      this.#selfVotePending !== undefined ||
      this.#isHardStateChanged() ||
      this.#isSoftStateChanged()
    );
  }

  /** Hands out what has accumulated; each effect once. */
  ready(): Ready {
    this.#flush();
    const entries = this.#log.slice(this.#log.persisting, this.#log.lastIndex);
    this.#log.persisting = this.#log.lastIndex;
    const snapshot = this.#pendingSnapshot;
    this.#pendingSnapshot = undefined;
    let committedEntries: Entry[] = [];
    const applicable = this.#applicableIndex();
    if (applicable > this.#log.applying) {
      committedEntries = this.#log.slice(this.#log.applying, applicable, this.#limits.applyBytesMax);
      this.#log.applying = (this.#log.applying + committedEntries.length) as LogIndex;
    }
    const isHardStateChanged = this.#isHardStateChanged();
    const hardState = isHardStateChanged ? this.hardState : undefined;
    const previous = this.#lastHardState;
    const mustSync =
      entries.length > 0 ||
      snapshot !== undefined ||
      (hardState !== undefined && (hardState.term !== previous.term || hardState.vote !== previous.vote));
    if (hardState) this.#lastHardState = hardState;
    const softState = this.#isSoftStateChanged() ? this.softState : undefined;
    if (softState) this.#lastSoftState = softState;
    const ready: Ready = {
      sequence: ++this.#sequence,
      hardState,
      entries,
      snapshot,
      mustSync,
      messages: this.#messages,
      messagesAfterPersist: this.#messagesAfterPersist,
      committedEntries,
      readStates: this.#readStates,
      softState,
    };
    this.#outstanding.push({
      sequence: ready.sequence,
      lastIndex: this.#log.lastIndex,
      selfVoteTerm: this.#selfVotePending,
    });
    this.#selfVotePending = undefined;
    this.#messages = [];
    this.#messagesAfterPersist = [];
    this.#readStates = [];
    return ready;
  }

  /** Everything that the Ready `sequence` and all earlier ones asked to persist is durable. */
  advance(sequence: number): void {
    while (this.#outstanding.length > 0) {
      const first = mustExist(this.#outstanding[0]);
      if (first.sequence > sequence) return;
      this.#outstanding.shift();
      if (first.lastIndex > this.#log.stable) {
        this.#log.stable = first.lastIndex;
        if (this.#role === 'leader') {
          if (this.#progress.get(this.id)?.acknowledge(this.#log.stable)) this.#maybeCommit();
        }
      }
      if (first.selfVoteTerm === this.#term && this.#role === 'candidate') this.#recordVote(this.id, true);
    }
  }

  /** The state machine has applied everything up to `index`; configuration changes on the way take effect now. */
  applied(index: LogIndex): void {
    const log = this.#log;
    if (index <= log.applied && !this.#isInstallingSnapshot) return;
    assert(index <= log.committed, `Cannot apply ${index}: ${log.committed} is committed`);
    if (this.#isInstallingSnapshot) {
      assert(index >= log.offset, 'A snapshot is installed before entries are applied');
      this.#isInstallingSnapshot = false;
      log.applied = log.applying = log.offset;
    }
    let isChanged = false;
    for (let at = log.applied + 1; at <= index; at++) {
      const entry = mustExist(log.entry(at as LogIndex), `Entry ${at} is in memory until it is applied`);
      if (this.#role === 'leader')
        this.#uncommittedBytes = Math.max(0, this.#uncommittedBytes - entryBytes(entry));
      if (entry.kind !== 'configChange') continue;
      try {
        this.#config = changeConfig(this.#config, entry.change);
        isChanged = true;
      } catch (error) {
        // The proposer checked it against the same configuration, so this is a repeated leave; every member skips it alike.
        if (!(error instanceof ConfigChangeError)) throw error;
      }
    }
    log.applied = index;
    log.applying = Math.max(log.applying, index) as LogIndex;
    if (isChanged) this.#configChanged();
    if (
      this.#role === 'leader' &&
      this.#config.autoLeave &&
      isJoint(this.#config) &&
      this.#pendingConfigIndex <= log.applied
    ) {
      this.#append({ kind: 'configChange', change: { transition: 'auto', changes: [] }, context: noPayload });
    }
  }

  /** Forgets entries up to `index` (at most the applied one): followers further behind get a snapshot. */
  compact(index: LogIndex): void {
    this.#log.compact(Math.min(index, this.#log.applied) as LogIndex);
  }

  /** Forgets entries from the front, but none after `index`, until at most `bytes` of payload are in memory. */
  compactToBytes(bytes: number, index: LogIndex): void {
    const last = Math.min(index, this.#log.applied);
    let excess = this.#log.bytes - bytes;
    let at = this.#log.offset as number;
    while (excess > 0 && at < last) excess -= entryBytes(mustExist(this.#log.entry(++at as LogIndex)));
    this.#log.compact(at as LogIndex);
  }

  // ---- elections ----

  #isPromotable(): boolean {
    if (!isVoter(this.#config, this.id) || this.#isInstallingSnapshot) return false;
    // A configuration that is committed but not applied could make this member's idea of a quorum wrong.
    for (let at = this.#log.applied + 1; at <= this.#log.committed; at++) {
      if (this.#log.entry(at as LogIndex)?.kind === 'configChange') return false;
    }
    return true;
  }

  #resetElectionTimer(): void {
    const { electionTicks } = this.#limits;
    this.#electionElapsed = 0;
    this.#electionTimeout = this.#isFastElection
      ? 2 + this.#random.integer(Math.max(2, electionTicks >> 1))
      : electionTicks + this.#random.integer(electionTicks);
  }

  #reset(term: Term): void {
    if (term !== this.#term) {
      assert(term > this.#term, `Term goes from ${this.#term} to ${term}`);
      this.#term = term;
      this.#vote = undefined;
    }
    this.#leader = undefined;
    this.#heartbeatElapsed = 0;
    this.#resetElectionTimer();
    this.#votes.clear();
    this.#isTransferCampaign = false;
    this.#selfVotePending = undefined;
    this.#transferee = undefined;
    this.#uncommittedBytes = 0;
    this.#progress.clear();
    this.#reads.clear();
    this.#forwarded.clear();
  }

  #becomeFollower(term: Term, leader: MemberId | undefined): void {
    if (leader !== undefined) this.#isFastElection = false;
    this.#reset(term);
    this.#role = 'follower';
    this.#leader = leader;
  }

  #campaign(campaign: Campaign): void {
    if (campaign === 'preVote') {
      this.#reset(this.#term);
      this.#role = 'preCandidate';
      this.#votes.set(this.id, true);
      // Nothing is promised by a pre-vote for oneself, so it counts at once.
      if (voteOutcome(this.#config, this.#votes) === 'won') return this.#campaign('vote');
    } else {
      this.#reset((this.#term + 1) as Term);
      this.#role = 'candidate';
      this.#vote = this.id;
      this.#selfVotePending = this.#term;
      this.#isTransferCampaign = campaign === 'transfer';
    }
    this.#requestVotes();
  }

  #requestVotes(): void {
    const isPreVote = this.#role === 'preCandidate';
    for (const to of allVoters(this.#config)) {
      if (to === this.id || this.#votes.has(to)) continue;
      this.#send({
        kind: isPreVote ? 'preVote' : 'vote',
        to,
        term: (isPreVote ? this.#term + 1 : this.#term) as Term,
        lastIndex: this.#log.lastIndex,
        lastTerm: this.#log.lastTerm,
        isTransfer: this.#isTransferCampaign,
        ...this.#commitHint,
      });
    }
  }

  #learnCommit({ commit, commitTerm }: CommitHint): void {
    if (this.#role === 'leader' || commit <= this.#log.committed || this.#log.term(commit) !== commitTerm)
      return;
    this.#log.committed = commit;
    // The ballot may be one under a configuration that is past.
    if (this.#role !== 'follower' && !this.#isPromotable()) this.#becomeFollower(this.#term, undefined);
  }

  get #commitHint(): CommitHint {
    return { commit: this.#log.committed, commitTerm: this.#log.term(this.#log.committed) ?? (0 as Term) };
  }

  #handleVoteRequest(message: VoteRequest): void {
    const isPreVote = message.kind === 'preVote';
    const mayVote =
      this.#vote === message.from ||
      (this.#vote === undefined && this.#leader === undefined) ||
      (isPreVote && message.term > this.#term);
    const isGranted = mayVote && this.#log.isUpToDate(message.lastIndex, message.lastTerm);
    const response = {
      kind: isPreVote ? 'preVoteResponse' : 'voteResponse',
      to: message.from,
      // A granted pre-vote answers in the term that was asked for; a refusal tells the candidate ours.
      term: isPreVote && isGranted ? message.term : this.#term,
      isGranted,
      ...this.#commitHint,
    } as const;
    if (isPreVote || !isGranted) this.#send(response);
    else {
      this.#electionElapsed = 0;
      this.#vote = message.from;
      this.#sendAfterPersist(response);
    }
  }

  #handleVoteResponse(message: VoteResponse): void {
    const wanted =
      this.#role === 'preCandidate' ? 'preVoteResponse' : this.#role === 'candidate' ? 'voteResponse' : '';
    if (message.kind !== wanted) return;
    if (message.kind === 'preVoteResponse' && message.isGranted && message.term !== this.#term + 1) return;
    this.#recordVote(message.from, message.isGranted);
  }

  #recordVote(from: MemberId, isGranted: boolean): void {
    if (!this.#votes.has(from)) this.#votes.set(from, isGranted);
    switch (voteOutcome(this.#config, this.#votes)) {
      case 'won':
        if (this.#role === 'preCandidate') this.#campaign('vote');
        else this.#becomeLeader();
        return;
      case 'lost':
        this.#becomeFollower(this.#term, undefined);
        return;
      case 'pending':
    }
  }

  #becomeLeader(): void {
    assert(this.#role === 'candidate', `A ${this.#role} cannot become leader`);
    this.#reset(this.#term);
    this.#role = 'leader';
    this.#leader = this.id;
    this.#isFastElection = false;
    this.#updateProgress();
    // Entries of earlier terms may hold a configuration change that is not applied: wait for all of them.
    this.#pendingConfigIndex = this.#log.lastIndex;
    this.#append({ kind: 'normal', payload: noPayload });
  }

  /**
   * A leader that is no voter any more leads on until the others know of it (the commit of its removal may be news to all of
   * them, and its longer log could keep them from being elected), then has one of them take over.
   */
  #handOver(): void {
    for (const id of this.#config.voters) {
      if (this.#progress.get(id)?.match !== this.#log.lastIndex) continue;
      this.#send({ kind: 'timeoutNow', to: id });
      return;
    }
  }

  #isQuorumActive(): boolean {
    const active = new Map<MemberId, boolean>([[this.id, true]]);
    for (const [id, progress] of this.#progress) {
      if (id === this.id) continue;
      active.set(id, progress.isRecentlyActive);
      progress.isRecentlyActive = false;
    }
    return voteOutcome(this.#config, active) === 'won';
  }

  #heardFromLeader(leader: MemberId): void {
    assert(this.#role !== 'leader', `Two leaders in term ${this.#term}`);
    if (this.#role !== 'follower' || this.#leader !== leader) this.#becomeFollower(this.#term, leader);
    this.#electionElapsed = 0;
  }

  /** A message of an earlier term: its sender learns ours where it could otherwise stay stuck. */
  #answerStale(message: Message): void {
    if (message.kind === 'append' || message.kind === 'heartbeat' || message.kind === 'snapshot') {
      this.#send({
        kind: 'appendResponse',
        to: message.from,
        index: 0 as LogIndex,
        isRejected: true,
        hintIndex: 0 as LogIndex,
        hintTerm: 0 as Term,
      });
    } else if (message.kind === 'preVote') {
      this.#send({ kind: 'preVoteResponse', to: message.from, isGranted: false, ...this.#commitHint });
    }
  }

  // ---- replication, leader ----

  #append(proposal: Proposal): void {
    const index = (this.#log.lastIndex + 1) as LogIndex;
    if (proposal.kind === 'normal')
      this.#log.push({ kind: 'normal', index, term: this.#term, payload: proposal.payload });
    else {
      this.#log.push({
        kind: 'configChange',
        index,
        term: this.#term,
        change: proposal.change,
        context: proposal.context,
      });
      this.#pendingConfigIndex = index;
    }
  }

  #updateProgress(): void {
    const { voters, outgoing, learners, learnersNext } = this.#config;
    const members = new Set([...voters, ...outgoing, ...learners, ...learnersNext]);
    for (const id of this.#progress.keys()) if (!members.has(id)) this.#progress.delete(id);
    for (const id of members) {
      if (this.#progress.has(id)) continue;
      const progress = new Progress((this.#log.lastIndex + 1) as LogIndex, this.#limits);
      // A new member counts as alive until the next check, so that adding one does not depose the leader.
      progress.isRecentlyActive = true;
      if (id === this.id) progress.acknowledge(this.#log.stable);
      this.#progress.set(id, progress);
    }
  }

  #configChanged(): void {
    if (this.#role !== 'leader') {
      if (this.#role !== 'follower' && !isVoter(this.#config, this.id))
        this.#becomeFollower(this.#term, undefined);
      return;
    }
    this.#updateProgress();
    this.#maybeCommit();
    this.#releaseReads();
    if (this.#transferee !== undefined && !this.#config.voters.includes(this.#transferee))
      this.#transferee = undefined;
  }

  #maybeCommit(): void {
    const index = committedIndex(this.#config, (id) => this.#progress.get(id)?.match ?? (0 as LogIndex));
    // Only entries of the own term commit by counting; earlier ones commit with them (section 3.6.2 of the dissertation).
    if (index > this.#log.committed && this.#log.term(index) === this.#term) this.#log.committed = index;
  }

  /** Sends what is due. Done once per {@link ready}, so that proposals and reads of one turn share messages. */
  #flush(): void {
    if (this.#role !== 'leader') return;
    if (this.#reads.hasNew && this.#log.term(this.#log.committed) === this.#term) {
      this.#reads.startRound(this.#log.committed);
      if (committedIndex(this.#config, (id) => (id === this.id ? 1 : 0) as LogIndex) === 1)
        this.#releaseReads();
      else this.#broadcastHeartbeat();
    }
    for (const [id, progress] of this.#progress) {
      if (id === this.id) continue;
      while (this.#sendAppend(id, progress));
    }
  }

  /** Sends one append (or starts a snapshot) if the follower may get one. Returns whether more may follow. */
  #sendAppend(to: MemberId, progress: Progress): boolean {
    if (progress.isPaused) return false;
    const prevIndex = (progress.next - 1) as LogIndex;
    const hasEntries = prevIndex < this.#log.lastIndex;
    const commitToTell = Math.min(this.#log.committed, prevIndex);
    const isCommitNews = progress.state === 'replicate' && commitToTell > progress.sentCommit;
    // A member whose match is unknown is probed even when there is nothing new, or it would stay behind an idle leader.
    const isBehind = progress.state === 'probe' && progress.match < prevIndex;
    if (!hasEntries && !isCommitNews && !isBehind) return false;
    const prevTerm = this.#log.term(prevIndex);
    if (prevTerm === undefined) {
      this.#sendSnapshot(to, progress);
      return false;
    }
    const entries = hasEntries
      ? this.#log.slice(prevIndex, this.#log.lastIndex, this.#limits.appendBytesMax)
      : [];
    const lastIndex = (prevIndex + entries.length) as LogIndex;
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    this.#send({ kind: 'append', to, prevIndex, prevTerm, entries, commit: this.#log.committed });
    progress.sent(lastIndex, entries.length, bytes);
    progress.sentCommit = Math.min(this.#log.committed, lastIndex);
    return progress.state === 'replicate' && lastIndex < this.#log.lastIndex;
  }

  #sendSnapshot(to: MemberId, progress: Progress): void {
    if (!progress.isRecentlyActive) return;
    const index = this.#log.applied;
    const term = mustExist(this.#log.term(index), 'The applied entry is in memory');
    progress.becomeSnapshot(index);
    this.#send({ kind: 'snapshot', to, snapshot: { index, term, config: this.#config } });
  }

  #handleAppendResponse(message: AppendResponse): void {
    const progress = this.#progress.get(message.from);
    if (!progress) return;
    progress.isRecentlyActive = true;
    if (message.isRejected) {
      let hint = message.hintIndex;
      if (message.hintTerm > 0) hint = this.#log.findConflict(message.hintIndex, message.hintTerm).index;
      if (progress.reject(message.index, hint) && progress.state === 'replicate') progress.becomeProbe();
      return;
    }
    const isNews = progress.acknowledge(message.index);
    if (!isNews && progress.state !== 'probe') return;
    if (progress.state === 'probe') progress.becomeReplicate();
    else if (
      progress.state === 'snapshot' &&
      progress.match >= this.#log.offset &&
      progress.match >= progress.pendingSnapshot
    ) {
      progress.becomeProbe();
      progress.becomeReplicate();
    }
    this.#maybeCommit();
    if (message.from === this.#transferee && progress.match === this.#log.lastIndex) {
      this.#send({ kind: 'timeoutNow', to: message.from });
    }
  }

  #broadcastHeartbeat(): void {
    for (const [to, progress] of this.#progress) {
      if (to === this.id) continue;
      const commit = Math.min(progress.match, this.#log.committed) as LogIndex;
      this.#send({ kind: 'heartbeat', to, commit, round: this.#reads.round });
    }
  }

  #handleHeartbeatResponse(message: HeartbeatResponse): void {
    const progress = this.#progress.get(message.from);
    if (!progress) return;
    progress.isRecentlyActive = true;
    progress.isProbeSent = false;
    progress.round = Math.max(progress.round, message.round);
    // A full window with nothing coming back means that appends were lost: find the match again.
    if (progress.state === 'replicate' && progress.match < this.#log.lastIndex && progress.noteHeartbeat()) {
      progress.becomeProbe();
    }
    this.#releaseReads();
  }

  #releaseReads(): void {
    const round = committedIndex(
      this.#config,
      (id) => (id === this.id ? this.#reads.round : (this.#progress.get(id)?.round ?? 0)) as LogIndex,
    );
    for (const read of this.#reads.release(round)) {
      if (read.from === this.id) this.#readStates.push({ context: read.context, index: read.index });
      else this.#send({ kind: 'readIndexResponse', to: read.from, context: read.context, index: read.index });
    }
  }

  // ---- replication, follower ----

  #handleAppend(message: Append): void {
    const log = this.#log;
    const answer = (index: number): void => {
      const none = { isRejected: false, hintIndex: 0 as LogIndex, hintTerm: 0 as Term };
      this.#sendAfterPersist({ kind: 'appendResponse', to: message.from, index: index as LogIndex, ...none });
    };
    if (message.prevIndex < log.committed) return answer(log.committed);
    if (log.term(message.prevIndex) !== message.prevTerm) {
      const hint = log.findConflict(message.prevIndex, message.prevTerm);
      this.#send({
        kind: 'appendResponse',
        to: message.from,
        index: message.prevIndex,
        isRejected: true,
        hintIndex: hint.index,
        hintTerm: hint.term,
      });
      return;
    }
    for (const entry of message.entries) {
      if (entry.index <= log.lastIndex) {
        if (log.term(entry.index) === entry.term) continue;
        log.truncateFrom(entry.index);
        for (const out of this.#outstanding)
          out.lastIndex = Math.min(out.lastIndex, entry.index - 1) as LogIndex;
      }
      log.push(entry);
    }
    const matched = message.prevIndex + message.entries.length;
    this.#commitTo(Math.min(message.commit, matched) as LogIndex);
    answer(matched);
  }

  #handleHeartbeat(message: Heartbeat): void {
    // The leader never tells more than what it knows to match here.
    this.#commitTo(Math.min(message.commit, this.#log.lastIndex) as LogIndex);
    this.#send({ kind: 'heartbeatResponse', to: message.from, round: message.round });
  }

  #handleSnapshot(message: SnapshotMessage): void {
    const { snapshot } = message;
    const log = this.#log;
    const isUseful =
      snapshot.index > log.committed && isMember(snapshot.config, this.id) && !this.#isInstallingSnapshot;
    if (isUseful && log.term(snapshot.index) === snapshot.term) this.#commitTo(snapshot.index);
    else if (isUseful) {
      log.restore(snapshot.index, snapshot.term);
      for (const out of this.#outstanding) out.lastIndex = 0 as LogIndex;
      this.#config = snapshot.config;
      this.#pendingSnapshot = snapshot;
      this.#isInstallingSnapshot = true;
    }
    const none = { isRejected: false, hintIndex: 0 as LogIndex, hintTerm: 0 as Term };
    this.#sendAfterPersist({ kind: 'appendResponse', to: message.from, index: log.committed, ...none });
  }

  #commitTo(index: LogIndex): void {
    if (index > this.#log.committed) this.#log.committed = index;
  }

  // ---- plumbing ----

  #applicableIndex(): LogIndex {
    if (this.#isInstallingSnapshot) return this.#log.applying;
    return Math.min(this.#log.committed, this.#log.stable) as LogIndex;
  }

  #isHardStateChanged(): boolean {
    const last = this.#lastHardState;
    return last.term !== this.#term || last.vote !== this.#vote || last.commit !== this.#log.committed;
  }

  #isSoftStateChanged(): boolean {
    const last = this.#lastSoftState;
    return last.role !== this.#role || last.leader !== this.#leader || last.term !== this.#term;
  }

  #send(draft: Draft<Message>): void {
    this.#messages.push({ ...draft, from: this.id, term: draft.term ?? this.#term } as Message);
  }

  #sendAfterPersist(draft: Draft<Message>): void {
    this.#messagesAfterPersist.push({ ...draft, from: this.id, term: draft.term ?? this.#term } as Message);
  }
}
