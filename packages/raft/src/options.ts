import type { Random } from '@pilothouse/base';
import type { Entry, HardState, MemberId, SnapshotMetadata } from './types.ts';

/** Limits of one member. Each has a default. */
export interface RaftLimits {
  /** Ticks without a leader before a member campaigns; drawn from [electionTicks, 2 × electionTicks). */
  readonly electionTicks: number;
  /** Ticks between heartbeats. */
  readonly heartbeatTicks: number;
  /** Payload bytes of one append; one entry may exceed it. */
  readonly appendBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** Payload bytes that a leader takes in before they commit; beyond, proposals are dropped with `overloaded`. */
  readonly uncommittedBytesMax: number;
  /**
   * Whether a follower that waits for nothing learns of a commit with the next append, or when {@link RaftNode.tellCommit} is called,
   * instead of by a message of its own. One that has proposed something, or asked for a read, is always told at once.
   */
  readonly isCommitToldLazily: boolean;
  /**
   * Whether a leader that is writing entries lets new ones gather until those are durable, and then hands out and sends them together.
   * Nothing is lost by it: it commits only what its own disk holds.
   */
  readonly areAppendsGathered: boolean;
  /** Payload bytes of committed entries in one Ready; one entry may exceed it. */
  readonly applyBytesMax: number;
}

export const defaultLimits: RaftLimits = {
  electionTicks: 10,
  heartbeatTicks: 1,
  appendBytesMax: 1024 * 1024,
  inflightMessagesMax: 256,
  inflightBytesMax: 16 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  isCommitToldLazily: false,
  areAppendsGathered: false,
  applyBytesMax: 8 * 1024 * 1024,
};

/** What a member starts from: all of it as read back from durable storage. */
export interface RaftOptions {
  readonly id: MemberId;
  readonly random: Random;
  readonly hardState?: HardState;
  /** Where the log begins, with the configuration as of that index. */
  readonly snapshot?: SnapshotMetadata;
  /** Entries after the snapshot, without gaps. */
  readonly entries?: readonly Entry[];
  readonly limits?: Partial<RaftLimits>;
}

/** What became of a proposal. Dropped ones are in no log and never commit. */
export type ProposeResult =
  | { readonly kind: 'appended'; readonly term: number; readonly index: number }
  | { readonly kind: 'forwarded'; readonly term: number; readonly leader: MemberId }
  | {
      readonly kind: 'dropped';
      readonly reason:
        'noLeader' | 'transferring' | 'overloaded' | 'configPending' | 'invalidConfig' | 'removed';
      readonly message: string;
    };
