import type { Entry, LogIndex, MemberId, Proposal, SnapshotMetadata, Term } from './types.ts';

/** What every message carries. */
export interface Envelope {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: Term;
}

/**
 * What the sender knows to be committed. A receiver whose log holds that entry may take it as committed, too: else a voter that
 * missed the commit of the other voters' removal could wait for ever for the vote of one who is none any more.
 */
export interface CommitHint {
  readonly commit: LogIndex;
  readonly commitTerm: Term;
}

/** Asks for a vote. `preVote` asks whether a vote would be given, and changes no state at the receiver. */
export interface VoteRequest extends Envelope, CommitHint {
  readonly kind: 'preVote' | 'vote';
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** Set for a leadership transfer: the receiver's loyalty to its present leader does not count. */
  readonly isTransfer: boolean;
}

export interface VoteResponse extends Envelope, CommitHint {
  readonly kind: 'preVoteResponse' | 'voteResponse';
  readonly isGranted: boolean;
}

export interface Append extends Envelope {
  readonly kind: 'append';
  readonly prevIndex: LogIndex;
  readonly prevTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
}

/** Accepted: `index` is the last index known to match. Rejected: `index` is the refused `prevIndex`, the hint where to look next. */
export interface AppendResponse extends Envelope {
  readonly kind: 'appendResponse';
  readonly index: LogIndex;
  readonly isRejected: boolean;
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
}

export interface Heartbeat extends Envelope {
  readonly kind: 'heartbeat';
  readonly commit: LogIndex;
  /** Number of the newest read round; a response with it confirms leadership for that round and all before. */
  readonly round: number;
}

export interface HeartbeatResponse extends Envelope {
  readonly kind: 'heartbeatResponse';
  readonly round: number;
}

/** Tells that the follower needs a snapshot. The shell streams the image and may replace the metadata by newer ones. */
export interface SnapshotMessage extends Envelope {
  readonly kind: 'snapshot';
  readonly snapshot: SnapshotMetadata;
}

/** The transferee may campaign at once. */
export interface TimeoutNow extends Envelope {
  readonly kind: 'timeoutNow';
}

/**
 * Proposals that a follower forwards. Accepted only by the leader of exactly `term`, at most once, never forwarded again: so once an
 * entry of a later term is applied, a proposal that is not in the log by then never will be.
 */
export interface Propose extends Envelope {
  readonly kind: 'propose';
  /** Random per start of the sender; with `batch` it tells a repeated message. */
  readonly incarnation: number;
  readonly batch: number;
  readonly proposals: readonly Proposal[];
}

export interface ReadIndexRequest extends Envelope {
  readonly kind: 'readIndex';
  readonly context: number;
}

export interface ReadIndexResponse extends Envelope {
  readonly kind: 'readIndexResponse';
  readonly context: number;
  readonly index: LogIndex;
}

/** Tells a member that the sender has applied its removal. For the driver; the machine itself takes no notice. */
export interface Removed extends Envelope {
  readonly kind: 'removed';
}

export type Message =
  | VoteRequest
  | VoteResponse
  | Append
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | SnapshotMessage
  | TimeoutNow
  | Propose
  | ReadIndexRequest
  | ReadIndexResponse
  | Removed;
