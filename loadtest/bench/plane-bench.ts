import net from 'node:net';
import { createHttp2Transport, loadKubeconfig, RestClient } from '@pilothouse/client';
import { nodeClock } from '@pilothouse/host';
import { Load, longestGap } from '../../tests/e2e/drill/kill.ts';
import { startPlane, type Plane } from '../../tests/e2e/plane.ts';
import { median } from './measure.ts';
import { pause, processUsage } from './server-process.ts';

export interface PlaneBenchOptions {
  readonly rounds: number;
  readonly idleSeconds: number;
}

/** Until a cluster of three has a leader again and everything that waited is through, also on a slow machine. */
const afterKillMs = 8000;
const planePorts = 71;
/** First ports to try; below the range that the kernel gives to outgoing connections. */
const firstPorts = [17_443, 18_443, 19_443, 20_443, 21_443];

/** BENCH_PORT, or the first range whose ports are all free. */
async function planePort(): Promise<number> {
  const given = process.env['BENCH_PORT'];
  if (given !== undefined) return Number(given);
  for (const first of firstPorts) {
    const ports = Array.from({ length: planePorts }, (_, index) => first + index);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first;
  }
  throw new Error(
    `Ports from ${firstPorts.join(', ')} on are in use; choose ${planePorts} others with BENCH_PORT`,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Starts a plane of 3 members and 3 API servers `rounds` times; rows of name and value. */
export async function benchPlane(options: PlaneBenchOptions): Promise<string[][]> {
  const boots: number[] = [];
  const gaps: number[] = [];
  let idle: string[][] = [];
  for (let round = 0; round < options.rounds; round++) {
    const plane = await startPlane({ port: await planePort() });
    try {
      boots.push(plane.readySeconds);
      process.stderr.write(`plane ready after ${plane.readySeconds.toFixed(1)} s\n`);
      if (round === 0) idle = await idleUsage(plane, options.idleSeconds);
      gaps.push(await leaderKillGap(plane));
      process.stderr.write(`longest write gap after the leader's kill ${gaps.at(-1)?.toFixed(0)} ms\n`);
    } finally {
      await plane.stop();
    }
  }
  const all = (values: readonly number[], digits: number): string =>
    values.length === 1 ? '' : ` (${values.map((each) => each.toFixed(digits)).join(', ')})`;
  return [
    ['boot to ready, s', `${median(boots).toFixed(1)}${all(boots, 1)}`],
    ['longest write gap when the store leader is killed, ms', `${median(gaps).toFixed(0)}${all(gaps, 0)}`],
    ...idle,
  ];
}

async function idleUsage(plane: Plane, seconds: number): Promise<string[][]> {
  const { processes } = await plane.status();
  const before = new Map(processes.map(({ pid }) => [pid, processUsage(pid).cpuSeconds]));
  await pause(seconds * 1000);
  let memory = 0;
  let cpu = 0;
  const rows = processes.map(({ name, pid }) => {
    const { rssMiB, cpuSeconds } = processUsage(pid);
    const percent = ((cpuSeconds - (before.get(pid) ?? 0)) / seconds) * 100;
    memory += rssMiB;
    cpu += percent;
    return [`idle ${name}`, `${rssMiB.toFixed(0)} MiB, ${percent.toFixed(1)} % CPU`];
  });
  return [...rows, ['idle, all processes', `${memory.toFixed(0)} MiB, ${cpu.toFixed(1)} % CPU`]];
}

async function leaderKillGap(plane: Plane): Promise<number> {
  const transport = createHttp2Transport(loadKubeconfig(plane.kubeconfig), nodeClock);
  try {
    const client = new RestClient(transport, { clock: nodeClock, userAgent: 'pilothouse-bench' });
    const load = new Load(client, 'default');
    load.start();
    try {
      await pause(3000);
      const { processes } = await plane.status();
      const leader = processes.find((each) => each.component === 'store' && each.role === 'leader');
      if (!leader) throw new Error('No store leader found');
      const fromMs = nodeClock.monotonic();
      process.kill(leader.pid, 'SIGKILL');
      await pause(afterKillMs);
      return longestGap(load.writes, fromMs, nodeClock.monotonic());
    } finally {
      await load.stop();
    }
  } finally {
    transport.close();
  }
}
