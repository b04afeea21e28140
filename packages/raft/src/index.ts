export type {
  ConfigChange,
  ConfigChangeEntry,
  ConfigState,
  Entry,
  HardState,
  LogIndex,
  MemberId,
  NormalEntry,
  Proposal,
  ReadState,
  Role,
  SingleChange,
  SnapshotMetadata,
  SoftState,
  Term,
} from './types.ts';
export { emptyConfig, entryBytes } from './types.ts';
export type {
  Append,
  AppendResponse,
  CommitHint,
  Heartbeat,
  HeartbeatResponse,
  Message,
  Propose,
  ReadIndexRequest,
  ReadIndexResponse,
  Removed,
  SnapshotMessage,
  TimeoutNow,
  VoteRequest,
  VoteResponse,
} from './message.ts';
export type { Ready } from './ready.ts';
export type { ProposeResult, RaftLimits, RaftOptions } from './options.ts';
export { defaultLimits } from './options.ts';
export { ConfigChangeError, changeConfig, isJoint, isMember, isVoter } from './config-change.ts';
export type { ProgressState } from './progress.ts';
export { allVoters, committedIndex, voteOutcome } from './quorum.ts';
export { RaftNode } from './raft-node.ts';
