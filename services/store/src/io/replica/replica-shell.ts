import { deferred, errorMessage } from '@pilothouse/base';
import type { Timer } from '@pilothouse/base';
import type { HardState, Message, Ready, SnapshotMessage } from '@pilothouse/raft';
import { ReplicationError } from '../../core/replication-error.ts';
import { Membership } from '../../core/replica/membership.ts';
import type { Completion } from '../../core/replica/completion.ts';
import type { Replica } from '../../core/replica/replica.ts';
import type { ReplicaEvent } from '../../core/replica/turn.ts';
import type {
  LogIndex,
  MemberId,
  MembershipChange,
  ReplicaStatus,
  Replication,
  Term,
} from '../../core/replication.ts';
import type { SnapshotHeader } from '../peer/transport.ts';
import { encodeBatch } from '../wal/wal.ts';
import type { ReplicaShellOptions } from './replica-shell-options.ts';
import { observed } from './snapshot-observer.ts';

/**
 * Delay before a follower campaigns after its leader's connection broke: long enough for the others to have seen it too (they answer no
 * pre-vote before), and random, so that followers seldom collide. Requests go out this often until there is a leader.
 */
const fastCampaign = { leastMs: 10, spreadMs: 25, everyMs: 50, times: 4 } as const;
/** The longest that a follower which waits for nothing stays without news of a commit. */
const commitNewsMs = 2;
/** A leader whose disk hangs for this many election timeouts hands over to a voter whose disk does not. */
const slowDiskElections = 0.5;
/** Removed members stay this many election timeouts, so that the others learn of the removal. */
const removedLingerElections = 2;

/** Carries out what a {@link Replica} asks for: disk, network, timers. One per member. */
export class ReplicaShell implements Replication {
  readonly #options: ReplicaShellOptions;
  readonly #replica: Replica;
  readonly #listeners = new Set<(leader: MemberId | undefined, term: Term) => void>();
  /** Messages that wait for a Ready to be durable, in order. */
  #held: { readonly sequence: number; readonly messages: readonly Message[] }[] = [];
  /** Appends that are not durable yet, each with the last Ready that needs no more than them. */
  #appends: { upTo: number; readonly atMs: number }[] = [];
  #unwrittenHardState: HardState | undefined;
  #isRunning = false;
  /** What a turn did makes another one possible. */
  #runsAgain = false;
  #isTurnPlanned = false;
  #nextBarrier: Promise<void> | undefined;
  #isNewsPlanned = false;
  #isStopped = false;
  #isStopping = false;
  #isInstalling = false;
  #isSnapshotting = false;
  #tick: Timer | undefined;
  #received = new Map<string, { readonly members: Uint8Array }>();
  #lastReceived: { readonly index: LogIndex; readonly term: Term } | undefined;
  #sendingSnapshots = new Set<MemberId>();

  constructor(options: ReplicaShellOptions) {
    this.#options = options;
    this.#replica = options.replica;
  }

  async start(): Promise<void> {
    const { transport, clock, tickMs } = this.#options;
    this.#updatePeers();
    await transport.start({
      onMessage: (message) => this.#receive(message),
      onDisconnect: (peer) => this.#peerDisconnected(peer),
      onSnapshot: (header, chunks) => this.#receiveSnapshot(header, chunks),
    });
    this.#tick = clock.setInterval(() => {
      this.#guard(() => this.#replica.tick());
      this.#guard(() => this.#handOverFromSlowDisk());
      this.#run();
      this.#guard(() => this.#writeCommit());
    }, tickMs);
    this.#run();
  }

  // ---- Replication ----

  propose(payload: Uint8Array): Promise<unknown> {
    return this.#request((completion) => this.#replica.propose(payload, completion));
  }

  /** All who ask before the next turn share one question, and the same promise. */
  readBarrier(): Promise<void> {
    return (this.#nextBarrier ??= this.#request((completion) =>
      this.#replica.readBarrier(completion),
    ) as Promise<void>);
  }

  async changeMembership(change: MembershipChange): Promise<void> {
    await this.#request((completion) => this.#replica.changeMembership(change, completion));
  }

  async transferLeadership(target: MemberId): Promise<void> {
    await this.#request((completion) => this.#replica.transferLeadership(target, completion));
  }

  #request(start: (completion: Completion) => void): Promise<unknown> {
    if (this.#isStopped || this.#isStopping) {
      return Promise.reject(new ReplicationError('stopped', 'The member is stopping'));
    }
    const { promise, resolve, reject } = deferred<unknown>();
    this.#guard(() => start({ resolve, reject }));
    this.#plan();
    return promise;
  }

  status(): ReplicaStatus {
    return this.#replica.status();
  }

  onLeaderChange(listener: (leader: MemberId | undefined, term: Term) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hands leadership over first, when there is someone to take it. */
  async stop(): Promise<void> {
    if (this.#isStopped || this.#isStopping) return;
    this.#isStopping = true;
    const target = this.#replica.status().role === 'leader' ? this.#replica.bestTransferee : undefined;
    if (target !== undefined) {
      const done = deferred<unknown>();
      this.#guard(() =>
        this.#replica.transferLeadership(target, { resolve: done.resolve, reject: done.resolve }),
      );
      this.#run();
      const timer = this.#options.clock.setTimeout(() => done.resolve(undefined), this.#options.electionMs);
      await done.promise;
      timer.cancel();
    }
    await this.#shutDown();
  }

  /** Ends at once and without ceremony, as a crash would; nothing is flushed or handed over. For tests and simulation. */
  kill(): void {
    this.#isStopped = true;
    this.#tick?.cancel();
    this.#replica.stop();
    this.#options.writer.abandon();
    void this.#options.transport.close();
  }

  async #shutDown(): Promise<void> {
    if (this.#isStopped) return;
    this.#run();
    this.#guard(() => this.#writeCommit());
    this.#isStopped = true;
    this.#tick?.cancel();
    this.#replica.stop();
    await this.#options.transport.close();
    await this.#options.writer.close();
  }

  // ---- turns ----

  /** Everything that arrives in this turn of the event loop shares one append and one read round. */
  #plan(): void {
    if (this.#isTurnPlanned || this.#isStopped) return;
    this.#isTurnPlanned = true;
    this.#options.defer(() => {
      this.#isTurnPlanned = false;
      this.#run();
    });
  }

  #run(): void {
    // The turn asks for those who came before it, and for nobody who comes later.
    this.#nextBarrier = undefined;
    if (this.#isStopped) return;
    this.#isRunning = true;
    do {
      this.#runsAgain = false;
      this.#guard(() => this.#turn());
    } while (this.#runsAgain);
    this.#isRunning = false;
  }

  #turn(): void {
    const { readys, notices, events, hasCommitNews } = this.#replica.turn();
    for (const notice of notices) this.#send(notice);
    for (const ready of readys) this.#carryOut(ready);
    for (const event of events) this.#handle(event);
    if (hasCommitNews) this.#planCommitNews();
  }

  /** Under load the next append tells of a commit in time, and a message of its own for each is saved. */
  #planCommitNews(): void {
    if (this.#isNewsPlanned) return;
    this.#isNewsPlanned = true;
    const { reached } = this.#replica.commits;
    this.#options.clock.setTimeout(() => {
      this.#isNewsPlanned = false;
      if (this.#isStopped) return;
      if (this.#replica.commits.told < reached) this.#guard(() => this.#replica.tellCommit());
      this.#run();
    }, commitNewsMs);
  }

  #guard(action: () => void): void {
    if (this.#isStopped) return;
    try {
      action();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Stops at once and tells the owner: storage failed or an invariant broke. */
  fail(error: unknown): void {
    if (this.#isStopped) return;
    this.#options.logger.error('Consensus failed, this member must restart', { error: errorMessage(error) });
    this.kill();
    this.#options.onFatal(error instanceof Error ? error : new Error(errorMessage(error)));
  }

  #carryOut(ready: Ready): void {
    for (const message of ready.messages) this.#send(message);
    if (ready.messagesAfterPersist.length > 0) {
      this.#held.push({ sequence: ready.sequence, messages: ready.messagesAfterPersist });
    }
    const { snapshot } = ready;
    const received = snapshot && this.#received.get(`${snapshot.index}/${snapshot.term}`);
    if (snapshot && !received) throw new Error(`The image of snapshot ${snapshot.index} was not received`);
    if (snapshot) this.#isInstalling = true;
    const { sequence } = ready;
    if (!ready.mustSync) {
      // Only the commit index is news, or nothing. It may be lost in a crash, so it can travel with the next append.
      this.#unwrittenHardState = ready.hardState ?? this.#unwrittenHardState;
      const last = this.#appends.at(-1);
      if (last) last.upTo = sequence;
      else this.#settle(sequence);
      return;
    }
    const hardState = ready.hardState ?? this.#unwrittenHardState;
    this.#unwrittenHardState = undefined;
    const records = encodeBatch({
      ...(snapshot && received ? { snapshot: { ...snapshot, members: received.members } } : {}),
      entries: ready.entries,
      ...(hardState ? { hardState } : {}),
    });
    const append = { upTo: sequence, atMs: this.#options.clock.monotonic() };
    this.#appends.push(append);
    this.#options.writer.append(records, true, () => {
      if (this.#isStopped) return;
      this.#appends.shift();
      this.#settle(append.upTo);
      if (snapshot && received) void this.#install(snapshot.index, snapshot.term, received.members);
    });
  }

  /** All Readys up to `sequence` are as durable as they ask to be. */
  #settle(sequence: number): void {
    while (this.#held.length > 0 && (this.#held[0]?.sequence ?? Infinity) <= sequence) {
      for (const message of this.#held.shift()?.messages ?? []) this.#send(message);
    }
    this.#guard(() => this.#replica.persisted(sequence));
    // At once, not with the next turn of the event loop: somebody waits for what is durable now.
    if (this.#isRunning) this.#runsAgain = true;
    else this.#run();
  }

  /** A leader applies what its own disk holds: when that hangs and another's does not, the other should lead. */
  #handOverFromSlowDisk(): void {
    const { clock, electionMs, logger } = this.#options;
    const [oldest] = this.#appends;
    if (oldest === undefined || clock.monotonic() - oldest.atMs < electionMs * slowDiskElections) return;
    const target = this.#replica.fasterVoter;
    if (target === undefined) return;
    logger.warn('slow fsync: handing leadership over', {
      'waits-ms': Math.round(clock.monotonic() - oldest.atMs),
      'transferee-member-id': target.toString(16),
    });
    this.#replica.transferLeadership(target, { resolve: () => {}, reject: () => {} });
  }

  /** A commit index that no append took along, so that a restart has little to learn again. */
  #writeCommit(): void {
    const hardState = this.#unwrittenHardState;
    if (hardState === undefined || this.#isStopped) return;
    this.#unwrittenHardState = undefined;
    this.#options.writer.append(encodeBatch({ entries: [], hardState }), false, () => {});
  }

  #send(message: Message): void {
    if (message.kind === 'snapshot') void this.#sendSnapshot(message);
    else this.#options.transport.send(message);
  }

  #receive(message: Message): void {
    // The image travels on a connection of its own and steps the machine when it has arrived.
    if (message.kind === 'snapshot') return;
    this.#guard(() => this.#replica.receive(message));
    this.#plan();
  }

  #peerDisconnected(peer: MemberId): void {
    if (this.#isStopped) return;
    const wasLeader = this.#replica.status().leader === peer;
    this.#guard(() => this.#replica.peerDisconnected(peer));
    this.#run();
    if (!wasLeader) return;
    this.#campaignIn(fastCampaign.leastMs + this.#options.random.float() * fastCampaign.spreadMs, 1);
  }

  #campaignIn(delayMs: number, time: number): void {
    this.#options.clock.setTimeout(() => {
      if (this.#isStopped || this.#replica.status().leader !== undefined) return;
      this.#guard(() => this.#replica.campaignIfLeaderless());
      this.#run();
      if (time < fastCampaign.times) this.#campaignIn(fastCampaign.everyMs, time + 1);
    }, delayMs);
  }

  #handle(event: ReplicaEvent): void {
    const { logger } = this.#options;
    switch (event.kind) {
      case 'leaderChanged':
        logger.info('leader changed', { leader: event.leader?.toString(16) ?? 'none', term: event.term });
        for (const listener of this.#listeners) listener(event.leader, event.term);
        return;
      case 'roleChanged':
        logger.debug('role changed', { role: event.role, term: event.term });
        return;
      case 'membershipChanged':
        this.#updatePeers();
        return;
      case 'snapshotDue':
        void this.#takeSnapshot();
        return;
      case 'removed':
        logger.warn('the member has been permanently removed from the cluster', {
          'local-member-id': this.#options.memberId.toString(16),
        });
        this.#options.clock.setTimeout(() => {
          if (this.#isStopped) return;
          void this.#shutDown().then(() => this.#options.onRemoved());
        }, removedLingerElections * this.#options.electionMs);
        return;
    }
  }

  #updatePeers(): void {
    const peers = new Map<MemberId, readonly string[]>();
    const members = this.#replica.members;
    // Until the log has told of this member itself, the list it was started with may be all there is.
    if (!members.has(this.#options.memberId)) {
      for (const member of this.#options.initialMembers) peers.set(member.id, member.peerUrls);
    }
    for (const member of members.values()) peers.set(member.id, member.peerUrls);
    this.#options.transport.setPeers(peers);
  }

  // ---- snapshots ----

  async #takeSnapshot(): Promise<void> {
    if (this.#isSnapshotting || this.#isInstalling || this.#isStopped) return;
    this.#isSnapshotting = true;
    const { stateMachine, snapshots, writer, logger, snapshotCatchUpEntries, onSnapshot } = this.#options;
    const saved = onSnapshot?.('save');
    const checkpoint = this.#replica.checkpoint();
    const { index, term } = checkpoint;
    try {
      if (stateMachine.durableIndex) {
        await observed(onSnapshot, 'flush', async () => stateMachine.flush?.());
        if (stateMachine.durableIndex() < index)
          throw new Error(`The backend is durable only up to ${stateMachine.durableIndex()}`);
      } else {
        const image = stateMachine.snapshot();
        try {
          await snapshots.save(index, term, image.chunks());
        } finally {
          image.release();
        }
      }
    } catch (error) {
      this.#isSnapshotting = false;
      this.fail(error);
      return;
    }
    this.#isSnapshotting = false;
    // A snapshot from the leader may have replaced everything meanwhile.
    if (this.#isStopped || this.#isInstalling || this.#replica.status().appliedIndex < index) return;
    if (this.#lastReceived && this.#lastReceived.index >= index) {
      this.#guard(() => this.#replica.snapshotTaken(this.#lastReceived?.index ?? index, index));
      return;
    }
    const records = encodeBatch({
      snapshot: { index, term, config: checkpoint.config, members: checkpoint.membership },
      entries: [],
    });
    writer.append(records, true, () => {
      if (this.#isStopped) return;
      writer.release(index);
      this.#attempt(() => snapshots.purge(index));
      this.#guard(() =>
        this.#replica.snapshotTaken(index, Math.max(0, index - snapshotCatchUpEntries) as LogIndex),
      );
      saved?.(true);
      logger.info('saved snapshot', { 'snapshot-index': index });
    });
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#options.logger.warn('Cannot remove old snapshots', { error: errorMessage(error) });
    }
  }

  /** A leader streams its present state, which covers at least what consensus asked for. */
  async #sendSnapshot(message: SnapshotMessage): Promise<void> {
    if (this.#sendingSnapshots.has(message.to)) return;
    this.#sendingSnapshots.add(message.to);
    const { stateMachine, transport, logger } = this.#options;
    let isDelivered = false;
    const { index, term, config, membership } = this.#replica.checkpoint();
    const image = stateMachine.snapshot();
    try {
      const header: SnapshotHeader = {
        from: message.from,
        to: message.to,
        term: message.term,
        snapshot: { index, term, config },
        members: membership,
      };
      const send = (): Promise<boolean> => transport.sendSnapshot(header, image.chunks());
      isDelivered = await observed(this.#options.onSnapshot, 'send', send, message.to);
      logger.info('sent snapshot', { to: message.to.toString(16), 'snapshot-index': index, isDelivered });
    } catch (error) {
      logger.warn('Cannot send snapshot', { to: message.to.toString(16), error: errorMessage(error) });
    } finally {
      image.release();
      this.#sendingSnapshots.delete(message.to);
    }
    this.#guard(() => this.#replica.snapshotStatus(message.to, isDelivered));
    this.#plan();
  }

  async #receiveSnapshot(header: SnapshotHeader, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#isStopped || this.#isInstalling)
      throw new ReplicationError('stopped', 'This member takes no snapshot now');
    const { index, term } = header.snapshot;
    const status = this.#replica.status();
    if (header.term < status.term || index <= status.commitIndex) {
      for await (const chunk of chunks) void chunk;
    } else {
      const save = (): Promise<void> => this.#options.snapshots.save(index, term, chunks);
      await observed(this.#options.onSnapshot, 'receive', save, header.from);
    }
    if (this.#isStopped || this.#isInstalling)
      throw new ReplicationError('stopped', 'This member takes no snapshot now');
    this.#received.set(`${index}/${term}`, { members: header.members.slice() });
    const { from, to, snapshot } = header;
    this.#guard(() => this.#replica.receive({ kind: 'snapshot', from, to, term: header.term, snapshot }));
    this.#run();
    if (!this.#isInstalling) this.#received.delete(`${index}/${term}`);
  }

  async #install(index: LogIndex, term: Term, members: Uint8Array): Promise<void> {
    const { stateMachine, snapshots, writer, logger } = this.#options;
    try {
      const restore = (): Promise<void> => stateMachine.restore(snapshots.read(index, term));
      await observed(this.#options.onSnapshot, 'install', restore);
      if (stateMachine.durableIndex) await stateMachine.flush?.();
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.#isStopped) return;
    this.#lastReceived = { index, term };
    this.#isInstalling = false;
    this.#received.clear();
    this.#guard(() => this.#replica.snapshotInstalled(index, term, Membership.decode(members)));
    writer.release(index);
    this.#attempt(() => snapshots.purge(index));
    logger.info('installed snapshot', { 'snapshot-index': index });
    this.#run();
  }
}
