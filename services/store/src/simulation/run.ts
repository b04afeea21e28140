import { FakeClock, SeededRandom, SimulatedNetwork, checkRegisters } from '@pilothouse/testkit';
import type { KeyedOperation, WatchShape } from '@pilothouse/testkit';
import { SimulatedDiskError } from '@pilothouse/testkit';
import { encodeCommand } from '../core/apply/command.ts';
import type { MemberId } from '../core/replication.ts';
import { runClient } from './client.ts';
import { SimulatedLeaseClient } from './lease-client.ts';
import type { Mutation } from './mutations.ts';
import { Nemesis, memberInfo } from './nemesis.ts';
import { SimulatedMember } from './simulated-member.ts';
import type { World } from './simulated-member.ts';
import { SimulatedWatcher } from './watcher.ts';
import { Witness } from './witness.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly mutation?: Mutation;
  /** Virtual milliseconds with faults. */
  readonly faultMs?: number;
  readonly trace?: (text: string) => void;
  /** No nemesis: the first member's machine dies at this step of its disk, and comes back. 0: never, to count the steps. */
  readonly crashAtStep?: number;
}

export interface SimulationReport {
  readonly seed: number;
  /** Undefined: everything held. */
  readonly violation: string | undefined;
  readonly size: number;
  readonly operations: number;
  readonly succeeded: number;
  readonly leaders: number;
  readonly revisions: number;
  readonly events: number;
  /** Of the first member's disk. */
  readonly steps: number;
}

/** Virtual milliseconds after the faults end within which everything must work again. */
const healMs = 20_000;
/** Within this after the last renewal every lease has ended. */
const leasesEndMs = 9000;

const keyCount = 4;

/** One cluster from one seed: the same seed gives the same run, event by event. */
export async function runSimulation(options: SimulationOptions): Promise<SimulationReport> {
  const { seed, mutation = 'none' } = options;
  const random = new SeededRandom(seed);
  const clock = new FakeClock();
  const network = new SimulatedNetwork(clock, random.fork());
  const witness = new Witness(() => clock.monotonic());
  let violation: string | undefined;
  const world: World = {
    clock,
    random: random.fork(),
    network,
    registry: new Map(),
    witness,
    mutation,
    snapshotCount: random.pick([20, 60, 200, 1000]),
    snapshotCatchUpEntries: random.pick([3, 20, 100]),
    trace: options.trace
      ? (text) => options.trace?.(`${(clock.monotonic() / 1000).toFixed(3)} ${text}`)
      : () => {},
    violated: (error) => {
      violation ??= error.stack ?? error.message;
    },
  };
  const size = random.pick([3, 3, 5]);
  const ids = Array.from({ length: size }, (_, n) => BigInt(n + 1) as MemberId);
  const initial = ids.map((id) => memberInfo(id));
  const members = ids.map((id) => new SimulatedMember(id, world, { initial, isNewCluster: true }));
  const history: KeyedOperation[] = [];
  let isDone = false;
  let isFinished = false;
  const shapes: WatchShape[] = [
    { key: undefined, prevKv: true, filter: undefined },
    { key: undefined, prevKv: false, filter: random.pick(['put', 'delete'] as const) },
    { key: `k${random.integer(keyCount)}`, prevKv: random.chance(0.5), filter: undefined },
  ];
  const watchers = shapes.map((shape) => new SimulatedWatcher(world, random.fork(), shape));
  const clientSeeds = Array.from({ length: 6 }, () => random.fork());
  const nemesis = new Nemesis(world, random.fork(), members);
  const leases = [1, 2].map(
    (client) =>
      new SimulatedLeaseClient({
        client,
        world,
        random: random.fork(),
        members: () => members,
        isDone: () => isDone,
      }),
  );
  const { crashAtStep } = options;
  const first = members[0] as SimulatedMember;
  if (crashAtStep !== undefined && crashAtStep > 0) {
    first.disk.onStep = (step) => {
      if (step === crashAtStep) throw new SimulatedDiskError('EIO', 'planned crash');
    };
  }
  const faultMs = options.faultMs ?? 15_000;

  const script = async (): Promise<void> => {
    for (const member of members) await member.start();
    const clients = clientSeeds.map((source, client) =>
      runClient({
        client,
        world,
        random: source,
        members: () => members,
        keys: keyCount,
        history,
        isDone: () => isDone,
      }),
    );
    const pollWatchers = (): void => {
      if (isFinished) return;
      for (const watcher of watchers) watcher.poll(members);
      clock.setTimeout(pollWatchers, 100);
    };
    pollWatchers();
    clients.push(...leases.map((lease) => lease.run()));
    if (crashAtStep === undefined) {
      await pause(clock, 2000);
      nemesis.start();
      await pause(clock, faultMs);
    } else {
      const revive = (): void => {
        if (isFinished) return;
        if (!first.isUp) void first.start();
        clock.setTimeout(revive, 100);
      };
      revive();
      await pause(clock, faultMs);
    }
    await nemesis.heal();
    await pause(clock, 1500);
    isDone = true;
    await Promise.all(clients);
    await pause(clock, leasesEndMs);
    await converge(world, members);
    await pause(clock, 500);
  };
  let hasEnded = false;
  script().then(
    () => (hasEnded = true),
    (error: unknown) => world.violated(error instanceof Error ? error : new Error(String(error))),
  );
  const limit = 2000 + faultMs + healMs + leasesEndMs + 10_000;
  while (!hasEnded && violation === undefined) {
    for (let turn = 0; turn < 6; turn++) await Promise.resolve();
    if (!clock.step(limit)) {
      violation ??= `Liveness: the cluster did not come back within ${healMs} ms after the faults ended`;
    }
  }
  isFinished = true;
  if (violation === undefined) {
    const broken = checkRegisters(history);
    if (broken) {
      const { key, result } = broken;
      violation =
        result.isLinearizable === false
          ? `Not linearizable, key ${key}: after ${JSON.stringify(result.prefix.slice(-6))} cannot explain ${JSON.stringify(result.stuck)}`
          : `Linearizability of key ${key} could not be decided`;
    }
  }
  const revision = members.find((member) => member.isUp)?.machine.store.currentRevision ?? 0;
  const { history: truth } = witness;
  const isWhole = violation === undefined;
  const compacted = Math.max(...members.map(({ machine }) => machine.store.compactRevision));
  for (const watcher of watchers) {
    const problem = watcher.check(truth, compacted, isWhole ? revision : undefined);
    if (problem !== undefined) violation ??= `Watch ${problem}`;
  }
  for (const lease of leases) {
    const problem = lease.check(truth, witness, isWhole);
    if (problem !== undefined) violation ??= `Lease: ${problem}`;
  }
  for (const member of members) if (member.isUp) member.crash('process');
  return {
    seed,
    violation,
    size,
    operations: history.length,
    succeeded: history.filter(({ output }) => output !== undefined).length,
    leaders: witness.leaderCount,
    revisions: revision,
    events: truth.events.length,
    steps: first.disk.steps,
  };
}

function pause(clock: FakeClock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimeout(resolve, ms));
}

/** Liveness: every member takes a write and a read, and all end with the same state. */
async function converge(world: World, members: readonly SimulatedMember[]): Promise<void> {
  const clock = world.clock as FakeClock;
  for (const member of members) {
    if (member.isRemoved) continue;
    for (let attempt = 0; ; attempt++) {
      try {
        const { replica } = member;
        if (!replica) throw new Error(`m${member.id} is down`);
        await replica.propose(
          encodeCommand({ put: { key: Buffer.from('last'), value: Buffer.from(`${member.id}`) } }),
        );
        await replica.readBarrier();
        break;
      } catch (error) {
        if (member.isRemoved) break;
        if (attempt >= 5) throw new Error(`Liveness: m${member.id} cannot write: ${String(error)}`);
        await pause(clock, 300);
      }
    }
  }
  for (const member of members) await member.replica?.readBarrier();
  const states = members
    .filter((member) => member.isUp && !member.isRemoved)
    .map(({ id, machine }) => `${machine.store.currentRevision}/${machine.store.hash(0).hash} of m${id}`);
  const values = new Set(states.map((text) => text.split(' ')[0]));
  if (values.size > 1) throw new Error(`Members differ at the end: ${states.join(', ')}`);
}
