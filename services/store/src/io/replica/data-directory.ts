import { CodedError, mustExist } from '@pilothouse/base';
import type { Disk, Logger, Random } from '@pilothouse/base';
import { RaftNode, emptyConfig } from '@pilothouse/raft';
import type { Entry, HardState, LogIndex, RaftLimits, SnapshotMetadata, Term } from '@pilothouse/raft';
import { encodeEnvelope } from '../../core/replica/envelope.ts';
import { Membership, encodeMembershipChange } from '../../core/replica/membership.ts';
import type { MemberId, MemberInfo, StateMachine } from '../../core/replication.ts';
import type { SnapshotStore } from '../snapshot/snapshot-store.ts';
import { WalWriter, createWal, encodeBatch, openWal, walExists } from '../wal/wal.ts';
import type { WalContents, WalOptions, WalPosition } from '../wal/wal.ts';

/** A data directory that cannot be used by this member. The message says which, why, and what to do. */
export class DataDirectoryError extends CodedError {
  constructor(code: 'foreign' | 'inconsistent', message: string) {
    super(code, message);
  }
}

export interface RestoreOptions {
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly initialMembers: readonly MemberInfo[];
  readonly isNewCluster: boolean;
  readonly walDirectory: string;
  readonly wal: WalOptions;
  readonly disk: Disk;
  readonly snapshots: SnapshotStore;
  readonly stateMachine: StateMachine;
  readonly random: Random;
  readonly limits: Partial<RaftLimits>;
  readonly logger: Logger;
}

export interface Restored {
  readonly raft: RaftNode;
  readonly membership: Membership;
  readonly snapshotIndex: LogIndex;
  readonly position: WalPosition;
}

/** Brings a member back to where its disk left it, or starts it anew. */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { disk, walDirectory, memberId, clusterId, logger, stateMachine, snapshots } = options;
  if (!walExists(disk, walDirectory)) {
    if (stateMachine.appliedIndex > 0) {
      throw new DataDirectoryError(
        'inconsistent',
        `The WAL in ${walDirectory} is missing although the backend holds entry ${stateMachine.appliedIndex}. Restore the directory, or empty the data directory and add the member again`,
      );
    }
    createWal(disk, walDirectory, { clusterId, memberId }, options.wal);
  }
  let contents = openWal(disk, walDirectory);
  checkIdentity(options, contents);
  if (contents.repairedBytes > 0) {
    logger.warn('repaired the end of the WAL', { path: walDirectory, bytes: contents.repairedBytes });
  }
  const isFresh = contents.entries.length === 0 && !contents.snapshot && !contents.hardState;
  if (isFresh && options.isNewCluster) {
    bootstrap(options, contents.position);
    contents = openWal(disk, walDirectory);
  }
  const { snapshot } = contents;
  if (snapshot && stateMachine.appliedIndex < snapshot.index) {
    if (!snapshots.has(snapshot.index, snapshot.term)) {
      throw new DataDirectoryError(
        'inconsistent',
        `The backend is at entry ${stateMachine.appliedIndex}, the log begins after ${snapshot.index}, and there is no snapshot in between. Empty the data directory and add the member again`,
      );
    }
    await stateMachine.restore(snapshots.read(snapshot.index, snapshot.term));
    await stateMachine.flush?.();
  }
  const lastIndex = (contents.entries.at(-1)?.index ?? snapshot?.index ?? 0) as LogIndex;
  if (stateMachine.appliedIndex > lastIndex) {
    throw new DataDirectoryError(
      'inconsistent',
      `The backend is at entry ${stateMachine.appliedIndex}, but the WAL in ${walDirectory} ends at ${lastIndex}: they do not belong together. Empty the data directory and add the member again`,
    );
  }
  // Commit indexes are written lazily; what the backend has applied was committed.
  const commit = Math.min(
    lastIndex,
    Math.max(contents.hardState?.commit ?? 0, stateMachine.appliedIndex, snapshot?.index ?? 0),
  ) as LogIndex;
  const hardState: HardState = contents.hardState
    ? { ...contents.hardState, commit }
    : { term: 0 as Term, vote: undefined, commit };
  const base: SnapshotMetadata = snapshot ?? { index: 0 as LogIndex, term: 0 as Term, config: emptyConfig };
  const raft = new RaftNode({
    id: memberId,
    random: options.random,
    snapshot: { index: base.index, term: base.term, config: base.config },
    entries: contents.entries,
    hardState,
    limits: options.limits,
  });
  return {
    raft,
    membership: snapshot ? Membership.decode(snapshot.members) : new Membership(),
    snapshotIndex: base.index,
    position: contents.position,
  };
}

function checkIdentity(
  { clusterId, memberId, walDirectory }: RestoreOptions,
  { metadata }: WalContents,
): void {
  if (metadata.clusterId === clusterId && metadata.memberId === memberId) return;
  const what = metadata.clusterId === clusterId ? 'member' : 'cluster';
  const found = what === 'member' ? metadata.memberId : metadata.clusterId;
  const wanted = what === 'member' ? memberId : clusterId;
  throw new DataDirectoryError(
    'foreign',
    `The WAL in ${walDirectory} belongs to ${what} ${found.toString(16)}, this is ${what} ${wanted.toString(16)}. Start with the directory of this member, or with an empty one`,
  );
}

/** The first entries of a new cluster: one membership change for each initial member, the same on all of them. */
function bootstrap(options: RestoreOptions, position: WalPosition): void {
  const members = [...options.initialMembers].sort((a, b) => (a.id < b.id ? -1 : 1));
  if (!members.some((member) => member.id === options.memberId)) {
    throw new DataDirectoryError(
      'inconsistent',
      `Member ${options.memberId.toString(16)} is not among the initial members: ${members.map(({ id }) => id.toString(16)).join(', ')}`,
    );
  }
  const term = 1 as Term;
  const entries = members.map((member, at): Entry => {
    const content = encodeMembershipChange({ kind: 'add', member });
    return {
      kind: 'configChange',
      index: (at + 1) as LogIndex,
      term,
      change: {
        transition: 'auto',
        changes: [{ kind: member.isLearner ? 'addLearner' : 'addVoter', id: member.id }],
      },
      context: encodeEnvelope({ kind: 'memberChange', proposer: 0n, sequence: 0, content }),
    };
  });
  const writer = new WalWriter(options.disk, options.walDirectory, position, options.wal);
  const commit = mustExist(entries.at(-1), 'A cluster has members').index;
  writer.append(encodeBatch({ entries, hardState: { term, vote: undefined, commit } }));
  writer.sync();
  writer.close();
}
