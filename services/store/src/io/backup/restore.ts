import fs from 'node:fs';
import path from 'node:path';
import { decodeMessage, encodeMessage, etcdserverpb, mvccpb, Reader } from '@pilothouse/proto';
import type { LogIndex, Term } from '@pilothouse/raft';
import { nodeClock, nodeDisk } from '@pilothouse/host';
import { hexId } from '../../core/index.ts';
import type { Backend } from '../../core/backend.ts';
import { Membership } from '../../core/replica/membership.ts';
import type { MemberInfo } from '../../core/replication.ts';
import { LmdbBackend } from '../backend/lmdb-backend.ts';
import { writeIdentity } from '../bootstrap.ts';
import { clusterIdOf, memberIdOf } from '../rpc/cluster-service.ts';
import { createWal, defaultWalOptions, encodeBatch, WalWriter } from '../wal/wal.ts';
import { BackupError, BboltReader } from './bbolt-reader.ts';
import { openSnapshot } from './snapshot-file.ts';
import type { OnProgress } from './snapshot-file.ts';

export interface RestoreStoreOptions {
  /** A backup file, or a data directory of etcd's (one that `etcdutl snapshot restore` made, too). */
  readonly source: string;
  /** Of the new member; must not hold one. */
  readonly dataDir: string;
  readonly name: string;
  /** Peer URLs by member name: all members of the new cluster, each to be restored from the same source. */
  readonly initialCluster: ReadonlyMap<string, readonly string[]>;
  readonly initialClusterToken: string;
  /** How far the revision moves beyond the backup's, so that nothing that clients have seen since is ever given out again. At least 1. */
  readonly bumpRevision: number;
  readonly skipHashCheck: boolean;
  readonly onProgress?: OnProgress;
}

export interface RestoredStore {
  /** The store's revision after the restore; everything before it counts as compacted. */
  readonly revision: number;
  /** The backup's own. */
  readonly backupRevision: number;
  readonly keys: number;
  readonly memberId: string;
  readonly clusterId: string;
}

/** About what one transaction of the backend takes, bytes. */
const batchBytes = 8 * 1024 * 1024;
const term = 1 as Term;

/**
 * Makes the data directory of one member of a new cluster from a backup. The revision always moves forward and the history before it
 * counts as compacted, so that watchers and informers of the old cluster are told to list again. The directory appears whole or not at all.
 * Takes bounded memory. Throws {@link BackupError}.
 */
export async function restoreStore(options: RestoreStoreOptions): Promise<RestoredStore> {
  const { source, dataDir, name, initialCluster, initialClusterToken: token } = options;
  const own = initialCluster.get(name);
  if (own === undefined)
    throw new BackupError('refused', `--initial-cluster does not name "${name}". Add ${name}=<peer url>`);
  if (!Number.isSafeInteger(options.bumpRevision) || options.bumpRevision < 1)
    throw new BackupError('refused', `--bump-revision must be at least 1, got ${options.bumpRevision}`);
  const target = path.join(dataDir, 'member');
  if (fs.existsSync(target))
    throw new BackupError(
      'refused',
      `"${dataDir}" already holds a member. Choose another directory, or move it away`,
    );
  const members = [...initialCluster]
    .map(([each, peerUrls]): MemberInfo => ({
      id: memberIdOf(peerUrls, token),
      name: each,
      peerUrls,
      clientUrls: [],
      isLearner: false,
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const memberId = memberIdOf(own, token);
  const clusterId = clusterIdOf(members.map(({ id }) => id));
  const file = await openSnapshot(source, options);
  const reader = new BboltReader(file);
  const temporary = path.join(dataDir, 'member.restoring');
  fs.rmSync(temporary, { recursive: true, force: true });
  fs.mkdirSync(temporary, { recursive: true, mode: 0o700 });
  try {
    const backend = new LmdbBackend({ directory: path.join(temporary, 'state'), clock: nodeClock });
    let counts: { revision: number; keys: number };
    const index = members.length as LogIndex;
    try {
      counts = await fillBackend(reader, backend, options);
      writeRecords(reader, backend, members);
      const revision = counts.revision + options.bumpRevision;
      backend.writeRecord('meta/revision', numberBytes(revision));
      backend.writeRecord('meta/compact-revision', numberBytes(revision));
      backend.writeRecord('meta/applied', numberBytes(index, term));
      await backend.flush();
    } finally {
      await backend.close();
    }
    writeLog(path.join(temporary, 'wal'), { memberId, clusterId, members, index });
    const identity = { memberId, clusterId, members, isNewCluster: true };
    writeIdentity(path.join(temporary, 'identity.json'), identity, token);
    nodeDisk.syncDirectory(temporary);
    fs.renameSync(temporary, target);
    nodeDisk.syncDirectory(dataDir);
    return {
      revision: counts.revision + options.bumpRevision,
      backupRevision: counts.revision,
      keys: counts.keys,
      memberId: hexId(memberId),
      clusterId: hexId(clusterId),
    };
  } catch (error) {
    fs.rmSync(temporary, { recursive: true, force: true });
    throw error;
  } finally {
    reader.close();
  }
}

/** Copies the history; returns its last revision and how many revisions it has. */
async function fillBackend(
  reader: BboltReader,
  backend: Backend,
  { source, onProgress }: RestoreStoreOptions,
): Promise<{ revision: number; keys: number }> {
  const names = reader.names();
  if (!names.includes('key') || !names.includes('meta'))
    throw new BackupError(
      'unreadable',
      `"${source}" is no etcd database: it has the buckets ${names.join(', ') || 'none'}`,
    );
  let revision = 1;
  let keys = 0;
  let pending = 0;
  let done = 0;
  const total = fs.statSync(source).size;
  for (const [key, value] of reader.entries('key')) {
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
    if (key.length !== 17 && key.length !== 18)
      throw new BackupError(
        'damaged',
        `"${source}" is damaged: a revision has a key of ${key.length} bytes. Use another backup`,
      );
    const main = view.getUint32(0) * 2 ** 32 + view.getUint32(4);
    const sub = view.getUint32(13);
    const isTombstone = key.length === 18;
    // A bumped restore of etcd's marks its revision with an entry that has no key.
    const stored = isTombstone ? decodeMessage(mvccpb.KeyValue, value) : undefined;
    if (value.length > 0 && (stored === undefined || stored.key.length > 0)) {
      const bytes = stored
        ? encodeMessage(mvccpb.KeyValue, { key: stored.key, modRevision: main })
        : value.slice();
      if (!stored && decodeMessage(mvccpb.KeyValue, value).modRevision !== main)
        throw new BackupError(
          'damaged',
          `"${source}" is damaged: revision ${main} holds another one. Use another backup`,
        );
      backend.writeRevision(main, sub, bytes);
      keys++;
    }
    revision = main;
    pending += value.length + 64;
    done += value.length + 64;
    if (pending < batchBytes) continue;
    pending = 0;
    await backend.flush();
    onProgress?.(Math.min(done, total), total);
  }
  await backend.flush();
  onProgress?.(total, total);
  return { revision, keys };
}

/** Everything but the history. Alarms, the old members and the old version stay behind. */
function writeRecords(reader: BboltReader, backend: Backend, members: readonly MemberInfo[]): void {
  for (const [key, value] of reader.entries('lease')) {
    const { ID, TTL, remainingTTL } = readLease(value);
    const id = Buffer.from(key).toString('hex');
    backend.writeRecord(`lease/${id}`, encodeMessage(etcdserverpb.LeaseGrantRequest, { ID, TTL }));
    if (remainingTTL > 0) {
      const checkpoint = encodeMessage(etcdserverpb.LeaseCheckpoint, { ID, remainingTTL });
      backend.writeRecord(`checkpoint/${id}`, checkpoint);
    }
  }
  for (const [key, value] of reader.entries('auth'))
    backend.writeRecord(`auth/meta/${Buffer.from(key).toString()}`, value.slice());
  for (const [bucket, kind] of [
    ['authUsers', 'user'],
    ['authRoles', 'role'],
  ] as const) {
    for (const [key, value] of reader.entries(bucket))
      backend.writeRecord(`auth/${kind}/${Buffer.from(key).toString('hex')}`, value.slice());
  }
  for (const { id, name, peerUrls } of members) {
    const bytes = encodeMessage(etcdserverpb.Member, { ID: id, name, peerURLs: peerUrls });
    backend.writeRecord(`member/${hexId(id)}`, bytes);
  }
}

/** A log that begins after the restored state: whoever joins later gets the state, not the entries before it. */
function writeLog(
  directory: string,
  {
    memberId,
    clusterId,
    members,
    index,
  }: { memberId: bigint; clusterId: bigint; members: readonly MemberInfo[]; index: LogIndex },
): void {
  const position = createWal(nodeDisk, directory, { clusterId, memberId });
  const writer = new WalWriter(nodeDisk, directory, position, defaultWalOptions);
  try {
    const voters = members.map(({ id }) => id);
    const config = { voters, outgoing: [], learners: [], learnersNext: [], autoLeave: false };
    const snapshot = { index, term, config, members: new Membership(members).encode() };
    writer.append(
      encodeBatch({ snapshot, entries: [], hardState: { term, vote: undefined, commit: index } }),
    );
    writer.sync();
  } finally {
    writer.close();
  }
}

/** etcd's stored form of a lease: ID = 1, TTL = 2, remaining TTL = 3. */
function readLease(bytes: Uint8Array): { ID: bigint; TTL: number; remainingTTL: number } {
  const reader = new Reader(bytes);
  const end = bytes.length;
  const lease = { ID: 0n, TTL: 0, remainingTTL: 0 };
  while (reader.position < end) {
    const tag = reader.uint32();
    if (tag === 8) lease.ID = reader.bigint64();
    else if (tag === 16) lease.TTL = reader.int64();
    else if (tag === 24) lease.remainingTTL = reader.int64();
    else reader.skip(tag & 7);
  }
  return lease;
}

function numberBytes(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(8 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, at) => view.setFloat64(8 * at, value));
  return bytes;
}
