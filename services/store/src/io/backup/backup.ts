import fs from 'node:fs';
import path from 'node:path';
import type { Clock } from '@pilothouse/base';
import { nodeClock, removeLarge } from '@pilothouse/host';
import { decodeMessage, encodeMessage, etcdserverpb, mvccpb, Writer } from '@pilothouse/proto';
import type { BackendImage } from '../../core/backend.ts';
import type { StoreStateMachine } from '../../core/index.ts';
import { revisionKey } from '../../core/mvcc/mvcc-store.ts';
import { versions } from '../rpc/store-service.ts';
import { inTimeSlices } from '../time-slices.ts';
import { BboltWriter } from './bbolt-writer.ts';

const chunkBytes = 1024 * 1024;
let backups = 0;

/** A backup that is ready to be read. */
export interface Backup {
  /** Bytes of all chunks. */
  readonly size: number;
  readonly chunks: Iterable<Uint8Array>;
  /** Removes the file. */
  release(): void;
}

/**
 * The whole state of this moment as a file of etcd's own format, so that etcdutl can check and restore it, and a real etcd can take it
 * over. Written to `directory` first, a piece at a time between other work; the chunks are then read from there. Must be released.
 */
export async function makeBackup(
  machine: StoreStateMachine,
  directory: string,
  clock: Clock = nodeClock,
): Promise<Backup> {
  const file = path.join(directory, `backup-${process.pid}-${++backups}.tmp`);
  const image = machine.snapshotImage();
  const compacted = machine.store.compactRevision;
  const revision = machine.store.currentRevision;
  const { appliedIndex, appliedTerm } = machine;
  let size = 0;
  try {
    const writer = await BboltWriter.open(file);
    try {
      const moment = { machine, compacted, revision, appliedIndex, appliedTerm };
      for (const [name, entries] of buckets(image, moment))
        await inTimeSlices(writer.bucket(name, entries), clock, () => writer.written());
      size = await writer.finish(appliedIndex + 1);
    } catch (error) {
      await writer.abort();
      throw error;
    }
  } catch (error) {
    fs.rmSync(file, { force: true });
    throw error;
  } finally {
    image.release();
  }
  return {
    size,
    chunks: readChunks(file),
    release: () => removeLarge(file),
  };
}

function* readChunks(file: string): Generator<Uint8Array> {
  const descriptor = fs.openSync(file, 'r');
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(chunkBytes);
      const length = fs.readSync(descriptor, chunk, 0, chunkBytes, null);
      if (length === 0) return;
      yield chunk.subarray(0, length);
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

/** What the records of the image do not tell. */
interface Moment {
  readonly machine: StoreStateMachine;
  readonly compacted: number;
  readonly revision: number;
  readonly appliedIndex: number;
  readonly appliedTerm: number;
}

type Entries = Iterable<readonly [Uint8Array, Uint8Array]>;

function buckets(image: BackendImage, moment: Moment): (readonly [string, Entries])[] {
  const { machine, compacted, revision, appliedIndex, appliedTerm } = moment;
  const records = [...image.records()];
  const under = (prefix: string): (readonly [string, Uint8Array])[] =>
    records
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value] as const);
  const remaining = new Map(under('checkpoint/'));
  const sorted = (entries: readonly (readonly [Uint8Array, Uint8Array])[]): Entries =>
    [...entries].sort(([a], [b]) => Buffer.compare(a, b));
  const bytes = (text: string): Uint8Array => Buffer.from(text);
  const compactKey = revisionKey(Math.max(0, compacted), 0, false);
  return [
    ['alarm', sorted(under('alarm/').map(([, value]) => [value, new Uint8Array(0)] as const))],
    ['auth', sorted(under('auth/meta/').map(([key, value]) => [bytes(key), value] as const))],
    [
      'authRoles',
      sorted(under('auth/role/').map(([key, value]) => [Buffer.from(key, 'hex'), value] as const)),
    ],
    [
      'authUsers',
      sorted(under('auth/user/').map(([key, value]) => [Buffer.from(key, 'hex'), value] as const)),
    ],
    ['cluster', sorted([[bytes('clusterVersion'), bytes(machine.clusterVersion ?? versions.cluster)]])],
    ['key', revisions(image, revision)],
    [
      'lease',
      sorted(
        under('lease/').map(
          ([key, value]) => [Buffer.from(key, 'hex'), leaseValue(value, remaining.get(key))] as const,
        ),
      ),
    ],
    [
      'members',
      sorted(
        under('member/').map(([key, value]) => {
          const member = decodeMessage(etcdserverpb.Member, value);
          const { name, peerURLs, clientURLs, isLearner } = member;
          // The ID does not fit into a JavaScript number, so it is put in as text.
          const json = JSON.stringify({ peerURLs, ...(isLearner ? { isLearner } : {}), name, clientURLs });
          return [bytes(key.replace(/^0+/, '')), bytes(`{"id":${member.ID},${json.slice(1)}`)] as const;
        }),
      ),
    ],
    [
      'members_removed',
      sorted(under('removed/').map(([key]) => [bytes(key.replace(/^0+/, '')), bytes('removed')] as const)),
    ],
    [
      'meta',
      sorted([
        [bytes('consistent_index'), bigEndian(appliedIndex)],
        [bytes('term'), bigEndian(appliedTerm)],
        [bytes('storageVersion'), bytes(versions.storage)],
        ...(compacted > 0
          ? ([
              [bytes('finishedCompactRev'), compactKey],
              [bytes('scheduledCompactRev'), compactKey],
            ] as const)
          : []),
      ]),
    ],
  ];
}

function* revisions(image: BackendImage, revision: number): Entries {
  let last = 0;
  for (const { main, sub, bytes } of image.revisions()) {
    const { key, createRevision } = decodeMessage(mvccpb.KeyValue, bytes);
    const isTombstone = createRevision === 0;
    yield [
      revisionKey(main, sub, isTombstone),
      isTombstone ? encodeMessage(mvccpb.KeyValue, { key }) : bytes,
    ];
    last = main;
  }
  // Readers take the newest entry for the store's revision, which may be ahead of it after a compaction or a restore: the tombstone of a
  // key that nobody has says so.
  if (last < revision && revision > 1)
    yield [revisionKey(revision, 0, true), encodeMessage(mvccpb.KeyValue, { key: Uint8Array.of(0) })];
}

/** etcd's stored form of a lease: ID = 1, TTL = 2, remaining TTL = 3. */
function leaseValue(stored: Uint8Array, checkpoint: Uint8Array | undefined): Uint8Array {
  const { ID, TTL } = decodeMessage(etcdserverpb.LeaseGrantRequest, stored);
  const writer = new Writer(32);
  writer.uint32(8);
  writer.bigint64(ID);
  writer.uint32(16);
  writer.int64(TTL);
  if (checkpoint !== undefined) {
    writer.uint32(24);
    writer.int64(decodeMessage(etcdserverpb.LeaseCheckpoint, checkpoint).remainingTTL);
  }
  return writer.finish();
}

function bigEndian(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
