// Put and range against any etcd v3 endpoints, side by side:
//   node scripts/run.mjs loadtest/bench/store.ts ours=http://127.0.0.1:2379 etcd=http://127.0.0.1:3379 [--seconds=5] [--clients=1,100]
// The same client drives both, so the numbers compare; it shares the machine, so they are not the most a server can do.
import { createEtcdClient, prefixEnd, type EtcdClient } from '@pilothouse/etcd-client';
import { nodeClock, nodeRandom } from '@pilothouse/host';

export interface Measurement {
  readonly target: string;
  readonly workload: string;
  readonly clients: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const value = Buffer.alloc(256, 0x76);
const key = (index: number): Buffer => Buffer.from(`/bench/${String(index % 10_000).padStart(8, '0')}`);

const workloads: Readonly<Record<string, (client: EtcdClient, index: number) => Promise<unknown>>> = {
  'put 256 B': (client, index) => client.kv.put({ key: key(index), value }),
  'range, linearizable': (client, index) => client.kv.range({ key: key(index) }),
  'range, serializable': (client, index) => client.kv.range({ key: key(index), serializable: true }),
  'list 100': (client, index) =>
    client.kv.range({ key: key(index), rangeEnd: prefixEnd(Buffer.from('/bench/')), limit: 100 }),
};

async function measure(
  target: string,
  endpoints: string,
  workload: string,
  clients: number,
  seconds: number,
): Promise<Measurement> {
  const run = workloads[workload] as (client: EtcdClient, index: number) => Promise<unknown>;
  const connections = Array.from({ length: Math.min(clients, 8) }, () =>
    createEtcdClient({ endpoints: endpoints.split(','), clock: nodeClock, random: nodeRandom }),
  );
  await Promise.all(connections.map((client) => client.status()));
  const latencies: number[] = [];
  const started = performance.now();
  const stopAt = started + seconds * 1000;
  let next = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, worker) => {
      const client = connections[worker % connections.length] as EtcdClient;
      for (;;) {
        const before = performance.now();
        if (before >= stopAt) return;
        await run(client, next++);
        latencies.push(performance.now() - before);
      }
    }),
  );
  const elapsed = (performance.now() - started) / 1000;
  for (const client of connections) client.close();
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    target,
    workload,
    clients,
    perSecond: latencies.length / elapsed,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

const targets = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const option = (name: string, fallback: string): string =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? fallback;

if (targets.length === 0) {
  console.error('Usage: store.ts NAME=ENDPOINT[,ENDPOINT…] … [--seconds=5] [--clients=1,100]');
  process.exitCode = 1;
}
const seconds = Number(option('seconds', '5'));
const rows: Measurement[] = [];
for (const workload of Object.keys(workloads).filter((name) => name.includes(option('only', '')))) {
  for (const clients of option('clients', '1,100').split(',').map(Number)) {
    for (const target of targets) {
      const equals = target.indexOf('=');
      rows.push(await measure(target.slice(0, equals), target.slice(equals + 1), workload, clients, seconds));
    }
  }
}
console.log(`| workload | clients | target | per second | p50 ms | p99 ms |\n|---|--:|---|--:|--:|--:|`);
for (const row of rows) {
  console.log(
    `| ${row.workload} | ${row.clients} | ${row.target} | ${Math.round(row.perSecond)} | ${row.p50Ms.toFixed(2)} | ${row.p99Ms.toFixed(2)} |`,
  );
}
