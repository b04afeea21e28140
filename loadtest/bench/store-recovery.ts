import { readFileSync } from 'node:fs';
import type { EtcdClient } from '@pilothouse/etcd-client';
import { median, sides, type Side } from './measure.ts';
import { pause } from './server-process.ts';
import { connectStore, connectTo, StoreCluster } from './store-cluster.ts';

export interface RecoveryOptions {
  readonly directory: string;
  readonly rounds: number;
  /** Keys of the large store. */
  readonly keys: number;
  /** Bytes of each value. */
  readonly valueBytes: number;
  readonly only: string;
}

const loopStops = new URL('loop-stops.mjs', import.meta.url).href;
const opsPerTxn = 100;
const fillers = 16;
const probeMs = 2;
const writeEveryMs = 5;
const fewKeys = 10_000;

type Cells = Map<string, Partial<Record<Side, string>>>;

const keyAt = (index: number): Buffer => Buffer.from(`/large/${String(index).padStart(9, '0')}`);

/** Writes keys [from, to) in transactions. */
async function fill(
  clients: readonly EtcdClient[],
  range: { readonly from: number; readonly to: number },
  value: Buffer,
): Promise<void> {
  let next = range.from;
  await Promise.all(
    Array.from({ length: fillers }, async (_, filler) => {
      const client = clients[filler % clients.length] as EtcdClient;
      while (next < range.to) {
        const first = next;
        next = Math.min(range.to, first + opsPerTxn);
        const success = Array.from({ length: next - first }, (_each, at) => ({
          requestPut: { key: keyAt(first + at), value },
        }));
        await client.kv.txn({ success }, { timeoutMs: 60_000 });
      }
    }),
  );
}

/** The longest answer to small reads, one every two milliseconds, while `work` runs: how long the server stood still. */
async function longestStall(client: EtcdClient, work: () => Promise<unknown>): Promise<number> {
  let isDone = false;
  let longest = 0;
  const probing = (async () => {
    while (!isDone) {
      const began = performance.now();
      await client.kv.range({ key: keyAt(0), serializable: true });
      longest = Math.max(longest, performance.now() - began);
      await pause(probeMs);
    }
  })();
  try {
    await work();
  } finally {
    isDone = true;
    await probing;
  }
  return longest;
}

/** How long the server's event loop was taken in one go since it was told to begin anew; undefined for a server that tells nothing. */
function longestLoopStop(file: string): { readonly stopMs: number; readonly cpuMs: number } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { stopMs: number; cpuMs: number };
  } catch {
    return undefined;
  }
}

async function cpuPerPut(cluster: StoreCluster, keys: number, value: Buffer): Promise<string> {
  const { cpuMs } = await cluster.run({ clients: 100, seconds: 3 }, (client, index) =>
    client.kv.put({ key: keyAt((index * 7919) % keys), value }),
  );
  return cpuMs.toFixed(3);
}

/** One member with many keys: what a put costs, how long compaction and a backup stop it, how fast it starts again. */
async function largeStore(
  side: Side,
  program: string,
  options: RecoveryOptions,
  set: (what: string, text: string) => void,
): Promise<void> {
  const { keys, valueBytes } = options;
  const value = Buffer.alloc(valueBytes, 0x77);
  const stopsFile = `${options.directory}/loop-stops-${side}.json`;
  const cluster = await StoreCluster.start(side, program, `${options.directory}/large`, {
    members: 1,
    args: ['--quota-backend-bytes=8589934592'],
    env: { NODE_OPTIONS: `--import=${loopStops}`, LOOP_STOPS_FILE: stopsFile },
  });
  const clients = connectStore(cluster.endpoints, 4);
  const [first] = clients as [EtcdClient];
  try {
    await fill(clients, { from: 0, to: fewKeys }, value);
    await cpuPerPut(cluster, fewKeys, value);
    set(`CPU of a put among ${fewKeys} keys, ms`, await cpuPerPut(cluster, fewKeys, value));
    const began = performance.now();
    await fill(clients, { from: fewKeys, to: keys }, value);
    set(`${keys} keys of ${valueBytes} B written in, s`, ((performance.now() - began) / 1000).toFixed(1));
    set(`CPU of a put among ${keys} keys, ms`, await cpuPerPut(cluster, keys, value));
    set(`memory with ${keys} keys, MiB`, cluster.rss());
    // Every key once more, so that compaction has as many revisions to remove.
    await fill(clients, { from: 0, to: keys }, value);
    const { header } = await first.kv.range({ key: keyAt(0) });
    const [probe] = connectStore(cluster.endpoints, 1) as [EtcdClient];
    const [endpoint] = cluster.endpoints as [string];
    const call = async (path: string): Promise<void> => {
      const answer = await fetch(`${endpoint}/v3/maintenance/${path}`, { method: 'POST', body: '{}' });
      if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
      await answer.text();
    };
    const long: readonly (readonly [string, () => Promise<unknown>])[] = [
      [
        `compaction of ${keys} revisions`,
        () => first.kv.compact({ revision: header?.revision ?? 0, physical: true }, { timeoutMs: 600_000 }),
      ],
      [`hash of ${keys} keys`, () => call('hash')],
      [`snapshot of ${keys} keys`, () => first.snapshot(() => {})],
      [`defragmentation with ${keys} keys`, () => call('defragment')],
    ];
    for (const [what, work] of long) {
      if (longestLoopStop(stopsFile) !== undefined) process.kill(cluster.members[0]?.pid ?? 0, 'SIGUSR2');
      await pause(50);
      const start = performance.now();
      const stall = await longestStall(probe, work);
      set(`${what}: takes, s`, ((performance.now() - start) / 1000).toFixed(1));
      set(`${what}: longest wait of a read, ms`, stall.toFixed(0));
      await pause(50);
      const stop = longestLoopStop(stopsFile);
      if (stop !== undefined)
        set(
          `${what}: longest stop of the event loop / its CPU time, ms`,
          `${stop.stopMs.toFixed(0)} / ${stop.cpuMs.toFixed(0)}`,
        );
    }
    probe.close();
    const [member] = cluster.members;
    const ended = new Promise<void>((resolve) => member?.onEnd(resolve));
    process.kill(member?.pid ?? 0, 'SIGKILL');
    await ended;
    set(
      `kill -9 to the first linearizable read with ${keys} keys, s`,
      ((await cluster.restart(0)) / 1000).toFixed(2),
    );
    set(`memory after that restart, MiB`, cluster.rss());
  } finally {
    for (const client of clients) client.close();
    await cluster.stop();
  }
}

/** Kills the leader while a client of the others writes; the longest time between two acknowledged writes, milliseconds. */
async function killLeader(side: Side, program: string, directory: string, rounds: number): Promise<number[]> {
  const gaps: number[] = [];
  const cluster = await StoreCluster.start(side, program, `${directory}/kill`);
  try {
    for (let round = 0; round < rounds; round++) {
      const leader = await cluster.leader();
      const client = connectTo(cluster.endpoints.filter((_, index) => index !== leader));
      const acknowledged: number[] = [];
      const writes = new Set<Promise<void>>();
      let count = 0;
      // Writes begin at a steady pace: one that was lost with the leader must not hide those after it.
      const timer = setInterval(() => {
        const write = client.kv
          .put({ key: keyAt(count++ % 100), value: Buffer.from('x') }, { timeoutMs: 3000 })
          .then(
            () => void acknowledged.push(performance.now()),
            () => {},
          )
          .finally(() => writes.delete(write));
        writes.add(write);
      }, writeEveryMs);
      await pause(1500);
      const killedAt = performance.now();
      const member = cluster.members[leader];
      const ended = new Promise<void>((resolve) => member?.onEnd(resolve));
      process.kill(member?.pid ?? 0, 'SIGKILL');
      await ended;
      await pause(5000);
      clearInterval(timer);
      await Promise.all(writes);
      client.close();
      const after = acknowledged.filter((at) => at >= killedAt - 100);
      gaps.push(Math.max(...after.slice(1).map((at, index) => at - (after[index] ?? at))));
      await cluster.restart(leader);
      await pause(500);
    }
  } finally {
    await cluster.stop();
  }
  return gaps;
}

/** Rows of what, ours, upstream. */
export async function benchRecovery(
  programs: Readonly<Partial<Record<Side, string>>>,
  options: RecoveryOptions,
): Promise<string[][]> {
  const cells: Cells = new Map();
  for (const [side, program] of Object.entries(programs) as [Side, string][]) {
    const set = (what: string, text: string): void => {
      process.stderr.write(`${side}: ${what}: ${text}\n`);
      cells.set(what, { ...cells.get(what), [side]: text });
    };
    if ('kill'.includes(options.only)) {
      const gaps = await killLeader(side, program, options.directory, Math.max(3, options.rounds));
      const each = gaps.map((gap) => gap.toFixed(0)).join(', ');
      set('kill -9 of the leader: longest time without a write, ms', `${median(gaps).toFixed(0)} (${each})`);
    }
    if ('large'.includes(options.only)) await largeStore(side, program, options, set);
  }
  return [...cells].map(([what, texts]) => [what, ...sides.map((side) => texts[side] ?? '–')]);
}
