import { assert } from '@pilothouse/base';
import { isMember } from './config-change.ts';
import type { Append, Heartbeat, Message, SnapshotMessage } from './message.ts';
import type { RaftCore } from './raft-core.ts';
import type { LogIndex, MemberId, Term } from './types.ts';

/** What a member does with the messages of its leader, or of one whose term is past. */
export class Following {
  readonly #core: RaftCore;

  constructor(core: RaftCore) {
    this.#core = core;
  }

  heardFromLeader(leader: MemberId): void {
    assert(this.#core.role !== 'leader', `Two leaders in term ${this.#core.term}`);
    if (this.#core.role !== 'follower' || this.#core.leader !== leader)
      this.#core.becomeFollower(this.#core.term, leader);
    this.#core.electionElapsed = 0;
  }

  handleAppend(message: Append): void {
    const log = this.#core.log;
    const answer = (index: number): void => {
      const none = { isRejected: false, hintIndex: 0 as LogIndex, hintTerm: 0 as Term };
      this.#core.sendAfterPersist({
        kind: 'appendResponse',
        to: message.from,
        index: index as LogIndex,
        ...none,
      });
    };
    if (message.prevIndex < log.committed) return answer(log.committed);
    if (log.term(message.prevIndex) !== message.prevTerm) {
      const hint = log.findConflict(message.prevIndex, message.prevTerm);
      this.#core.send({
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
        for (const out of this.#core.outstanding)
          out.lastIndex = Math.min(out.lastIndex, entry.index - 1) as LogIndex;
      }
      log.push(entry);
    }
    const matched = message.prevIndex + message.entries.length;
    this.#core.commitTo(Math.min(message.commit, matched) as LogIndex);
    answer(matched);
  }

  handleHeartbeat(message: Heartbeat): void {
    // The leader never tells more than what it knows to match here.
    this.#core.commitTo(Math.min(message.commit, this.#core.log.lastIndex) as LogIndex);
    this.#core.send({ kind: 'heartbeatResponse', to: message.from, round: message.round });
  }

  handleSnapshot(message: SnapshotMessage): void {
    const { snapshot } = message;
    const log = this.#core.log;
    const isUseful =
      snapshot.index > log.committed &&
      isMember(snapshot.config, this.#core.id) &&
      !this.#core.isInstallingSnapshot;
    if (isUseful && log.term(snapshot.index) === snapshot.term) this.#core.commitTo(snapshot.index);
    else if (isUseful) {
      log.restore(snapshot.index, snapshot.term);
      for (const out of this.#core.outstanding) out.lastIndex = 0 as LogIndex;
      this.#core.config = snapshot.config;
      this.#core.pendingSnapshot = snapshot;
      this.#core.isInstallingSnapshot = true;
    }
    const none = { isRejected: false, hintIndex: 0 as LogIndex, hintTerm: 0 as Term };
    this.#core.sendAfterPersist({ kind: 'appendResponse', to: message.from, index: log.committed, ...none });
  }

  /** A message of an earlier term: its sender learns ours where it could otherwise stay stuck. */
  answerStale(message: Message): void {
    if (message.kind === 'append' || message.kind === 'heartbeat' || message.kind === 'snapshot') {
      this.#core.send({
        kind: 'appendResponse',
        to: message.from,
        index: 0 as LogIndex,
        isRejected: true,
        hintIndex: 0 as LogIndex,
        hintTerm: 0 as Term,
      });
    } else if (message.kind === 'preVote') {
      this.#core.send({
        kind: 'preVoteResponse',
        to: message.from,
        isGranted: false,
        ...this.#core.commitHint,
      });
    }
  }
}
