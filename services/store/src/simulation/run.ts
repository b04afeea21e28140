import { FakeClock, SeededRandom, SimulatedNetwork, checkRegisters } from '@pilothouse/testkit';
import type { KeyedOperation } from '@pilothouse/testkit';
import { encodeCommand } from '../core/apply/command.ts';
import type { MemberId } from '../core/replication.ts';
import { runClient } from './client.ts';
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
}

/** Virtual milliseconds after the faults end within which everything must work again. */
const healMs = 20_000;

/** One cluster from one seed: the same seed gives the same run, event by event. */
export async function runSimulation(options: SimulationOptions): Promise<SimulationReport> {
  const { seed, mutation = 'none' } = options;
  const random = new SeededRandom(seed);
  const clock = new FakeClock();
  const network = new SimulatedNetwork(clock, random.fork());
  const witness = new Witness();
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
  const watchers = Array.from({ length: 3 }, () => new SimulatedWatcher(world, random.fork()));
  const clientSeeds = Array.from({ length: 6 }, () => random.fork());
  const nemesis = new Nemesis(world, random.fork(), members);
  const faultMs = options.faultMs ?? 15_000;

  const script = async (): Promise<void> => {
    for (const member of members) await member.start();
    const clients = clientSeeds.map((source, client) =>
      runClient({
        client,
        world,
        random: source,
        members: () => members,
        keys: 4,
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
    await pause(clock, 2000);
    nemesis.start();
    await pause(clock, faultMs);
    await nemesis.heal();
    await pause(clock, 1500);
    isDone = true;
    await Promise.all(clients);
    await converge(world, members);
    await pause(clock, 500);
  };
  let hasEnded = false;
  script().then(
    () => (hasEnded = true),
    (error: unknown) => world.violated(error instanceof Error ? error : new Error(String(error))),
  );
  const limit = 2000 + faultMs + healMs + 10_000;
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
  for (const watcher of watchers) {
    const problem = watcher.check(witness.events, violation === undefined ? revision : undefined);
    if (problem !== undefined) violation ??= `Watch: ${problem}`;
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
    events: witness.events.length,
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
