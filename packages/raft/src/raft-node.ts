import { assert, assertNever, mustExist } from '@pilothouse/base';
import { ConfigChangeError, changeConfig, isJoint, isVoter } from './config-change.ts';
import { Election } from './election.ts';
import { Following } from './following.ts';
import { Leadership } from './leadership.ts';
import type { Message } from './message.ts';
import type { ProposeResult, RaftOptions } from './options.ts';
import type { Progress } from './progress.ts';
import { RaftCore } from './raft-core.ts';
import type { Ready } from './ready.ts';
import { entryBytes } from './types.ts';
import type {
  ConfigChange,
  ConfigState,
  Entry,
  HardState,
  LogIndex,
  MemberId,
  Proposal,
  Role,
  SoftState,
  Term,
} from './types.ts';

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
  readonly #core: RaftCore;
  readonly #leading: Leadership;
  readonly #election: Election;
  readonly #following: Following;
  readonly #incarnation: number;
  #forwardedBatches = 0;
  #sequence = 0;
  #lastHardState: HardState;
  #lastSoftState: SoftState;

  constructor(options: RaftOptions) {
    this.id = options.id;
    this.#incarnation = options.random.integer(2 ** 48);
    const core = new RaftCore(options);
    this.#core = core;
    this.#leading = new Leadership(core);
    this.#election = new Election(core, this.#leading);
    this.#following = new Following(core);
    core.becomeFollower(core.term, undefined);
    this.#lastHardState = this.hardState;
    this.#lastSoftState = this.softState;
  }

  get role(): Role {
    return this.#core.role;
  }
  get term(): Term {
    return this.#core.term;
  }
  get leader(): MemberId | undefined {
    return this.#core.leader;
  }
  /** The configuration as of {@link appliedIndex}. */
  get config(): ConfigState {
    return this.#core.config;
  }
  get commitIndex(): LogIndex {
    return this.#core.log.committed;
  }
  get appliedIndex(): LogIndex {
    return this.#core.log.applied;
  }
  get lastIndex(): LogIndex {
    return this.#core.log.lastIndex;
  }
  /** Index before the first entry still in memory. */
  get logOffset(): LogIndex {
    return this.#core.log.offset;
  }
  /** Payload bytes of the entries in memory. */
  get logBytes(): number {
    return this.#core.log.bytes;
  }
  get hardState(): HardState {
    return { term: this.#core.term, vote: this.#core.vote, commit: this.#core.log.committed };
  }
  get softState(): SoftState {
    return { role: this.#core.role, leader: this.#core.leader, term: this.#core.term };
  }
  /** Leader only, else empty: what is known of each member. */
  get progress(): ReadonlyMap<
    MemberId,
    Readonly<Pick<Progress, 'match' | 'next' | 'state' | 'isRecentlyActive'>>
  > {
    return this.#core.progress;
  }
  get transferee(): MemberId | undefined {
    return this.#core.transferee;
  }
  termAt(index: LogIndex): Term | undefined {
    return this.#core.log.term(index);
  }
  /** For checkers: the entry at `index`, if it is in memory. */
  entryAt(index: LogIndex): Entry | undefined {
    return this.#core.log.entry(index);
  }

  // ---- input ----

  /** One unit of time has passed. */
  tick(): void {
    this.#core.electionElapsed++;
    if (this.#core.role === 'leader') {
      this.#core.heartbeatElapsed++;
      if (this.#core.electionElapsed >= this.#core.limits.electionTicks) {
        this.#core.electionElapsed = 0;
        if (!this.#leading.isQuorumActive()) {
          this.#core.becomeFollower(this.#core.term, undefined);
          return;
        }
        this.#core.transferee = undefined;
        if (!isVoter(this.#core.config, this.#core.id)) {
          this.#core.becomeFollower(this.#core.term, undefined);
          return;
        }
      }
      if (!isVoter(this.#core.config, this.#core.id)) this.#leading.handOver();
      if (this.#core.heartbeatElapsed >= this.#core.limits.heartbeatTicks) {
        this.#core.heartbeatElapsed = 0;
        this.#leading.broadcastHeartbeat();
      }
      return;
    }
    if (this.#core.electionElapsed >= this.#core.electionTimeout) {
      this.#core.electionElapsed = 0;
      if (this.#core.isPromotable()) this.#election.campaign('preVote');
    } else if (
      this.#core.role !== 'follower' &&
      this.#core.electionElapsed % this.#election.voteRetryTicks === 0
    ) {
      this.#election.requestVotes();
    }
  }

  /** Starts a pre-vote now, if this member may lead. */
  campaign(): void {
    if (this.#core.role !== 'leader' && this.#core.isPromotable()) this.#election.campaign('preVote');
  }

  /**
   * The transport saw the connection to `peer` break. A follower forgets that leader, so that it gives and may ask for pre-votes
   * at once; the shell calls {@link campaignAfterDisconnect} after a small random delay. A leader goes back to probing the peer.
   */
  peerDisconnected(peer: MemberId): void {
    if (this.#core.role === 'leader') {
      const progress = this.#core.progress.get(peer);
      if (progress?.state === 'replicate') progress.becomeProbe();
    } else if (this.#core.leader === peer) {
      this.#core.leader = undefined;
      this.#core.isFastElection = true;
      this.#core.hasGivenWay = false;
      this.#core.resetElectionTimer();
    }
  }

  /**
   * The small random delay after {@link peerDisconnected} is over: starts a pre-vote, unless there is a leader by now or this member gave
   * another one its vote or pre-vote meanwhile (if that one fails, the short election timeouts go on). Called again while there is no leader, it
   * repeats the requests: who did not miss the leader yet when the first came was silent.
   */
  campaignAfterDisconnect(): void {
    if (this.#core.leader !== undefined) return;
    if (this.#core.role !== 'follower') this.#election.requestVotes();
    else if (!this.#core.hasGivenWay) this.campaign();
  }

  /** The shell's streaming of a snapshot to `peer` ended. */
  snapshotStatus(peer: MemberId, isDelivered: boolean): void {
    const progress = this.#core.progress.get(peer);
    if (this.#core.role !== 'leader' || progress?.state !== 'snapshot') return;
    if (!isDelivered) progress.pendingSnapshot = 0 as LogIndex;
    progress.becomeProbe();
    progress.isProbeSent = true;
  }

  /** Appends (leader) or forwards (follower) proposals, all or none. */
  propose(proposals: readonly Proposal[]): ProposeResult {
    const { role, leader, term } = this.#core;
    if (role === 'leader') return this.#leading.propose(proposals);
    if (leader === undefined) return { kind: 'dropped', reason: 'noLeader', message: 'No leader is known' };
    const batch = ++this.#forwardedBatches;
    this.#core.send({ kind: 'propose', to: leader, incarnation: this.#incarnation, batch, proposals });
    return { kind: 'forwarded', term, leader };
  }

  proposeConfigChange(change: ConfigChange, context: Uint8Array = noPayload): ProposeResult {
    return this.propose([{ kind: 'configChange', change, context }]);
  }

  /**
   * Asks up to where reads must wait to be linearizable; the answer is a {@link ReadState} with the same context, or never comes
   * (leader lost, message lost): the caller asks again. False: no leader is known.
   */
  readIndex(context: number): boolean {
    if (this.#core.role === 'leader') this.#core.reads.add(this.#core.id, context);
    else if (this.#core.leader === undefined) return false;
    else this.#core.send({ kind: 'readIndex', to: this.#core.leader, context });
    return true;
  }

  /** Leader: hands over to `target`, a voter, once it has the whole log. Given up after an election timeout. */
  transferLeadership(target: MemberId): boolean {
    return this.#leading.transferLeadership(target);
  }

  /** Takes a message from another member. Messages may be lost, repeated, delayed and reordered, never altered. */
  step(message: Message): void {
    if (message.kind === 'removed') return;
    if ('commitTerm' in message) this.#election.learnCommit(message);
    if (message.term > this.#core.term) {
      if (message.kind === 'preVote' || message.kind === 'vote') {
        if (
          !message.isTransfer &&
          this.#core.leader !== undefined &&
          this.#core.electionElapsed < this.#core.limits.electionTicks
        )
          return;
      }
      if (message.kind !== 'preVote' && !(message.kind === 'preVoteResponse' && message.isGranted)) {
        const isFromLeader =
          message.kind === 'append' || message.kind === 'heartbeat' || message.kind === 'snapshot';
        this.#core.becomeFollower(message.term, isFromLeader ? message.from : undefined);
      }
    } else if (message.term < this.#core.term) {
      this.#following.answerStale(message);
      return;
    }
    switch (message.kind) {
      case 'preVote':
      case 'vote':
        return this.#election.handleVoteRequest(message);
      case 'preVoteResponse':
      case 'voteResponse':
        return this.#election.handleVoteResponse(message);
      case 'append':
        this.#following.heardFromLeader(message.from);
        return this.#following.handleAppend(message);
      case 'heartbeat':
        this.#following.heardFromLeader(message.from);
        return this.#following.handleHeartbeat(message);
      case 'snapshot':
        this.#following.heardFromLeader(message.from);
        return this.#following.handleSnapshot(message);
      case 'appendResponse':
        if (this.#core.role === 'leader') this.#leading.handleAppendResponse(message);
        return;
      case 'heartbeatResponse':
        if (this.#core.role === 'leader') this.#leading.handleHeartbeatResponse(message);
        return;
      case 'timeoutNow':
        if (this.#core.role === 'follower' && this.#core.isPromotable()) this.#election.campaign('transfer');
        return;
      case 'propose':
        if (this.#core.role === 'leader' && this.#core.forwarded.isNew(message))
          this.#leading.proposeFor(message.from, message.proposals);
        return;
      case 'readIndex':
        if (this.#core.role === 'leader') this.#core.reads.add(message.from, message.context);
        return;
      case 'readIndexResponse':
        this.#core.readStates.push({ context: message.context, index: message.index });
        return;
      default:
        assertNever(message, 'message');
    }
  }

  /** With {@link RaftLimits.isCommitToldLazily}: whether {@link tellCommit} would send something. */
  get hasCommitNews(): boolean {
    return this.#leading.hasCommitNews;
  }

  /** The lowest commit index that a replicating follower was told; where {@link hasCommitNews} compares from. */
  get toldCommit(): LogIndex {
    return this.#leading.toldCommit;
  }

  /** Tells all followers of what is committed, also those that do not wait for it. */
  tellCommit(): void {
    this.#core.isCommitDue = this.#core.role === 'leader';
  }

  // ---- output ----

  /** Whether {@link ready} has anything to give. */
  hasReady(): boolean {
    this.#leading.flush();
    return (
      this.#core.messages.length > 0 ||
      this.#core.messagesAfterPersist.length > 0 ||
      this.#core.readStates.length > 0 ||
      this.#core.pendingSnapshot !== undefined ||
      this.#core.log.persisting < this.#core.handOutIndex ||
      this.#applicableIndex() > this.#core.log.applying ||
      this.#core.selfVotePending !== undefined ||
      this.#isHardStateChanged() ||
      this.#isSoftStateChanged()
    );
  }

  /** Hands out what has accumulated; each effect once. */
  ready(): Ready {
    this.#leading.flush();
    const endIndex = this.#core.handOutIndex;
    const entries = this.#core.log.slice(this.#core.log.persisting, endIndex);
    this.#core.log.persisting = endIndex;
    const snapshot = this.#core.pendingSnapshot;
    this.#core.pendingSnapshot = undefined;
    let committedEntries: Entry[] = [];
    const applicable = this.#applicableIndex();
    if (applicable > this.#core.log.applying) {
      committedEntries = this.#core.log.slice(
        this.#core.log.applying,
        applicable,
        this.#core.limits.applyBytesMax,
      );
      this.#core.log.applying = (this.#core.log.applying + committedEntries.length) as LogIndex;
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
      messages: this.#core.messages,
      messagesAfterPersist: this.#core.messagesAfterPersist,
      committedEntries,
      readStates: this.#core.readStates,
      softState,
    };
    this.#core.outstanding.push({
      sequence: ready.sequence,
      lastIndex: endIndex,
      selfVoteTerm: this.#core.selfVotePending,
    });
    this.#core.selfVotePending = undefined;
    this.#core.messages = [];
    this.#core.messagesAfterPersist = [];
    this.#core.readStates = [];
    return ready;
  }

  /** Everything that the Ready `sequence` and all earlier ones asked to persist is durable. */
  advance(sequence: number): void {
    while (this.#core.outstanding.length > 0) {
      const first = mustExist(this.#core.outstanding[0]);
      if (first.sequence > sequence) return;
      this.#core.outstanding.shift();
      if (first.lastIndex > this.#core.log.stable) {
        this.#core.log.stable = first.lastIndex;
        if (this.#core.role === 'leader') {
          if (this.#core.progress.get(this.#core.id)?.acknowledge(this.#core.log.stable))
            this.#leading.maybeCommit();
        }
      }
      if (first.selfVoteTerm === this.#core.term && this.#core.role === 'candidate')
        this.#election.recordVote(this.#core.id, true);
    }
  }

  /** The state machine has applied everything up to `index`; configuration changes on the way take effect now. */
  applied(index: LogIndex): void {
    const log = this.#core.log;
    if (index <= log.applied && !this.#core.isInstallingSnapshot) return;
    assert(index <= log.committed, `Cannot apply ${index}: ${log.committed} is committed`);
    if (this.#core.isInstallingSnapshot) {
      assert(index >= log.offset, 'A snapshot is installed before entries are applied');
      this.#core.isInstallingSnapshot = false;
      log.applied = log.applying = log.offset;
    }
    let isChanged = false;
    for (let at = log.applied + 1; at <= index; at++) {
      const entry = mustExist(log.entry(at as LogIndex), `Entry ${at} is in memory until it is applied`);
      if (this.#core.role === 'leader')
        this.#core.uncommittedBytes = Math.max(0, this.#core.uncommittedBytes - entryBytes(entry));
      if (entry.kind !== 'configChange') continue;
      try {
        this.#core.config = changeConfig(this.#core.config, entry.change);
        isChanged = true;
      } catch (error) {
        // The proposer checked it against the same configuration, so this is a repeated leave; every member skips it alike.
        if (!(error instanceof ConfigChangeError)) throw error;
      }
    }
    log.applied = index;
    log.applying = Math.max(log.applying, index) as LogIndex;
    if (isChanged) this.#leading.configChanged();
    if (
      this.#core.role === 'leader' &&
      this.#core.config.autoLeave &&
      isJoint(this.#core.config) &&
      this.#core.pendingConfigIndex <= log.applied
    ) {
      this.#leading.append({
        kind: 'configChange',
        change: { transition: 'auto', changes: [] },
        context: noPayload,
      });
    }
  }

  /** Forgets entries up to `index` (at most the applied one): followers further behind get a snapshot. */
  compact(index: LogIndex): void {
    this.#core.log.compact(Math.min(index, this.#core.log.applied) as LogIndex);
  }

  /** Forgets entries from the front, but none after `index`, until at most `bytes` of payload are in memory. */
  compactToBytes(bytes: number, index: LogIndex): void {
    const last = Math.min(index, this.#core.log.applied);
    let excess = this.#core.log.bytes - bytes;
    let at = this.#core.log.offset as number;
    while (excess > 0 && at < last) excess -= entryBytes(mustExist(this.#core.log.entry(++at as LogIndex)));
    this.#core.log.compact(at as LogIndex);
  }

  // ---- plumbing ----

  #applicableIndex(): LogIndex {
    if (this.#core.isInstallingSnapshot) return this.#core.log.applying;
    return Math.min(this.#core.log.committed, this.#core.log.stable) as LogIndex;
  }

  #isHardStateChanged(): boolean {
    const last = this.#lastHardState;
    return (
      last.term !== this.#core.term ||
      last.vote !== this.#core.vote ||
      last.commit !== this.#core.log.committed
    );
  }

  #isSoftStateChanged(): boolean {
    const last = this.#lastSoftState;
    return (
      last.role !== this.#core.role || last.leader !== this.#core.leader || last.term !== this.#core.term
    );
  }
}
