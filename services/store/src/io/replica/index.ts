import { nodeClock, nodeDisk, nodeRandom } from '@pilothouse/host';
import { Replica } from '../../core/replica/replica.ts';
import type { Replication } from '../../core/replication.ts';
import { TcpTransport } from '../peer/tcp-transport.ts';
import { SnapshotStore } from '../snapshot/snapshot-store.ts';
import { ThreadLogWriter } from '../wal/thread-log-writer.ts';
import { restore } from './data-directory.ts';
import type { CreateReplicaOptions } from './options.ts';
import { ReplicaShell } from './replica-shell.ts';

export type { CreateReplicaOptions } from './options.ts';
export { DataDirectoryError } from './data-directory.ts';
export { ReplicaShell } from './replica-shell.ts';
export { ReplicationError } from '../../core/replication-error.ts';

const megabyte = 1024 * 1024;

/**
 * Starts one member: reads back its log and snapshot, replays what the state machine lacks, listens for peers and takes
 * part. Resolves before there is a leader. Rejects with DataDirectoryError or WalError when the data directory cannot be used.
 */
export async function createReplica(
  options: CreateReplicaOptions,
): Promise<Replication & Pick<ReplicaShell, 'kill'>> {
  const clock = options.clock ?? nodeClock;
  const random = options.random ?? nodeRandom;
  const disk = options.disk ?? nodeDisk;
  const { logger, stateMachine } = options;
  const tickMs = options.heartbeatMs ?? 100;
  const electionMs = options.electionMs ?? 1000;
  const electionTicks = Math.max(2, Math.round(electionMs / tickMs));
  const wal = { segmentBytes: options.walSegmentBytes ?? 16 * megabyte };
  const walDirectory = options.walDirectory ?? `${options.dataDirectory}/wal`;
  disk.makeDirectory(options.dataDirectory);
  const snapshots = new SnapshotStore(disk, `${options.dataDirectory}/snap`, options.onSnapshot);
  const restored = await restore({
    memberId: options.memberId,
    clusterId: options.clusterId,
    initialMembers: options.initialMembers,
    isNewCluster: options.isNewCluster,
    walDirectory,
    wal,
    disk,
    snapshots,
    stateMachine,
    random,
    limits: { electionTicks, isCommitToldLazily: true, areAppendsGathered: true },
    logger,
  });
  const onFatal =
    options.onFatal ??
    ((error: Error): void =>
      void setImmediate(() => {
        throw error;
      }));
  let fail = onFatal;
  const onError = (error: unknown): void => fail(error instanceof Error ? error : new Error(String(error)));
  const writer = options.openLogWriter
    ? options.openLogWriter(restored.position, onError)
    : new ThreadLogWriter({
        directory: walDirectory,
        position: restored.position,
        wal,
        onError,
        ...(options.onSync ? { onSync: options.onSync } : {}),
        ...(options.onLogBytes ? { onBytes: options.onLogBytes } : {}),
      });
  const transport =
    options.transport ??
    new TcpTransport({
      memberId: options.memberId,
      clusterId: options.clusterId,
      listen: options.listen ?? [],
      ...(options.tls ? { tls: options.tls } : {}),
      clock,
      random,
      logger,
    });
  const proposer = new DataView(random.bytes(8).buffer).getBigUint64(0, true) | 1n;
  const requestTimeoutMs = options.requestTimeoutMs ?? 5000 + 2 * electionMs;
  const replica = new Replica({
    raft: restored.raft,
    stateMachine,
    membership: restored.membership,
    snapshotIndex: restored.snapshotIndex,
    proposer,
    limits: {
      requestTimeoutTicks: Math.max(1, Math.ceil(requestTimeoutMs / tickMs)),
      transferTimeoutTicks: electionTicks * 2,
      readRetryTicks: Math.max(2, Math.floor(electionTicks / 2)),
      pendingProposalsMax: options.pendingProposalsMax ?? 20_000,
      proposalBytesMax: 15 * megabyte,
      proposalBatchBytesMax: megabyte,
      applyBacklogMax: 5000,
      snapshotCount: options.snapshotCount ?? 10_000,
      logBytesMax: 64 * megabyte,
    },
  });
  const shell = new ReplicaShell({
    memberId: options.memberId,
    replica,
    stateMachine,
    writer,
    snapshots,
    transport,
    initialMembers: options.initialMembers,
    tickMs,
    electionMs,
    snapshotCatchUpEntries: options.snapshotCatchUpEntries ?? 5000,
    clock,
    random,
    logger,
    defer: options.defer ?? ((callback) => void setImmediate(callback)),
    onFatal,
    onRemoved: options.onRemoved ?? (() => {}),
    onSnapshot: options.onSnapshot,
  });
  fail = (error) => shell.fail(error);
  try {
    await shell.start();
  } catch (error) {
    shell.kill();
    await writer.close();
    throw error;
  }
  return shell;
}
