import { test } from 'node:test';
import assert from 'node:assert/strict';
import { FakeClock, SeededRandom, SimulatedNetwork } from '@pilothouse/testkit';
import { encodeCommand } from '../core/apply/command.ts';
import type { MemberId } from '../core/replication.ts';
import { memberInfo } from './nemesis.ts';
import { addressOf } from './simulated-transport.ts';
import { SimulatedMember } from './simulated-member.ts';
import type { World } from './simulated-member.ts';
import { Witness } from './witness.ts';

/** How long a cluster takes in virtual time, which no busy machine makes longer. */
class Cluster {
  readonly clock = new FakeClock();
  readonly network: SimulatedNetwork;
  readonly members: SimulatedMember[];

  constructor(seed: number) {
    const random = new SeededRandom(seed);
    this.network = new SimulatedNetwork(this.clock, random.fork());
    const world: World = {
      clock: this.clock,
      random: random.fork(),
      network: this.network,
      registry: new Map(),
      witness: new Witness(() => this.clock.monotonic()),
      mutation: 'none',
      snapshotCount: 1000,
      snapshotCatchUpEntries: 100,
      trace: () => {},
      violated: (error) => {
        throw error;
      },
    };
    const ids = [1n, 2n, 3n] as MemberId[];
    const initial = ids.map((id) => memberInfo(id));
    this.members = ids.map((id) => new SimulatedMember(id, world, { initial, isNewCluster: true }));
  }

  async until<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    let isDone = false;
    promise.then(
      () => (isDone = true),
      () => (isDone = true),
    );
    const limit = this.clock.monotonic() + limitMs;
    while (!isDone) {
      for (let turn = 0; turn < 6; turn++) await Promise.resolve();
      if (isDone) break;
      assert.ok(this.clock.step(limit), `Nothing within ${limitMs} ms`);
    }
    return promise;
  }

  /** A write at `member`, tried again when it is refused; how long until it is acknowledged, milliseconds. */
  async write(member: SimulatedMember, limitMs: number): Promise<number> {
    const began = this.clock.monotonic();
    const payload = encodeCommand({ put: { key: Buffer.from('k'), value: Buffer.from('v') } });
    await this.until(member.replica?.propose(payload) ?? Promise.reject(new Error('down')), limitMs);
    return this.clock.monotonic() - began;
  }

  async start(): Promise<{ leader: SimulatedMember; other: SimulatedMember }> {
    await this.until(Promise.all(this.members.map((member) => member.start())), 1000);
    await this.write(this.members[0] as SimulatedMember, 5000);
    // Everybody has heard of everything.
    await this.until(new Promise<void>((resolve) => this.clock.setTimeout(resolve, 500)), 1000);
    const leader = this.members.find((member) => member.replica?.status().role === 'leader');
    const other = this.members.find((member) => member !== leader);
    return { leader: leader as SimulatedMember, other: other as SimulatedMember };
  }

  stop(): void {
    for (const member of this.members) if (member.isUp) member.crash('process');
  }
}

/** The longest of some seeds, milliseconds. */
async function longest(
  strike: (cluster: Cluster, leader: SimulatedMember) => void,
  limitMs: number,
): Promise<number> {
  let most = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const cluster = new Cluster(seed);
    const { leader, other } = await cluster.start();
    strike(cluster, leader);
    most = Math.max(most, await cluster.write(other, limitMs));
    cluster.stop();
  }
  return most;
}

test('when the disk of the leader hangs, another leads and writes go on within one election timeout', async () => {
  const tookMs = await longest((cluster, leader) => {
    leader.syncMs = 60_000;
    // It has something to write, or nobody could tell.
    leader.replica
      ?.propose(encodeCommand({ put: { key: Buffer.from('hangs'), value: Buffer.from('x') } }))
      .catch(() => {});
  }, 5000);
  assert.ok(tookMs <= 1000, `${tookMs} ms`);
});

test('when the process of the leader dies, writes go on before an election timeout begins to count', async () => {
  const tookMs = await longest((_cluster, leader) => leader.crash('process'), 5000);
  assert.ok(tookMs <= 300, `${tookMs} ms`);
});

test('when the leader stands still without a word, writes go on within two election timeouts', async () => {
  const tookMs = await longest((cluster, leader) => {
    cluster.network.partition(
      [addressOf(leader.id)],
      cluster.members.filter((each) => each !== leader).map(({ id }) => addressOf(id)),
    );
  }, 8000);
  assert.ok(tookMs >= 900 && tookMs <= 2300, `${tookMs} ms`);
});
