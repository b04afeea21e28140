import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '@pilothouse/base';
import type { MemberId, MemberInfo } from '../../core/replication.ts';
import { KvMachine, encodeCommand } from '../../simulation/kv-machine.ts';
import type { LogWriter } from '../wal/log-writer.ts';
import { ThreadLogWriter } from '../wal/thread-log-writer.ts';
import type { WalPosition } from '../wal/wal.ts';
import { createReplica } from './index.ts';
import type { CreateReplicaOptions } from './options.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'replica-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Running {
  readonly id: MemberId;
  readonly machine: KvMachine;
  readonly replica: Awaited<ReturnType<typeof createReplica>>;
}

interface Cluster {
  readonly members: MemberInfo[];
  start(id: MemberId, overrides?: Partial<CreateReplicaOptions>): Promise<Running>;
}

async function cluster(name: string, size: number): Promise<Cluster> {
  const members: MemberInfo[] = [];
  for (let n = 1; n <= size; n++) {
    members.push({
      id: BigInt(n) as MemberId,
      name: `m${n}`,
      peerUrls: [`http://127.0.0.1:${await freePort()}`],
      clientUrls: [],
      isLearner: false,
    });
  }
  return {
    members,
    async start(id, overrides = {}) {
      const machine = new KvMachine();
      const own = members.find((member) => member.id === id);
      const replica = await createReplica({
        memberId: id,
        clusterId: 77n,
        initialMembers: members,
        isNewCluster: true,
        dataDirectory: path.join(root, name, String(id)),
        stateMachine: machine,
        listen: [{ host: '127.0.0.1', port: Number(new URL(own?.peerUrls[0] ?? '').port) }],
        heartbeatMs: 50,
        electionMs: 500,
        walSegmentBytes: 1024 * 1024,
        logger: silentLogger,
        onFatal: (error) => {
          throw error;
        },
        ...overrides,
      });
      return { id, machine, replica };
    },
  };
}

async function until(condition: () => boolean, what: string, limitMs = 20_000): Promise<void> {
  const start = Date.now();
  while (!condition()) {
    if (Date.now() - start > limitMs) throw new Error(`Waited in vain for ${what}`);
    await sleep(5);
  }
}

const put = (key: string, value: string): Uint8Array => encodeCommand({ op: 'put', key, value });

test('three members over TCP elect, replicate, survive the death of the leader and take it back', async () => {
  const { start } = await cluster('three', 3);
  const running = new Map<MemberId, Running>();
  for (const id of [1n, 2n, 3n] as MemberId[]) running.set(id, await start(id));
  await until(
    () => [...running.values()].every(({ replica }) => replica.status().leader !== undefined),
    'a leader',
  );
  await Promise.all([...running.values()].map(({ id, replica }) => replica.propose(put(`from-${id}`, 'x'))));
  const leader = running.get([...running.values()][0]?.replica.status().leader as MemberId) as Running;
  const others = [...running.values()].filter(({ id }) => id !== leader.id);
  await Promise.all(others.map(({ replica }) => replica.readBarrier()));
  for (const { machine } of others) assert.equal(machine.values.size, 3);

  const paceFrom = performance.now();
  for (let at = 0; at < 20; at++) await leader.replica.propose(put('pace', String(at)));
  const putMs = (performance.now() - paceFrom) / 20;
  leader.replica.kill();
  const killedAt = performance.now();
  await (others[0] as Running).replica.propose(put('after', 'y'));
  const gapMs = performance.now() - killedAt;
  console.log(`write gap ${Math.round(gapMs)} ms`);
  assert.ok(
    gapMs < 1500 + 100 * putMs,
    `a write goes through soon after the leader died, took ${gapMs} ms, where a put takes ${putMs} ms`,
  );
  await sleep(50);
  const back = await start(leader.id);
  running.set(leader.id, back);
  await until(() => back.machine.values.get('after')?.value === 'y', 'the restarted member to catch up');
  assert.equal(back.machine.values.size, 5);
  for (const { replica } of running.values()) await replica.stop();
});

test('a member without the log gets a snapshot, then the log', async () => {
  const { start } = await cluster('snapshot', 3);
  const small = { snapshotCount: 50, snapshotCatchUpEntries: 10 };
  const first = await start(1n as MemberId, small);
  const second = await start(2n as MemberId, small);
  await until(() => first.replica.status().leader !== undefined, 'a leader');
  for (let n = 0; n < 40; n++) {
    await Promise.all(
      Array.from({ length: 10 }, (_, k) => first.replica.propose(put(`k${n}-${k}`, 'v'.repeat(2000)))),
    );
  }
  const third = await start(3n as MemberId, small);
  await until(() => third.machine.values.size === 400, 'the snapshot to be installed');
  await third.replica.propose(put('after', 'z'));
  assert.equal(third.machine.values.size, 401);
  for (const { replica } of [third, first, second]) await replica.stop();
  const again = await Promise.all(([1n, 2n, 3n] as MemberId[]).map((id) => start(id, small)));
  await until(() => again.every(({ machine }) => machine.values.size === 401), 'everything to be read back');
  for (const { replica } of again) replica.kill();
});

test('members are added as learners, promoted and removed', async () => {
  const { start, members } = await cluster('members', 2);
  const only = members.slice(0, 1);
  const first = await start(1n as MemberId, { initialMembers: only });
  await until(() => first.replica.status().role === 'leader', 'a leader');
  const added = { ...(members[1] as MemberInfo), isLearner: true };
  await first.replica.changeMembership({ kind: 'add', member: added });
  let isRemoved = false;
  const second = await start(2n as MemberId, { isNewCluster: false, onRemoved: () => (isRemoved = true) });
  await until(() => second.machine.membershipChanges === 2, 'the learner to follow');
  assert.equal(second.replica.status().role, 'learner');
  await first.replica.changeMembership({ kind: 'promote', id: added.id });
  await second.replica.propose(put('a', 'b'));
  await first.replica.transferLeadership(added.id);
  await until(() => second.replica.status().role === 'leader', 'the transfer');
  await first.replica.changeMembership({ kind: 'remove', id: added.id });
  await until(() => isRemoved, 'the removed member to stop');
  await first.replica.propose(put('c', 'd'));
  await assert.rejects(first.replica.changeMembership({ kind: 'remove', id: 1n as MemberId }), {
    code: 'invalidMembershipChange',
  });
  await first.replica.stop();
});

/** Writers whose syncs can be made to take long; keyed by member. */
function slowDisks(name: string): {
  readonly delayMs: Map<MemberId, number>;
  overrides(id: MemberId): Pick<CreateReplicaOptions, 'openLogWriter'>;
} {
  const delayMs = new Map<MemberId, number>();
  return {
    delayMs,
    overrides: (id) => ({
      openLogWriter(position: WalPosition, onError: (error: unknown) => void): LogWriter {
        const writer = new ThreadLogWriter({
          directory: path.join(root, name, String(id), 'wal'),
          position,
          wal: { segmentBytes: 1024 * 1024 },
          onError,
        });
        return {
          append: (records, mustSync, done) =>
            writer.append(records, mustSync, () => {
              const wait = delayMs.get(id) ?? 0;
              if (wait === 0) done();
              else setTimeout(done, wait);
            }),
          release: (index) => writer.release(index),
          close: () => writer.close(),
          abandon: () => writer.abandon(),
        };
      },
    }),
  };
}

test('a leader whose disk hangs hands over, and writes go on', async () => {
  const { start } = await cluster('slow-leader', 3);
  const disks = slowDisks('slow-leader');
  const running = new Map<MemberId, Running>();
  for (const id of [1n, 2n, 3n] as MemberId[]) running.set(id, await start(id, disks.overrides(id)));
  const all = [...running.values()];
  await until(() => all.every(({ replica }) => replica.status().leader !== undefined), 'a leader');
  const leader = running.get(all[0]?.replica.status().leader as MemberId) as Running;
  const other = all.find(({ id }) => id !== leader.id) as Running;
  await other.replica.propose(put('before', 'x'));
  disks.delayMs.set(leader.id, 20_000);
  const began = performance.now();
  void leader.replica.propose(put('hangs', 'x')).catch(() => {});
  await until(() => other.replica.status().leader !== leader.id, 'another leader', 12_000);
  await other.replica.propose(put('after', 'y'));
  // How soon is told in virtual time (simulation/timing.test.ts).
  assert.ok(performance.now() - began < 20_000, 'Writes go on before the disk answers');
  for (const { replica } of all) replica.kill();
});

test('while every disk hangs the leader stays: heartbeats do not wait for a disk', async () => {
  const { start } = await cluster('slow-all', 3);
  const disks = slowDisks('slow-all');
  const all = await Promise.all(([1n, 2n, 3n] as MemberId[]).map((id) => start(id, disks.overrides(id))));
  await until(() => all.every(({ replica }) => replica.status().leader !== undefined), 'a leader');
  const { leader, term } = (all[0] as Running).replica.status();
  for (const { id } of all) disks.delayMs.set(id, 2500);
  const writes = all.map(({ replica }, index) => replica.propose(put(`k${index}`, 'x')));
  await sleep(2000);
  for (const { replica } of all) {
    assert.equal(replica.status().term, term);
    assert.equal(replica.status().leader, leader);
  }
  await Promise.all(writes);
  for (const { replica } of all) replica.kill();
});

test('a data directory of another member or cluster is refused by name', async () => {
  const { start } = await cluster('foreign', 1);
  const first = await start(1n as MemberId);
  await until(() => first.replica.status().role === 'leader', 'a leader');
  await first.replica.stop();
  await assert.rejects(
    start(1n as MemberId, { clusterId: 78n }),
    /foreign\/1\/wal belongs to cluster 4d, this is cluster 4e/,
  );
});
