import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { silentLogger } from '@pilothouse/base';
import { createAuthority, issueCertificate } from '@pilothouse/host';
import { etcdserverpb } from '@pilothouse/proto';
import { parseConfig, type StoreConfig } from './config.ts';
import { StartupError } from './io/bootstrap.ts';
import { ConformanceClient } from './io/rpc/conformance.ts';
import { startStore, type StoreServer } from './server.ts';

const { KVService, WatchService, LeaseService, ClusterService, MaintenanceService } = etcdserverpb;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-store-'));
const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();
const file = (name: string): string => path.join(directory, name);

function config(...flags: string[]): StoreConfig {
  const parsed = parseConfig(flags, {});
  assert.ok(parsed.kind === 'config');
  return parsed.config;
}

/** Ports that were free a moment ago; other members must know them before they are taken. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<net.Server>((resolve) => {
          const server = net.createServer().listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

const members: (StoreServer | undefined)[] = [];
const statusOf = (index: number): ReturnType<StoreServer['status']> | undefined => members[index]?.status();
const configs: StoreConfig[] = [];
const clients: ConformanceClient[] = [];

async function startMember(index: number): Promise<void> {
  const server = await startStore(configs[index] as StoreConfig, { logger: silentLogger });
  members[index] = server;
  await server.ready;
}

before(async () => {
  const now = Date.now();
  const authority = await createAuthority('test-ca', now - 60_000, now + 3_600_000);
  const issued = await issueCertificate(authority, {
    commonName: 'member',
    hosts: ['localhost', '127.0.0.1'],
    usage: 'peer',
    notBefore: now - 60_000,
    notAfter: now + 3_600_000,
  });
  fs.writeFileSync(file('ca.crt'), authority.certPem);
  fs.writeFileSync(file('peer.crt'), issued.certPem);
  fs.writeFileSync(file('peer.key'), issued.keyPem);
  const ports = await freePorts(6);
  const cluster = [0, 1, 2].map((index) => `m${index}=https://127.0.0.1:${ports[index * 2 + 1]}`).join(',');
  for (const index of [0, 1, 2]) {
    const client = `https://127.0.0.1:${ports[index * 2]}`;
    const peer = `https://127.0.0.1:${ports[index * 2 + 1]}`;
    const tls = ['', 'peer-'].flatMap((prefix) => [
      `--${prefix}cert-file=${file('peer.crt')}`,
      `--${prefix}key-file=${file('peer.key')}`,
      `--${prefix}trusted-ca-file=${file('ca.crt')}`,
      `--${prefix}client-cert-auth`,
    ]);
    configs.push(
      config(
        `--name=m${index}`,
        `--data-dir=${file(`m${index}`)}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=${cluster}`,
        '--heartbeat-interval=30',
        '--election-timeout=300',
        ...tls,
      ),
    );
    clients.push(
      new ConformanceClient(
        `127.0.0.1:${ports[index * 2]}`,
        grpc.credentials.createSsl(
          fs.readFileSync(file('ca.crt')),
          fs.readFileSync(file('peer.key')),
          fs.readFileSync(file('peer.crt')),
        ),
      ),
    );
  }
  await Promise.all([0, 1, 2].map(startMember));
});

after(async () => {
  for (const client of clients) client.close();
  await Promise.all(members.map((member) => member?.close()));
  fs.rmSync(directory, { recursive: true, force: true });
});

const client = (index: number): ConformanceClient => clients[index] as ConformanceClient;

test('three members over TLS: what one accepts all give back, also leases and members', async () => {
  await client(0).ok(KVService.Put, { key: bytes('a'), value: bytes('1') });
  for (const index of [0, 1, 2]) {
    const { kvs } = await client(index).ok(KVService.Range, { key: bytes('a') });
    assert.equal(text(kvs[0]?.value), '1', `member ${index}`);
  }
  const { ID } = await client(1).ok(LeaseService.LeaseGrant, { TTL: 60 });
  for (const index of [0, 1, 2]) {
    const { TTL, grantedTTL } = await client(index).ok(LeaseService.LeaseTimeToLive, { ID });
    assert.ok(TTL > 55 && grantedTTL === 60, `member ${index} knows the remaining time`);
    const stream = client(index).bidi(LeaseService.LeaseKeepAlive);
    stream.send({ ID });
    assert.equal((await stream.next()).TTL, 60);
    stream.close();
  }
  const list = await client(2).ok(ClusterService.MemberList, { linearizable: true });
  assert.deepEqual(list.members.map(({ name }) => name).sort(), ['m0', 'm1', 'm2']);
});

test('a leader that stops hands over; watches elsewhere miss nothing; the member catches up when it returns', async () => {
  const leader = members.findIndex((member) => member?.status().role === 'leader');
  const other = (leader + 1) % 3;
  const watch = client(other).bidi(WatchService.Watch);
  watch.send({ createRequest: { key: bytes('w/'), rangeEnd: bytes('w0') } });
  await watch.next();
  await client(leader).ok(KVService.Put, { key: bytes('w/0') });
  let started = performance.now();
  for (let index = 0; index < 20; index++) await client(leader).ok(KVService.Put, { key: bytes('pace') });
  const putMs = (performance.now() - started) / 20;
  started = performance.now();
  await members[leader]?.close();
  members[leader] = undefined;
  await client(other).ok(KVService.Put, { key: bytes('w/1') });
  const gapMs = performance.now() - started;
  assert.ok(gapMs < 1500 + 100 * putMs, `writes go on after ${gapMs} ms, where a put takes ${putMs} ms`);
  for (let index = 2; index < 30; index++)
    await client(other).ok(KVService.Put, { key: bytes(`w/${index}`) });
  const seen: string[] = [];
  while (seen.length < 30) for (const event of (await watch.next()).events) seen.push(text(event.kv?.key));
  assert.deepEqual(
    seen,
    Array.from({ length: 30 }, (_, index) => `w/${index}`),
  );
  watch.close();
  await startMember(leader);
  const { header } = await client(leader).ok(KVService.Range, { key: bytes('w/29') });
  const revision = header?.revision ?? 0;
  const hashes = await Promise.all(
    [0, 1, 2].map((index) => client(index).ok(MaintenanceService.HashKV, { revision })),
  );
  assert.equal(new Set(hashes.map(({ hash }) => hash)).size, 1, 'all members hold the same');
});

/** The member that was removed and joined under a new ID. */
let replaced = 0;

test('a removed member comes back only as a new one, through initial-cluster-state=existing', async () => {
  const leader = members.findIndex((member) => member?.status().role === 'leader');
  const victim = (leader + 2) % 3;
  replaced = victim;
  const victimId = statusOf(victim)?.id as bigint;
  const victimConfig = configs[victim] as StoreConfig;
  // The connections must have held for five election timeouts.
  for (let tries = 0; tries < 50; tries++) {
    const outcome = await client(leader).try(ClusterService.MemberRemove, { ID: victimId });
    if ('ok' in outcome) break;
    assert.equal(outcome.details, 'etcdserver: unhealthy cluster');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await members[victim]?.close();
  members[victim] = undefined;
  fs.rmSync(victimConfig.dataDir, { recursive: true });
  const { member } = await client(leader).ok(ClusterService.MemberAdd, {
    peerURLs: victimConfig.initialAdvertisePeerUrls,
  });
  assert.notEqual(member?.ID, victimId);
  configs[victim] = { ...victimConfig, initialClusterState: 'existing' };
  await startMember(victim);
  assert.equal(statusOf(victim)?.id, member?.ID);
  const { kvs } = await client(victim).ok(KVService.Range, { key: bytes('a') });
  assert.equal(text(kvs[0]?.value), '1');
});

test('startup failures name the file, port or flag and the remedy', async () => {
  const first = configs[(replaced + 1) % 3] as StoreConfig;
  // It ran, and now it has no data: it must not come back as who it was.
  await assert.rejects(
    startStore({ ...first, dataDir: file('forgotten') }, { logger: silentLogger }),
    (error: Error) =>
      error instanceof StartupError &&
      /has already been bootstrapped/.test(error.message) &&
      error.message.includes(file('forgotten')),
  );
  // Alone, so that nobody can say so.
  const taken: StoreConfig = {
    ...first,
    initialCluster: new Map([[first.name, first.initialAdvertisePeerUrls]]),
  };
  await assert.rejects(
    startStore({ ...taken, dataDir: file('elsewhere') }, { logger: silentLogger }),
    (error: Error) =>
      error instanceof StartupError && /address already in use.*--listen-client-urls/.test(error.message),
  );
  fs.writeFileSync(file('plain'), '');
  await assert.rejects(
    startStore({ ...taken, dataDir: file('plain/data') }, { logger: silentLogger }),
    (error: Error) =>
      error instanceof StartupError &&
      error.message.includes(file('plain/data')) &&
      error.message.includes('--data-dir'),
  );
  for (const initialClusterState of ['new', 'existing'] as const) {
    await assert.rejects(
      startStore(
        { ...taken, dataDir: file(`unnamed-${initialClusterState}`), name: 'nobody', initialClusterState },
        { logger: silentLogger },
      ),
      /Couldn't find local name "nobody" in the initial cluster configuration/,
    );
  }
});
