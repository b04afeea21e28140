import { mustExist } from '@pilothouse/base';
import { ConfigChangeError, changeConfig, isVoter } from './config-change.ts';
import type { AppendResponse, HeartbeatResponse } from './message.ts';
import type { ProposeResult } from './options.ts';
import { Progress } from './progress.ts';
import { committedIndex, voteOutcome } from './quorum.ts';
import type { RaftCore } from './raft-core.ts';
import { entryBytes } from './types.ts';
import type { LogIndex, MemberId, Proposal } from './types.ts';

/** What a leader does: appends, replicates, commits, confirms reads, and hands over. */
export class Leadership {
  readonly #core: RaftCore;

  constructor(core: RaftCore) {
    this.#core = core;
  }

  /** Appends proposals, all or none. */
  propose(proposals: readonly Proposal[]): ProposeResult {
    if (!isVoter(this.#core.config, this.#core.id)) {
      return { kind: 'dropped', reason: 'removed', message: 'This leader is no longer a voter' };
    }
    if (this.#core.transferee !== undefined) {
      return { kind: 'dropped', reason: 'transferring', message: 'Leadership is being transferred' };
    }
    let bytes = 0;
    for (const proposal of proposals) {
      bytes += entryBytes(proposal);
      if (proposal.kind !== 'configChange') continue;
      if (this.#core.pendingConfigIndex > this.#core.log.applied || proposals.length > 1) {
        return {
          kind: 'dropped',
          reason: 'configPending',
          message: 'Another configuration change is not applied yet',
        };
      }
      try {
        changeConfig(this.#core.config, proposal.change);
      } catch (error) {
        if (!(error instanceof ConfigChangeError)) throw error;
        return { kind: 'dropped', reason: 'invalidConfig', message: error.message };
      }
    }
    if (
      this.#core.uncommittedBytes > 0 &&
      this.#core.uncommittedBytes + bytes > this.#core.limits.uncommittedBytesMax
    ) {
      return { kind: 'dropped', reason: 'overloaded', message: 'Too many bytes wait for commit' };
    }
    this.#core.uncommittedBytes += bytes;
    const index = this.#core.log.lastIndex + 1;
    for (const proposal of proposals) this.append(proposal);
    return { kind: 'appended', term: this.#core.term, index };
  }

  /** Leader: hands over to `target`, a voter, once it has the whole log. Given up after an election timeout. */
  transferLeadership(target: MemberId): boolean {
    if (
      this.#core.role !== 'leader' ||
      target === this.#core.id ||
      !this.#core.config.voters.includes(target)
    )
      return false;
    const progress = this.#core.progress.get(target);
    if (!progress) return false;
    this.#core.transferee = target;
    this.#core.electionElapsed = 0;
    if (progress.match === this.#core.log.lastIndex) this.#core.send({ kind: 'timeoutNow', to: target });
    else this.sendAppend(target, progress);
    return true;
  }

  append(proposal: Proposal): void {
    const index = (this.#core.log.lastIndex + 1) as LogIndex;
    if (proposal.kind === 'normal')
      this.#core.log.push({ kind: 'normal', index, term: this.#core.term, payload: proposal.payload });
    else {
      this.#core.log.push({
        kind: 'configChange',
        index,
        term: this.#core.term,
        change: proposal.change,
        context: proposal.context,
      });
      this.#core.pendingConfigIndex = index;
    }
  }

  updateProgress(): void {
    const { voters, outgoing, learners, learnersNext } = this.#core.config;
    const members = new Set([...voters, ...outgoing, ...learners, ...learnersNext]);
    for (const id of this.#core.progress.keys()) if (!members.has(id)) this.#core.progress.delete(id);
    for (const id of members) {
      if (this.#core.progress.has(id)) continue;
      const progress = new Progress((this.#core.log.lastIndex + 1) as LogIndex, this.#core.limits);
      // A new member counts as alive until the next check, so that adding one does not depose the leader.
      progress.isRecentlyActive = true;
      if (id === this.#core.id) progress.acknowledge(this.#core.log.stable);
      this.#core.progress.set(id, progress);
    }
  }

  configChanged(): void {
    if (this.#core.role !== 'leader') {
      if (this.#core.role !== 'follower' && !isVoter(this.#core.config, this.#core.id))
        this.#core.becomeFollower(this.#core.term, undefined);
      return;
    }
    this.updateProgress();
    this.maybeCommit();
    this.releaseReads();
    if (this.#core.transferee !== undefined && !this.#core.config.voters.includes(this.#core.transferee))
      this.#core.transferee = undefined;
  }

  maybeCommit(): void {
    const index = committedIndex(
      this.#core.config,
      (id) => this.#core.progress.get(id)?.match ?? (0 as LogIndex),
    );
    // Only entries of the own term commit by counting; earlier ones commit with them (section 3.6.2 of the dissertation).
    if (index > this.#core.log.committed && this.#core.log.term(index) === this.#core.term)
      this.#core.log.committed = index;
  }

  /** Sends what is due. Done once per {@link ready}, so that proposals and reads of one turn share messages. */
  flush(): void {
    if (this.#core.role !== 'leader') return;
    if (this.#core.reads.hasNew && this.#core.log.term(this.#core.log.committed) === this.#core.term) {
      this.#core.reads.startRound(this.#core.log.committed);
      if (committedIndex(this.#core.config, (id) => (id === this.#core.id ? 1 : 0) as LogIndex) === 1)
        this.releaseReads();
      else this.broadcastHeartbeat();
    }
    for (const [id, progress] of this.#core.progress) {
      if (id === this.#core.id) continue;
      while (this.sendAppend(id, progress));
    }
    this.#core.isCommitDue = false;
  }

  /** Whether some follower could be told of a commit. */
  get hasCommitNews(): boolean {
    const { role, progress, id, log } = this.#core;
    if (role !== 'leader') return false;
    for (const [to, { state, next, sentCommit }] of progress) {
      if (to !== id && state === 'replicate' && Math.min(log.committed, next - 1) > sentCommit) return true;
    }
    return false;
  }

  get toldCommit(): LogIndex {
    let told = this.#core.log.committed as number;
    for (const [to, { state, sentCommit }] of this.#core.progress)
      if (to !== this.#core.id && state === 'replicate') told = Math.min(told, sentCommit);
    return told as LogIndex;
  }

  /** Takes what a follower forwarded, and remembers that it waits. */
  proposeFor(from: MemberId, proposals: readonly Proposal[]): void {
    if (this.propose(proposals).kind !== 'appended') return;
    const progress = this.#core.progress.get(from);
    if (progress) progress.awaitedCommit = this.#core.log.lastIndex;
  }

  /** Sends one append (or starts a snapshot) if the follower may get one. Returns whether more may follow. */
  sendAppend(to: MemberId, progress: Progress): boolean {
    if (progress.isPaused) return false;
    const { limits, isCommitDue } = this.#core;
    const prevIndex = (progress.next - 1) as LogIndex;
    const endIndex = this.#core.handOutIndex;
    const hasEntries = prevIndex < endIndex;
    const commitToTell = Math.min(this.#core.log.committed, prevIndex);
    const isCommitNews =
      progress.state === 'replicate' &&
      commitToTell > progress.sentCommit &&
      (!limits.isCommitToldLazily || isCommitDue || progress.sentCommit < progress.awaitedCommit);
    // A member whose match is unknown is probed even when there is nothing new, or it would stay behind an idle leader.
    const isBehind = progress.state === 'probe' && progress.match < prevIndex;
    if (!hasEntries && !isCommitNews && !isBehind) return false;
    const prevTerm = this.#core.log.term(prevIndex);
    if (prevTerm === undefined) {
      this.sendSnapshot(to, progress);
      return false;
    }
    const entries = hasEntries
      ? this.#core.log.slice(prevIndex, endIndex, this.#core.limits.appendBytesMax)
      : [];
    const lastIndex = (prevIndex + entries.length) as LogIndex;
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    this.#core.send({ kind: 'append', to, prevIndex, prevTerm, entries, commit: this.#core.log.committed });
    progress.sent(lastIndex, entries.length, bytes);
    progress.sentCommit = Math.min(this.#core.log.committed, lastIndex);
    return progress.state === 'replicate' && lastIndex < endIndex;
  }

  sendSnapshot(to: MemberId, progress: Progress): void {
    if (!progress.isRecentlyActive) return;
    const index = this.#core.log.applied;
    const term = mustExist(this.#core.log.term(index), 'The applied entry is in memory');
    progress.becomeSnapshot(index);
    this.#core.send({ kind: 'snapshot', to, snapshot: { index, term, config: this.#core.config } });
  }

  handleAppendResponse(message: AppendResponse): void {
    const progress = this.#core.progress.get(message.from);
    if (!progress) return;
    progress.isRecentlyActive = true;
    if (message.isRejected) {
      let hint = message.hintIndex;
      if (message.hintTerm > 0) hint = this.#core.log.findConflict(message.hintIndex, message.hintTerm).index;
      if (progress.reject(message.index, hint) && progress.state === 'replicate') progress.becomeProbe();
      return;
    }
    const isNews = progress.acknowledge(message.index);
    if (!isNews && progress.state !== 'probe') return;
    if (progress.state === 'probe') progress.becomeReplicate();
    else if (
      progress.state === 'snapshot' &&
      progress.match >= this.#core.log.offset &&
      progress.match >= progress.pendingSnapshot
    ) {
      progress.becomeProbe();
      progress.becomeReplicate();
    }
    this.maybeCommit();
    if (message.from === this.#core.transferee && progress.match === this.#core.log.lastIndex) {
      this.#core.send({ kind: 'timeoutNow', to: message.from });
    }
  }

  broadcastHeartbeat(): void {
    for (const [to, progress] of this.#core.progress) {
      if (to === this.#core.id) continue;
      const commit = Math.min(progress.match, this.#core.log.committed) as LogIndex;
      this.#core.send({ kind: 'heartbeat', to, commit, round: this.#core.reads.round });
      if (this.#core.limits.isCommitToldLazily) progress.sentCommit = Math.max(progress.sentCommit, commit);
    }
  }

  handleHeartbeatResponse(message: HeartbeatResponse): void {
    const progress = this.#core.progress.get(message.from);
    if (!progress) return;
    progress.isRecentlyActive = true;
    progress.isProbeSent = false;
    progress.round = Math.max(progress.round, message.round);
    // A full window with nothing coming back means that appends were lost: find the match again.
    if (
      progress.state === 'replicate' &&
      progress.match < this.#core.handOutIndex &&
      progress.noteHeartbeat()
    ) {
      progress.becomeProbe();
    }
    this.releaseReads();
  }

  releaseReads(): void {
    const round = committedIndex(
      this.#core.config,
      (id) =>
        (id === this.#core.id
          ? this.#core.reads.round
          : (this.#core.progress.get(id)?.round ?? 0)) as LogIndex,
    );
    for (const read of this.#core.reads.release(round)) {
      const { from, context, index } = read;
      if (from === this.#core.id) {
        this.#core.readStates.push({ context, index });
        continue;
      }
      this.#core.send({ kind: 'readIndexResponse', to: from, context, index });
      const progress = this.#core.progress.get(from);
      if (progress) progress.awaitedCommit = Math.max(progress.awaitedCommit, index);
    }
  }

  /**
   * A leader that is no voter any more leads on until the others know of it (the commit of its removal may be news to all of
   * them, and its longer log could keep them from being elected), then has one of them take over.
   */
  handOver(): void {
    for (const id of this.#core.config.voters) {
      if (this.#core.progress.get(id)?.match !== this.#core.log.lastIndex) continue;
      this.#core.send({ kind: 'timeoutNow', to: id });
      return;
    }
  }

  isQuorumActive(): boolean {
    const active = new Map<MemberId, boolean>([[this.#core.id, true]]);
    for (const [id, progress] of this.#core.progress) {
      if (id === this.#core.id) continue;
      active.set(id, progress.isRecentlyActive);
      progress.isRecentlyActive = false;
    }
    return voteOutcome(this.#core.config, active) === 'won';
  }
}
