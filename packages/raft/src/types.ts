import type { Branded } from '@pilothouse/base';

export type LogIndex = Branded<number, 'LogIndex'>;
export type Term = Branded<number, 'Term'>;
/** Random 64 bits: always bigint. */
export type MemberId = Branded<bigint, 'MemberId'>;

/** An entry that carries the user's bytes. Empty payload: the no-op that a new leader appends. */
export interface NormalEntry {
  readonly kind: 'normal';
  readonly index: LogIndex;
  readonly term: Term;
  readonly payload: Uint8Array;
}

/** An entry that changes the configuration when it is applied. `context` is opaque to consensus. */
export interface ConfigChangeEntry {
  readonly kind: 'configChange';
  readonly index: LogIndex;
  readonly term: Term;
  readonly change: ConfigChange;
  readonly context: Uint8Array;
}

export type Entry = NormalEntry | ConfigChangeEntry;

/** What is proposed: an entry that has no place in the log yet. */
export type Proposal =
  | { readonly kind: 'normal'; readonly payload: Uint8Array }
  | { readonly kind: 'configChange'; readonly change: ConfigChange; readonly context: Uint8Array };

/** Bytes that an entry counts against the limits of messages and of flow control. */
export function entryBytes(entry: Entry | Proposal): number {
  return entry.kind === 'normal'
    ? entry.payload.length
    : entry.context.length + 16 * entry.change.changes.length;
}

/** The state that must survive a crash, besides the log. */
export interface HardState {
  readonly term: Term;
  readonly vote: MemberId | undefined;
  readonly commit: LogIndex;
}

/** Who takes part. `outgoing` and `learnersNext` are non-empty only in a joint configuration. Ids are sorted. */
export interface ConfigState {
  readonly voters: readonly MemberId[];
  readonly outgoing: readonly MemberId[];
  readonly learners: readonly MemberId[];
  /** Voters of the outgoing configuration that become learners when the joint configuration is left. */
  readonly learnersNext: readonly MemberId[];
  /** The leader itself proposes to leave the joint configuration as soon as it is applied. */
  readonly autoLeave: boolean;
}

export const emptyConfig: ConfigState = {
  voters: [],
  outgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

export interface SingleChange {
  readonly kind: 'addVoter' | 'addLearner' | 'remove';
  readonly id: MemberId;
}

/**
 * `auto` uses a joint configuration only when more than one voter changes; `joint` always.
 * No changes at all: leave the joint configuration.
 */
export interface ConfigChange {
  readonly transition: 'auto' | 'joint';
  readonly changes: readonly SingleChange[];
}

/** Where the log begins: everything up to `index` is in the state machine's snapshot. */
export interface SnapshotMetadata {
  readonly index: LogIndex;
  readonly term: Term;
  readonly config: ConfigState;
}

export type Role = 'leader' | 'follower' | 'candidate' | 'preCandidate';

/** The answer to a {@link RaftNode.readIndex}: once `index` is applied, reads asked for under `context` are linearizable. */
export interface ReadState {
  readonly context: number;
  readonly index: LogIndex;
}

export interface SoftState {
  readonly role: Role;
  readonly leader: MemberId | undefined;
  readonly term: Term;
}
