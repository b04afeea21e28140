import { assert } from '@pilothouse/base';
import type { Leadership } from './leadership.ts';
import type { CommitHint, VoteRequest, VoteResponse } from './message.ts';
import { allVoters, voteOutcome } from './quorum.ts';
import type { RaftCore } from './raft-core.ts';
import type { MemberId, Term } from './types.ts';

export type Campaign = 'preVote' | 'vote' | 'transfer';

const noPayload = new Uint8Array(0);

/** How a member asks for votes and gives them. */
export class Election {
  readonly #core: RaftCore;
  readonly #leading: Leadership;

  constructor(core: RaftCore, leading: Leadership) {
    this.#core = core;
    this.#leading = leading;
  }

  /** Requests for votes may be lost: candidates repeat them a few times per election timeout. */
  get voteRetryTicks(): number {
    return Math.max(this.#core.limits.heartbeatTicks, this.#core.limits.electionTicks >> 2);
  }

  campaign(campaign: Campaign): void {
    if (campaign === 'preVote') {
      this.#core.reset(this.#core.term);
      this.#core.role = 'preCandidate';
      this.#core.votes.set(this.#core.id, true);
      // Nothing is promised by a pre-vote for oneself, so it counts at once.
      if (voteOutcome(this.#core.config, this.#core.votes) === 'won') return this.campaign('vote');
    } else {
      this.#core.reset((this.#core.term + 1) as Term);
      this.#core.role = 'candidate';
      this.#core.vote = this.#core.id;
      this.#core.selfVotePending = this.#core.term;
      this.#core.isTransferCampaign = campaign === 'transfer';
    }
    this.requestVotes();
  }

  requestVotes(): void {
    const isPreVote = this.#core.role === 'preCandidate';
    for (const to of allVoters(this.#core.config)) {
      if (to === this.#core.id || this.#core.votes.has(to)) continue;
      this.#core.send({
        kind: isPreVote ? 'preVote' : 'vote',
        to,
        term: (isPreVote ? this.#core.term + 1 : this.#core.term) as Term,
        lastIndex: this.#core.log.lastIndex,
        lastTerm: this.#core.log.lastTerm,
        isTransfer: this.#core.isTransferCampaign,
        ...this.#core.commitHint,
      });
    }
  }

  learnCommit({ commit, commitTerm }: CommitHint): void {
    if (
      this.#core.role === 'leader' ||
      commit <= this.#core.log.committed ||
      this.#core.log.term(commit) !== commitTerm
    )
      return;
    this.#core.log.committed = commit;
    // The ballot may be one under a configuration that is past.
    if (this.#core.role !== 'follower' && !this.#core.isPromotable())
      this.#core.becomeFollower(this.#core.term, undefined);
  }

  handleVoteRequest(message: VoteRequest): void {
    const isPreVote = message.kind === 'preVote';
    const mayVote =
      this.#core.vote === message.from ||
      (this.#core.vote === undefined && this.#core.leader === undefined) ||
      (isPreVote && message.term > this.#core.term);
    const isUpToDate = this.#core.log.isUpToDate(message.lastIndex, message.lastTerm);
    const isGranted = mayVote && isUpToDate && !(isPreVote && this.#isPreferredTo(message));
    const response = {
      kind: isPreVote ? 'preVoteResponse' : 'voteResponse',
      to: message.from,
      // A granted pre-vote answers in the term that was asked for; a refusal tells the candidate ours.
      term: isPreVote && isGranted ? message.term : this.#core.term,
      isGranted,
      ...this.#core.commitHint,
    } as const;
    if (isGranted) this.#core.hasGivenWay = true;
    // Whoever lacks entries cannot win, and a member that has them should not wait out a long timeout to try.
    else if (!isUpToDate && this.#core.leader === undefined && !this.#core.isFastElection) {
      this.#core.isFastElection = true;
      this.#core.resetElectionTimer();
    }
    if (isPreVote || !isGranted) this.#core.send(response);
    else {
      this.#core.electionElapsed = 0;
      this.#core.vote = message.from;
      this.#core.sendAfterPersist(response);
    }
  }

  /**
   * Two members that lose their leader at the same moment ask each other at the same moment: if both said yes, both would become candidates,
   * vote for themselves and wait out a timeout. Of two with the same log the higher id goes on, and the other one stops asking.
   */
  #isPreferredTo(message: VoteRequest): boolean {
    const core = this.#core;
    const isSameRound = core.role === 'preCandidate' && message.term === core.term + 1;
    if (!isSameRound || message.lastTerm !== core.log.lastTerm || message.lastIndex !== core.log.lastIndex)
      return false;
    if (core.id > message.from) return true;
    core.becomeFollower(core.term, undefined);
    return false;
  }

  handleVoteResponse(message: VoteResponse): void {
    const wanted =
      this.#core.role === 'preCandidate'
        ? 'preVoteResponse'
        : this.#core.role === 'candidate'
          ? 'voteResponse'
          : '';
    if (message.kind !== wanted) return;
    if (message.kind === 'preVoteResponse' && message.isGranted && message.term !== this.#core.term + 1)
      return;
    this.recordVote(message.from, message.isGranted);
  }

  recordVote(from: MemberId, isGranted: boolean): void {
    if (!this.#core.votes.has(from)) this.#core.votes.set(from, isGranted);
    switch (voteOutcome(this.#core.config, this.#core.votes)) {
      case 'won':
        if (this.#core.role === 'preCandidate') this.campaign('vote');
        else this.becomeLeader();
        return;
      case 'lost':
        this.#core.becomeFollower(this.#core.term, undefined);
        return;
      case 'pending':
    }
  }

  becomeLeader(): void {
    assert(this.#core.role === 'candidate', `A ${this.#core.role} cannot become leader`);
    this.#core.reset(this.#core.term);
    this.#core.role = 'leader';
    this.#core.leader = this.#core.id;
    this.#core.isFastElection = false;
    this.#leading.updateProgress();
    // Entries of earlier terms may hold a configuration change that is not applied: wait for all of them.
    this.#core.pendingConfigIndex = this.#core.log.lastIndex;
    this.#leading.append({ kind: 'normal', payload: noPayload });
  }
}
