/**
 * The seam between consensus and the etcd server: the RPC layer proposes and asks, the replica drives the state machine.
 * Both sides are written against this file only; the simulator and a single-member test double implement it too.
 */
import type { Branded } from '@pilothouse/base';

export type LogIndex = Branded<number, 'LogIndex'>;
export type Term = Branded<number, 'Term'>;
/** Random 64 bits: always bigint. */
export type MemberId = Branded<bigint, 'MemberId'>;

/** A committed normal entry on its way to the state machine. */
export interface CommittedEntry {
  readonly index: LogIndex;
  readonly term: Term;
  /** The proposal's bytes; empty for the no-op entry of a new leader. */
  readonly payload: Uint8Array;
}

export interface MemberInfo {
  readonly id: MemberId;
  /** Empty until the member has published itself. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export type MembershipChange =
  | { readonly kind: 'add'; readonly member: MemberInfo }
  | { readonly kind: 'remove'; readonly id: MemberId }
  | { readonly kind: 'promote'; readonly id: MemberId }
  | { readonly kind: 'update'; readonly member: MemberInfo };

/** Deterministic: the same entries in the same order give the same state and the same results on every member. */
export interface StateMachine {
  /** Runs one entry. Synchronous. The result goes to the local proposer only. An application error is a result, never a throw. */
  apply(entry: CommittedEntry): unknown;
  /** A committed membership change, already agreed by consensus; the state machine keeps the member list for MemberList. */
  applyMembership(index: LogIndex, term: Term, change: MembershipChange): void;
  /** Index of the last applied entry; survives restarts with the backend, so that replay starts after it. */
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  /**
   * Optional: the newest index whose effects a crash cannot undo. A machine that has it replays from its own backend, and the
   * log is released only up to it; for one that has not, the replica keeps an image of its own on disk.
   */
  durableIndex?(): LogIndex;
  /** Makes everything applied so far durable; goes with {@link StateMachine.durableIndex}. */
  flush?(): Promise<void>;
  /** A consistent image as of appliedIndex: cheap to take (copy on write), streamed later in chunks of at most 256 KiB. */
  snapshot(): StateSnapshot;
  /** Replaces the whole state. Watches go on without gap or repeat afterwards. */
  restore(image: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>;
}

export interface StateSnapshot {
  readonly index: LogIndex;
  readonly term: Term;
  chunks(): AsyncIterable<Uint8Array>;
  release(): void;
}

export interface ReplicaStatus {
  readonly id: MemberId;
  /** Undefined while there is no leader. */
  readonly leader: MemberId | undefined;
  readonly term: Term;
  readonly role: 'leader' | 'follower' | 'candidate' | 'preCandidate' | 'learner';
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** Leader only: match index by member. */
  progress(): ReadonlyMap<MemberId, LogIndex>;
}

/** Why a proposal or a read did not go through; the RPC layer turns each into etcd's code and text. */
export type ReplicationErrorCode =
  | 'noLeader'
  | 'leaderChanged'
  | 'stopped'
  | 'timeout'
  | 'timeoutLeaderFailure'
  | 'notLeader'
  | 'badLeaderTransferee'
  | 'tooManyRequests'
  /** The change does not fit the present configuration, e.g. it would remove the last voter. */
  | 'invalidMembershipChange';

/** What the RPC layer asks of consensus. */
export interface Replication {
  /**
   * Appends, replicates, commits and applies `payload`; resolves with the local state machine's result, which implies durability
   * on a quorum. Rejects with a ReplicationError; after `timeout` the entry may still commit. Followers forward to the leader.
   */
  propose(payload: Uint8Array): Promise<unknown>;
  /** Linearizable read barrier: resolves once everything committed before the call is applied here. Coalesced per round. */
  readBarrier(): Promise<void>;
  /** Proposes a membership change (joint consensus inside); resolves when it is applied here. */
  changeMembership(change: MembershipChange): Promise<void>;
  /** Only on the leader, else `notLeader`. Resolves when `target` leads. */
  transferLeadership(target: MemberId): Promise<void>;
  status(): ReplicaStatus;
  /** Fires on each change of leader (undefined: none known). Returns the unsubscriber. */
  onLeaderChange(listener: (leader: MemberId | undefined, term: Term) => void): () => void;
  stop(): Promise<void>;
}
