import { test } from 'node:test';
import assert from 'node:assert/strict';
import { silentLogger } from '@pilothouse/base';
import { etcdserverpb } from '@pilothouse/proto';
import type { MessageInput } from '@pilothouse/proto';
import { FakeClock, SeededRandom } from '@pilothouse/testkit';
import { parseConfig } from '../config.ts';
import { StoreStateMachine, type Command } from '../core/index.ts';
import { MemoryBackend } from '../core/memory-backend.ts';
import type { LogIndex, MemberId, ReplicaStatus, Replication, Term } from '../core/replication.ts';
import { Duties } from './duties.ts';
import { simpleTokens } from './rpc/auth-tokens.ts';
import { localLeaderCalls } from './rpc/leader-calls.ts';
import { StoreService } from './rpc/store-service.ts';

const { NOSPACE } = etcdserverpb.AlarmType;
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** One member that agrees with itself at once; its role and its barriers are what the test says. */
class Lone {
  readonly clock = new FakeClock();
  readonly machine = new StoreStateMachine({
    backend: new MemoryBackend(),
    monotonic: () => this.clock.monotonic(),
  });
  readonly service: StoreService;
  readonly duties: Duties;
  role: ReplicaStatus['role'] = 'leader';
  term = 1;
  /** What a read barrier waits for. */
  barrier: () => Promise<void> = () => Promise.resolve();
  #index = 0;

  constructor(flags: readonly string[]) {
    const parsed = parseConfig([...flags], {});
    assert.ok(parsed.kind === 'config');
    const { config } = parsed;
    const replication: Replication = {
      propose: (payload) =>
        Promise.resolve(
          this.machine.apply({ index: ++this.#index as LogIndex, term: this.term as Term, payload }),
        ),
      readBarrier: () => this.barrier(),
      changeMembership: () => Promise.reject(new Error('No')),
      transferLeadership: () => Promise.reject(new Error('No')),
      status: () => ({
        id: 1n as MemberId,
        leader: 1n as MemberId,
        term: this.term as Term,
        role: this.role,
        commitIndex: this.#index as LogIndex,
        appliedIndex: this.#index as LogIndex,
        progress: () => new Map(),
      }),
      onLeaderChange: () => () => {},
      stop: () => Promise.resolve(),
    };
    this.service = new StoreService({
      machine: this.machine,
      replication,
      clusterId: 1n,
      memberId: 1n as MemberId,
      clock: this.clock,
      random: new SeededRandom(1),
      logger: silentLogger,
      ...config,
      clientCertAuth: false,
      connectedSinceMs: () => 0,
      tokens: simpleTokens(this.clock, 300_000),
    });
    this.duties = new Duties(this.service, config);
    this.duties.start();
  }

  do(command: MessageInput<Command>): Promise<unknown> {
    return this.service.propose(command);
  }

  put(key: string, value: Uint8Array = bytes('x')): Promise<unknown> {
    return this.do({ put: { key: bytes(key), value } });
  }

  /** Lets virtual time pass, and what waits for promises run in between. */
  async pass(ms: number): Promise<void> {
    const end = this.clock.monotonic() + ms;
    for (;;) {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      if (!this.clock.step(end)) return;
    }
  }
}

test('over the quota, deletes, compactions and lease work go on, and the alarm goes by itself', async () => {
  const lone = new Lone(['--quota-backend-bytes=100000']);
  const { service, machine } = lone;
  const value = Buffer.alloc(5000);
  let stored = 0;
  const write = async (): Promise<void> => {
    const request = { key: bytes(`k${stored}`), value };
    await service.reserve(service.putCost(request));
    await lone.do({ put: request });
    stored++;
  };
  await lone.do({ leaseGrant: { ID: 9n, TTL: 60 } });
  await assert.rejects(async () => {
    for (;;) await write();
  }, /database space exceeded/);
  assert.ok(machine.hasAlarm(NOSPACE));
  assert.ok(stored > 10);
  await assert.rejects(write, /database space exceeded/);
  await assert.rejects(lone.put('x'), /database space exceeded/);
  await lone.pass(5000);
  assert.ok(machine.hasAlarm(NOSPACE), 'It stays while there is no room');

  for (let at = 0; at < stored / 2; at++) await lone.do({ deleteRange: { key: bytes(`k${at}`) } });
  await lone.do({ leaseRevoke: { ID: 9n } });
  await lone.do({ compaction: { revision: machine.store.currentRevision } });
  await lone.pass(5000);
  assert.equal(machine.hasAlarm(NOSPACE), false);
  await write();
  lone.duties.stop();
});

test('an alarm that was raised by hand in a store with room stays', async () => {
  const lone = new Lone(['--quota-backend-bytes=100000']);
  await lone.do({ alarm: { action: 1, memberID: 1n, alarm: NOSPACE } });
  await lone.pass(5000);
  assert.ok(lone.machine.hasAlarm(NOSPACE));
  lone.duties.stop();
});

test('periodic compaction keeps what is younger than the retention', async () => {
  const lone = new Lone(['--auto-compaction-mode=periodic', '--auto-compaction-retention=1h']);
  for (let minute = 0; minute < 180; minute++) {
    await lone.put('k', bytes(String(minute)));
    await lone.pass(60_000);
  }
  const { currentRevision, compactRevision } = lone.machine.store;
  const kept = currentRevision - compactRevision;
  assert.ok(kept >= 60 && kept <= 75, `${kept} revisions are kept, one was written each minute`);
  lone.duties.stop();
});

test('compaction by revision keeps that many; a follower leaves it to the leader', async () => {
  const lone = new Lone(['--auto-compaction-mode=revision', '--auto-compaction-retention=100']);
  for (let turn = 0; turn < 500; turn++) await lone.put('k', bytes(String(turn)));
  lone.role = 'follower';
  await lone.pass(301_000);
  assert.equal(lone.machine.store.compactRevision, -1);
  lone.role = 'leader';
  await lone.pass(301_000);
  assert.equal(lone.machine.store.compactRevision, lone.machine.store.currentRevision - 100);
  lone.duties.stop();
});

test('a lease is revoked only after a round with the quorum, and only in the term whose leader counted', async () => {
  const lone = new Lone([]);
  await lone.do({ leaseGrant: { ID: 5n, TTL: 2 } });
  let release = (): void => {};
  lone.barrier = () => new Promise((resolve) => (release = resolve));
  await lone.pass(10_000);
  assert.ok(lone.machine.lessor.exists(5n), 'The quorum has not confirmed this leader');
  // Meanwhile another leader was elected, and this member leads again later: time starts anew.
  lone.term = 3;
  release();
  await lone.pass(100);
  assert.ok(lone.machine.lessor.exists(5n));
  lone.barrier = () => Promise.resolve();
  await lone.pass(1000);
  assert.ok(lone.machine.lessor.exists(5n), 'A new leader gives the full TTL');
  await lone.pass(4000);
  assert.equal(lone.machine.lessor.exists(5n), false);
  lone.duties.stop();
});

/** Seconds after which a leader that takes over now ends lease 5. */
async function endsAfter(lone: Lone): Promise<number> {
  lone.term++;
  const from = lone.clock.monotonic();
  while (lone.machine.lessor.exists(5n)) await lone.pass(1000);
  return (lone.clock.monotonic() - from) / 1000;
}

test('with checkpoints a new leader goes on with what is left of a lease', async () => {
  for (const [flag, least, most] of [
    ['--feature-gates=LeaseCheckpoint=true', 1790, 1810],
    ['--feature-gates=LeaseCheckpoint=false', 3595, 3605],
  ] as const) {
    const lone = new Lone([flag]);
    await lone.do({ leaseGrant: { ID: 5n, TTL: 3600 } });
    // A checkpoint every five minutes: the last one after half an hour.
    await lone.pass(1_805_000);
    const seconds = await endsAfter(lone);
    assert.ok(seconds >= least && seconds <= most, `${flag}: ended after ${seconds} s`);
    lone.duties.stop();
  }
});

test('a renewal takes the checkpoint back, also one that is under way', async () => {
  const lone = new Lone(['--feature-gates=LeaseCheckpoint=true']);
  await lone.do({ leaseGrant: { ID: 5n, TTL: 3600 } });
  await lone.pass(1_805_000);
  assert.equal(await localLeaderCalls(lone.service).keepAlive(5n), 3600);
  assert.ok((await endsAfter(lone)) >= 3600);
  lone.duties.stop();

  const { lessor } = lone.machine;
  await lone.do({ leaseGrant: { ID: 6n, TTL: 3600 } });
  assert.equal(lessor.checkpointsToTakeBack(6n), undefined);
  const now = lone.clock.monotonic();
  assert.deepEqual(lessor.dueCheckpoints(now + 400_000, 300_000, 10), [{ id: 6n, remainingSeconds: 3200 }]);
  assert.notEqual(lessor.checkpointsToTakeBack(6n), undefined, 'it may still be applied');
});

test('a checkpoint counts in the term of the leader that counted, and goes with its lease', async () => {
  const lone = new Lone(['--feature-gates=LeaseCheckpoint=true']);
  await lone.do({ leaseGrant: { ID: 5n, TTL: 3600 } });
  const late = { leaseCheckpoint: { checkpoints: [{ ID: 5n, remainingTTL: 7 }] } };
  await lone.service.propose(late, undefined, 9);
  assert.equal(lone.machine.lessor.checkpointsToTakeBack(5n), undefined);
  await lone.service.propose(late, undefined, 1);
  assert.notEqual(lone.machine.lessor.checkpointsToTakeBack(5n), undefined);
  // A restart finds it.
  const again = new StoreStateMachine({ backend: lone.machine.backend });
  again.lessor.promote(0, 0);
  assert.equal(again.lessor.remainingSeconds(5n, 0), 7);
  await lone.do({ leaseRevoke: { ID: 5n } });
  assert.deepEqual([...lone.machine.backend.scanRecords('checkpoint/')], []);
  lone.duties.stop();
});
