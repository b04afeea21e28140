import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { silentLogger } from '@pilothouse/base';
import { etcdserverpb } from '@pilothouse/proto';
import { parseConfig } from './config.ts';
import { ConformanceClient } from './io/rpc/conformance.ts';
import { startStore, type StoreServer } from './server.ts';

const { KVService, ClusterService } = etcdserverpb;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-membership-'));
const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();
const electionMs = 500;

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Member {
  readonly name: string;
  readonly peer: string;
  readonly client: string;
}

const running = new Map<string, StoreServer>();
const clients = new Map<string, ConformanceClient>();

async function member(name: string): Promise<Member> {
  const [client, peer] = [await freePort(), await freePort()];
  clients.set(name, new ConformanceClient(`127.0.0.1:${client}`));
  return { name, client: `http://127.0.0.1:${client}`, peer: `http://127.0.0.1:${peer}` };
}

async function start(self: Member, all: readonly Member[], ...flags: string[]): Promise<void> {
  const parsed = parseConfig(
    [
      `--name=${self.name}`,
      `--data-dir=${path.join(directory, self.name)}`,
      `--listen-client-urls=${self.client}`,
      `--advertise-client-urls=${self.client}`,
      `--listen-peer-urls=${self.peer}`,
      `--initial-advertise-peer-urls=${self.peer}`,
      `--initial-cluster=${all.map(({ name, peer }) => `${name}=${peer}`).join(',')}`,
      '--heartbeat-interval=50',
      `--election-timeout=${electionMs}`,
      ...flags,
    ],
    {},
  );
  assert.ok(parsed.kind === 'config');
  const server = await startStore(parsed.config, { logger: silentLogger });
  running.set(self.name, server);
  await server.ready;
}

async function stop(self: Member): Promise<void> {
  await running.get(self.name)?.close();
  running.delete(self.name);
}

const client = (self: Member): ConformanceClient => clients.get(self.name) as ConformanceClient;

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(Date.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

after(async () => {
  for (const each of clients.values()) each.close();
  await Promise.all([...running.values()].map((server) => server.close()));
  fs.rmSync(directory, { recursive: true, force: true });
});

test('member changes wait for healthy connections; learners are promoted when in sync; one member can go on alone', async () => {
  const founders = await Promise.all(['a', 'b', 'c'].map(member));
  const [a, b, c] = founders as [Member, Member, Member];
  const auto = '--feature-gates=LearnerAutoPromotion=true';
  await Promise.all(founders.map((self) => start(self, founders, auto)));
  await client(a).ok(KVService.Put, { key: bytes('k'), value: bytes('1') });

  const d = await member('d');
  const request = { peerURLs: [d.peer], isLearner: true };
  // Two of three that are well would be no quorum of four.
  await stop(c);
  await client(a).fails(ClusterService.MemberAdd, request, 14, 'etcdserver: unhealthy cluster');
  await start(c, founders, auto);
  const added = await until('the cluster becomes healthy', async () => {
    const outcome = await client(a).try(ClusterService.MemberAdd, request);
    return 'ok' in outcome ? outcome.ok.member : undefined;
  });
  const id = added?.ID ?? 0n;
  await client(a).fails(
    ClusterService.MemberPromote,
    { ID: id },
    9,
    'etcdserver: can only promote a learner member which is in sync with leader',
  );
  await start(d, [...founders, d], '--initial-cluster-state=existing');
  await until('the learner is promoted by itself', async () => {
    const { members } = await client(a).ok(ClusterService.MemberList, { linearizable: true });
    const found = members.find(({ ID }) => ID === id);
    return found?.name === 'd' && !found.isLearner ? true : undefined;
  });
  await client(a).fails(
    ClusterService.MemberPromote,
    { ID: id },
    9,
    'etcdserver: can only promote a learner member',
  );

  // One of four is gone: removing a healthy one would leave two of three, which is still a quorum; with two gone it would not.
  await stop(d);
  const idOf = async (name: string): Promise<bigint> =>
    (await client(a).ok(ClusterService.MemberList, {})).members.find((each) => each.name === name)?.ID ?? 0n;
  await until('a dead member can be removed at once', async () => {
    const outcome = await client(a).try(ClusterService.MemberRemove, { ID: id });
    return 'ok' in outcome ? true : undefined;
  });
  await stop(c);
  await client(a).fails(
    ClusterService.MemberRemove,
    { ID: await idOf('b') },
    14,
    'etcdserver: unhealthy cluster',
  );

  // The quorum is lost for good.
  await stop(b);
  const outcome = await client(a).try(KVService.Put, { key: bytes('k'), value: bytes('lost') }, {}, 500);
  assert.ok('code' in outcome);
  await stop(a);
  await start(a, founders, '--force-new-cluster');
  const { members } = await client(a).ok(ClusterService.MemberList, { linearizable: true });
  assert.deepEqual(
    members.map(({ name }) => name),
    ['a'],
  );
  const { kvs } = await client(a).ok(KVService.Range, { key: bytes('k') });
  assert.ok(['1', 'lost'].includes(text(kvs[0]?.value)));
  await client(a).ok(KVService.Put, { key: bytes('k'), value: bytes('alone') });
  await stop(a);
  await start(a, founders);
  assert.equal(text((await client(a).ok(KVService.Range, { key: bytes('k') })).kvs[0]?.value), 'alone');
});
