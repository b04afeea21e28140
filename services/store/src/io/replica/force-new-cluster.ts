import { mustExist } from '@pilothouse/base';
import type { Disk, Logger } from '@pilothouse/base';
import type { Entry, LogIndex, Term } from '@pilothouse/raft';
import { decodeEnvelope, encodeEnvelope } from '../../core/replica/envelope.ts';
import {
  decodeMembershipChange,
  encodeMembershipChange,
  Membership,
  toSingleChange,
} from '../../core/replica/membership.ts';
import type { MemberId, MembershipChange } from '../../core/replication.ts';
import { encodeBatch, openWal, walExists, WalWriter } from '../wal/wal.ts';

const wal = { segmentBytes: 16 * 1024 * 1024 };

/**
 * Makes a cluster of this one member out of its log (`--force-new-cluster`), for a quorum that is lost for good: what is known to
 * be committed stays, the rest is cut off, and behind it all other members are removed as if they had agreed. Gives the
 * removed members. The member must not run meanwhile.
 */
export function forceNewCluster(options: {
  readonly disk: Disk;
  readonly walDirectory: string;
  readonly memberId: MemberId;
  /** What the state machine holds durably; it was committed, whatever the log says. */
  readonly appliedIndex: LogIndex;
  readonly logger: Logger;
}): MemberId[] {
  const { disk, walDirectory, memberId, appliedIndex, logger } = options;
  if (!walExists(disk, walDirectory)) return [];
  const { entries, snapshot, hardState, position } = openWal(disk, walDirectory);
  const lastIndex = entries.at(-1)?.index ?? snapshot?.index ?? 0;
  const commit = Math.min(lastIndex, Math.max(hardState?.commit ?? 0, appliedIndex, snapshot?.index ?? 0));
  const membership = snapshot ? Membership.decode(snapshot.members) : new Membership();
  for (const entry of entries) {
    if (entry.index > commit || entry.kind !== 'configChange') continue;
    const { kind, content } = decodeEnvelope(entry.context);
    if (kind === 'memberChange') membership.apply(decodeMembershipChange(content));
  }
  const others = [...membership.members.keys()].filter((id) => id !== memberId);
  const isLearner = membership.members.get(memberId)?.isLearner ?? false;
  const changes: Exclude<MembershipChange, { kind: 'update' }>[] = [
    // A learner can lead only after it has become a voter, and it needs no one's vote once it is alone.
    ...(isLearner ? [{ kind: 'promote', id: memberId } as const] : []),
    ...others.map((id) => ({ kind: 'remove', id }) as const),
  ];
  if (changes.length === 0) return [];
  const term = Math.max(1, hardState?.term ?? 1) as Term;
  const added = changes.map((change, at): Entry => ({
    kind: 'configChange',
    index: (commit + 1 + at) as LogIndex,
    term,
    change: { transition: 'auto', changes: [toSingleChange(change)] },
    context: encodeEnvelope({
      kind: 'memberChange',
      proposer: 0n,
      sequence: 0,
      content: encodeMembershipChange(change),
    }),
  }));
  const newCommit = mustExist(added.at(-1), 'There is a change').index;
  const writer = new WalWriter(disk, walDirectory, position, wal);
  writer.append(encodeBatch({ entries: added, hardState: { term, vote: undefined, commit: newCommit } }));
  writer.sync();
  writer.close();
  logger.warn('forced a new cluster of this member alone', {
    'removed-members': others.map((id) => id.toString(16)),
    'discarded-entries': Math.max(0, lastIndex - commit),
  });
  return others;
}
