import { prefixEnd, type EtcdClient } from '@pilothouse/etcd-client';
import type { Comparison, Run, Side } from './measure.ts';
import { interleave, summarize } from './measure.ts';
import { pause } from './server-process.ts';
import { StoreCluster, connectStore } from './store-cluster.ts';

export interface BenchOptions {
  readonly rounds: number;
  readonly secondsPerRun: number;
  readonly directory: string;
}

export interface StoreBenchOptions extends BenchOptions {
  /** Only workloads whose name contains it. */
  readonly only: string;
  /** Watchers of the fan-out. */
  readonly watchers: number;
}

const keyCount = 10_000;
const namespaces = 20;
const value = Buffer.alloc(256, 0x76);
const key = (index: number): Buffer => Buffer.from(`/bench/${String(index % keyCount).padStart(8, '0')}`);
const all = { key: Buffer.from('/bench/'), rangeEnd: prefixEnd(Buffer.from('/bench/')) };
/** Before anything is measured both sides serve this long: programs that are compiled while they run are slow in their first seconds. */
const warmUpSeconds = 6;

type Operation = (client: EtcdClient, index: number) => Promise<unknown>;

/** What clients do with any etcd v3 server. */
export const storeWorkloads: Readonly<Record<string, Operation>> = {
  'put 256 B': (client, index) => client.kv.put({ key: key(index), value }),
  'range, linearizable': (client, index) => client.kv.range({ key: key(index) }),
  'range, serializable': (client, index) => client.kv.range({ key: key(index), serializable: true }),
  'list 100': (client, index) => client.kv.range({ ...all, key: key(index), limit: 100 }),
};

const namespaceKey = (index: number): Buffer =>
  Buffer.from(
    `/mixed/ns-${index % namespaces}/${String(Math.floor(index / namespaces) % 100).padStart(4, '0')}`,
  );
const namespacePrefix = (index: number): Buffer => Buffer.from(`/mixed/ns-${index % namespaces}/`);

/** As an API server does it: of five requests four list a namespace of 100 objects, one writes an object if nobody else has. */
const mixed: Operation = async (client, index) => {
  if (index % 5 !== 0) {
    const prefix = namespacePrefix(index);
    return client.kv.range({ key: prefix, rangeEnd: prefixEnd(prefix), limit: 500 });
  }
  const target = namespaceKey(index * 7919);
  const { kvs } = await client.kv.range({ key: target });
  return client.kv.txn({
    compare: [{ key: target, target: 2, result: 0, modRevision: kvs[0]?.modRevision ?? 0 }],
    success: [{ requestPut: { key: target, value } }],
    failure: [{ requestRange: { key: target } }],
  });
};

/** Watches on prefixes, spread over connections; resolves when all are confirmed. */
async function watchAll(
  connections: readonly EtcdClient[],
  count: number,
  prefix: (index: number) => Buffer,
  onEvent: (value: Uint8Array) => void,
): Promise<void> {
  await Promise.all(
    Array.from(
      { length: count },
      (_, index) =>
        new Promise<void>((resolve, reject) => {
          const start = prefix(index);
          (connections[index % connections.length] as EtcdClient).watcher.watch(
            { key: start, rangeEnd: prefixEnd(start) },
            {
              onCreated: () => resolve(),
              onEvents: (events) => {
                for (const { kv } of events) if (kv) onEvent(kv.value);
              },
              onEnd: reject,
            },
          );
        }),
    ),
  );
}

/** Before anything is counted: members that have not told many watches of anything run code that is not compiled. */
const fanOutWarmUpMs = 3000;

/** One writer, many watchers on the same prefix: events delivered, and the time from sending a write to a watcher's receipt. */
export async function fanOut(cluster: StoreCluster, watchers: number, seconds: number): Promise<Run> {
  const connections = connectStore(cluster.endpoints, 8);
  const [writer] = connectStore(cluster.endpoints, 1) as [EtcdClient];
  try {
    const latencies: number[] = [];
    let expected = 0;
    let seen = 0;
    const prefix = Buffer.from('/fan/');
    await watchAll(
      connections,
      watchers,
      () => prefix,
      (bytes) => {
        seen++;
        latencies.push(performance.now() - Number(Buffer.from(bytes.subarray(0, 24)).toString()));
      },
    );
    const write = async (until: number): Promise<void> => {
      for (let index = 0; performance.now() < until; index++) {
        const text = String(performance.now()).slice(0, 24).padEnd(256);
        await writer.kv.put({ key: Buffer.from(`/fan/${index % 100}`), value: Buffer.from(text) });
        expected += watchers;
        // Nobody gains from a writer that runs away from its watchers.
        while (expected - seen > 20 * watchers) await pause(1);
      }
      while (seen < expected) await pause(1);
    };
    await write(performance.now() + fanOutWarmUpMs);
    latencies.length = 0;
    const cpu = cluster.cpuSeconds();
    const began = performance.now();
    await write(began + seconds * 1000);
    return summarize(latencies, (performance.now() - began) / 1000, cluster.cpuSeconds() - cpu);
  } finally {
    for (const connection of [...connections, writer]) connection.close();
  }
}

/** Three members of each side. */
export async function benchStore(
  programs: Readonly<Partial<Record<Side, string>>>,
  options: StoreBenchOptions,
): Promise<{ comparisons: Comparison[]; memory: string[][] }> {
  const clusters = new Map<Side, StoreCluster>();
  const { rounds, secondsPerRun: seconds, watchers } = options;
  try {
    for (const [side, program] of Object.entries(programs) as [Side, string][])
      clusters.set(side, await StoreCluster.start(side, program, options.directory));
    const present = [...clusters.keys()];
    const of = (side: Side): StoreCluster => clusters.get(side) as StoreCluster;
    const before = new Map(present.map((side) => [side, of(side).rss()]));
    for (const side of present) {
      for (const workload of ['put 256 B', 'range, linearizable'])
        await of(side).run(
          { clients: 100, seconds: warmUpSeconds / 2 },
          storeWorkloads[workload] as Operation,
        );
    }
    const comparisons: Comparison[] = [];
    const measure = async (
      workload: string,
      clients: number,
      run: (side: Side, round: number) => Promise<Run>,
    ): Promise<void> => {
      if (workload.includes(options.only))
        comparisons.push(await interleave(workload, clients, { rounds, present }, run));
    };
    for (const workload of ['put 256 B', 'range, linearizable']) {
      for (const clients of [1, 100, 1000])
        await measure(workload, clients, (side, round) =>
          of(side).run({ clients, seconds, first: round }, storeWorkloads[workload] as Operation),
        );
    }
    if ('mixed, 80 % lists, 20 % updates, 40 watches'.includes(options.only)) {
      for (const side of present) {
        const [client] = connectStore(of(side).endpoints, 1) as [EtcdClient];
        for (let first = 0; first < namespaces * 100; first += 100) {
          const success = Array.from({ length: 100 }, (_, at) => ({
            requestPut: { key: namespaceKey(first + at), value },
          }));
          await client.kv.txn({ success });
        }
        client.close();
      }
    }
    await measure('mixed, 80 % lists, 20 % updates, 40 watches', 100, async (side, round) => {
      const connections = connectStore(of(side).endpoints, 8, round);
      try {
        await watchAll(connections, 2 * namespaces, namespacePrefix, () => {});
        return await of(side).run({ clients: 100, seconds, first: round }, mixed);
      } finally {
        for (const connection of connections) connection.close();
      }
    });
    await measure(`watch events, ${watchers} watchers of one prefix`, watchers, (side) =>
      fanOut(of(side), watchers, seconds),
    );
    const memory = present.map((side) => [`store members, ${side}`, before.get(side) ?? '', of(side).rss()]);
    return { comparisons, memory };
  } finally {
    for (const cluster of clusters.values()) await cluster.stop();
  }
}
