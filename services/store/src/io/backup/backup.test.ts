import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '@pilothouse/base';
import { etcdserverpb } from '@pilothouse/proto';
import { parseConfig } from '../../config.ts';
import { startStore, type StoreServer } from '../../server.ts';
import { ConformanceClient } from '../rpc/conformance.ts';
import { BackupError, BboltReader } from './bbolt-reader.ts';
import { BboltWriter } from './bbolt-writer.ts';
import { restoreStore, type RestoredStore } from './restore.ts';

const { KVService, LeaseService, MaintenanceService, WatchService, AuthService, ClusterService } =
  etcdserverpb;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-backup-'));
const file = (name: string): string => path.join(directory, name);
const bytes = (value: string): Uint8Array => Buffer.from(value);
const everything = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };
const running: { server: StoreServer; client: ConformanceClient }[] = [];
after(async () => {
  for (const { server, client } of running) {
    client.close();
    await server.close();
  }
  fs.rmSync(directory, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function start(
  name: string,
  peerPort?: number,
  others = '',
): Promise<{ server: StoreServer; client: ConformanceClient }> {
  const port = await freePort();
  const peer = `http://127.0.0.1:${peerPort ?? (await freePort())}`;
  const parsed = parseConfig(
    [
      `--name=${name}`,
      `--data-dir=${file(name)}`,
      `--listen-client-urls=http://127.0.0.1:${port}`,
      `--advertise-client-urls=http://127.0.0.1:${port}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${name}=${peer}${others}`,
      `--initial-cluster-state=${others === '' ? 'new' : 'existing'}`,
      '--heartbeat-interval=20',
      '--election-timeout=200',
    ],
    {},
  );
  assert.ok(parsed.kind === 'config');
  const server = await startStore(parsed.config, { logger: silentLogger });
  const client = new ConformanceClient(`127.0.0.1:${port}`);
  const both = { server, client };
  running.push(both);
  await server.ready;
  return both;
}

async function snapshot(client: ConformanceClient, target: string): Promise<void> {
  const blobs: Uint8Array[] = [];
  for (const { blob } of await client.serverStream(MaintenanceService.Snapshot, {})) blobs.push(blob.slice());
  fs.writeFileSync(target, Buffer.concat(blobs));
}

async function restoreTo(
  name: string,
  source: string,
  peerPort: number,
  skipHashCheck = false,
): Promise<RestoredStore> {
  return restoreStore({
    source,
    dataDir: file(name),
    name,
    initialCluster: new Map([[name, [`http://127.0.0.1:${peerPort}`]]]),
    initialClusterToken: 'etcd-cluster',
    bumpRevision: 1000,
    skipHashCheck,
  });
}

const refusal = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof BackupError, String(error));
    return error.message;
  }
  assert.fail('It was not refused');
};

let beforeRevision = 0;

test('a backup restores to a new cluster at a later revision, and watchers of the old one are told', async () => {
  const { client } = await start('old');
  for (let turn = 0; turn < 300; turn++)
    await client.ok(KVService.Put, { key: bytes(`key-${turn % 100}`), value: Buffer.alloc(2000, turn) });
  await client.ok(LeaseService.LeaseGrant, { ID: 77n, TTL: 600 });
  await client.ok(KVService.Put, { key: bytes('leased'), value: bytes('x'), lease: 77n });
  await client.ok(KVService.DeleteRange, { key: bytes('key-5') });
  await client.ok(AuthService.RoleAdd, { name: 'reader' });
  await client.ok(AuthService.UserAdd, { name: 'joe', password: 'secret' });
  await client.ok(AuthService.UserGrantRole, { user: 'joe', role: 'reader' });
  const before = await client.ok(KVService.Range, everything);
  beforeRevision = before.header?.revision ?? 0;
  await snapshot(client, file('backup'));
  const tail = fs.readFileSync(file('backup')).subarray(-32);
  const body = fs.readFileSync(file('backup')).subarray(0, -32);
  assert.deepEqual(tail, createHash('sha256').update(body).digest());
  assert.deepEqual(
    fs.readdirSync(file('old/member')).filter((name) => name.startsWith('backup-')),
    [],
  );

  const peerPort = await freePort();
  const restored = await restoreTo('new', file('backup'), peerPort);
  assert.equal(restored.backupRevision, beforeRevision);
  assert.equal(restored.revision, beforeRevision + 1000);
  const { client: other } = await start('new', peerPort);
  const now = await other.ok(KVService.Range, everything);
  assert.ok((now.header?.revision ?? 0) >= beforeRevision + 1000);
  assert.deepEqual(now.kvs, before.kvs);
  assert.equal(now.count, before.count);
  const lease = await other.ok(LeaseService.LeaseTimeToLive, { ID: 77n, keys: true });
  assert.deepEqual(
    [lease.grantedTTL, lease.keys.map((key) => Buffer.from(key).toString())],
    [600, ['leased']],
  );
  const user = await other.ok(AuthService.UserGet, { name: 'joe' });
  assert.deepEqual(user.roles, ['reader']);
  const { members } = await other.ok(ClusterService.MemberList, { linearizable: true });
  assert.deepEqual(
    members.map(({ name }) => name),
    ['new'],
  );

  // A watcher of the old cluster resumes, and is told that what it wants is gone.
  const watch = other.bidi(WatchService.Watch);
  watch.send({ createRequest: { ...everything, startRevision: beforeRevision + 1 } });
  await watch.next();
  const ended = await watch.next();
  assert.equal(ended?.canceled, true);
  assert.equal(ended?.compactRevision, restored.revision);
  watch.close();
});

test('a backup of a restored store keeps its revision, also when nothing was written since', async () => {
  const entry = running[1];
  assert.ok(entry);
  await snapshot(entry.client, file('second'));
  const reader = new BboltReader(file('second'));
  const revisions = [...reader.entries('key')].map(([key]) => Buffer.from(key).readUIntBE(2, 6));
  reader.close();
  assert.equal(revisions.at(-1), beforeRevision + 1000);
  const again = await restoreTo('third', file('second'), await freePort());
  assert.equal(again.backupRevision, beforeRevision + 1000);
});

test('a member that joins a restored cluster gets what the backup held, not only what came after it', async () => {
  const [, restored] = running;
  assert.ok(restored);
  const peerPort = await freePort();
  const own = restored.server.status();
  const { members } = await restored.client.ok(ClusterService.MemberList, { linearizable: true });
  const first = members.find(({ ID }) => ID === own.id)?.peerURLs[0] ?? '';
  await restored.client.ok(ClusterService.MemberAdd, {
    peerURLs: [`http://127.0.0.1:${peerPort}`],
    isLearner: true,
  });
  const { client } = await start('joiner', peerPort, `,new=${first}`);
  const wanted = await restored.client.ok(KVService.Range, everything);
  assert.ok(wanted.count > 90);
  for (let attempt = 0; ; attempt++) {
    const found = await client.ok(KVService.Range, { ...everything, serializable: true });
    if (found.count === wanted.count) {
      assert.deepEqual(found.kvs, wanted.kvs);
      return;
    }
    assert.ok(attempt < 100, `${found.count} of ${wanted.count} keys arrived`);
    await sleep(100);
  }
});

test('damaged, cut, foreign and missing backups are refused in words', async () => {
  const port = await freePort();
  const good = fs.readFileSync(file('backup'));
  const flipped = Buffer.from(good);
  flipped[50_000] = (flipped[50_000] as number) ^ 1;
  fs.writeFileSync(file('flipped'), flipped);
  fs.writeFileSync(file('cut'), good.subarray(0, good.length - 5000));
  fs.writeFileSync(file('bare'), good.subarray(0, -32));
  fs.writeFileSync(file('noise'), Buffer.alloc(8192, 7));
  assert.match(
    await refusal(restoreTo('r', file('flipped'), port)),
    /is damaged: expected sha256 [0-9a-f]{64}, got/,
  );
  assert.match(await refusal(restoreTo('r', file('cut'), port)), /no checksum at its end/);
  assert.match(await refusal(restoreTo('r', file('noise'), port, true)), /is not a backup/);
  assert.match(await refusal(restoreTo('r', file('absent'), port)), /Cannot read/);
  assert.match(await refusal(restoreTo('r', file('old'), port)), /pilothouse backup/);
  assert.match(await refusal(restoreTo('new', file('backup'), port)), /already holds a member/);
  assert.equal(fs.existsSync(file('r/member')), false, 'Nothing is left behind');
  assert.equal(fs.existsSync(file('r/member.restoring')), false);
  const bare = await restoreTo('bare-member', file('bare'), port, true);
  assert.equal(bare.backupRevision, beforeRevision);
});

test('a cut tree is found even without a checksum', async () => {
  const good = fs.readFileSync(file('backup'));
  fs.writeFileSync(file('cut-tree'), good.subarray(0, 100 * 4096));
  assert.match(await refusal(restoreTo('r', file('cut-tree'), await freePort(), true)), /is damaged/);
});

test('bbolt pages: what the writer writes the reader reads, entries of all sizes', async () => {
  const entries = Array.from({ length: 5000 }, (_, at) => {
    const key = Buffer.alloc(8);
    key.writeUInt32BE(at, 4);
    return [key, Buffer.alloc(at % 97 === 0 ? 20_000 : at % 50, at)] as const;
  });
  const writer = await BboltWriter.open(file('pages'));
  Array.from(writer.bucket('big', entries));
  Array.from(writer.bucket('empty', []));
  await writer.finish(3);
  const reader = new BboltReader(file('pages'));
  assert.deepEqual(reader.names(), ['big', 'empty']);
  assert.deepEqual([...reader.entries('empty')], []);
  const found = [...reader.entries('big')];
  assert.equal(found.length, entries.length);
  for (const [at, [key, value]] of found.entries()) {
    assert.ok(entries[at]?.[0].equals(key) && entries[at]?.[1].equals(value), `entry ${at}`);
  }
  reader.close();
});

const etcdutl = process.env['PILOTHOUSE_ETCDUTL'];

test(
  'a real etcdutl reads our backup, and its restored directory comes back',
  { skip: !etcdutl && 'PILOTHOUSE_ETCDUTL names no program' },
  async () => {
    const status = JSON.parse(
      execFileSync(etcdutl as string, ['snapshot', 'status', file('backup'), '-w', 'json'], {
        encoding: 'utf8',
      }),
    ) as { revision: number; totalKey: number };
    assert.equal(status.revision, beforeRevision);
    const made = spawnSync(etcdutl as string, [
      'snapshot',
      'restore',
      file('backup'),
      '--data-dir',
      file('etcd-dir'),
    ]);
    assert.equal(made.status, 0, made.stderr.toString());
    const peerPort = await freePort();
    const restored = await restoreTo('from-etcd', file('etcd-dir'), peerPort);
    assert.ok(restored.backupRevision >= beforeRevision);
    const { client } = await start('from-etcd', peerPort);
    const [old] = running;
    assert.ok(old);
    const wanted = await old.client.ok(KVService.Range, everything);
    assert.deepEqual((await client.ok(KVService.Range, everything)).kvs, wanted.kvs);
  },
);
