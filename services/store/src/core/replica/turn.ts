import type { Message, Ready } from '@pilothouse/raft';
import type { MemberId, ReplicaStatus, Term } from '../replication.ts';

export type ReplicaEvent =
  | { readonly kind: 'leaderChanged'; readonly leader: MemberId | undefined; readonly term: Term }
  | { readonly kind: 'roleChanged'; readonly role: ReplicaStatus['role']; readonly term: Term }
  | { readonly kind: 'membershipChanged' }
  | { readonly kind: 'snapshotDue' }
  /** This member is no longer part of the cluster. */
  | { readonly kind: 'removed' };

/** What one turn asks of the shell. The Readys keep the order and the contract of {@link Ready}; entries are applied already. */
export interface Turn {
  readonly readys: readonly Ready[];
  /** To be sent at once, outside of consensus. */
  readonly notices: readonly Message[];
  readonly events: readonly ReplicaEvent[];
  /** Followers that wait for nothing were not told of the newest commit: `Replica.tellCommit` is to be called soon. */
  readonly hasCommitNews: boolean;
}
