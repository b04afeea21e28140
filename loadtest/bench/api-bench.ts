import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { ensurePki } from '@pilothouse/host';
import type { ApiClient } from './api-client.ts';
import type { ApiSide } from './api-servers.ts';
import { startApiSide } from './api-servers.ts';
import type { Comparison, Run, Side } from './measure.ts';
import { closedLoop, interleave, summarize } from './measure.ts';
import type { Upstream } from './programs.ts';
import { pause } from './server-process.ts';
import type { BenchOptions } from './store-bench.ts';

export interface ApiBenchOptions extends BenchOptions {
  /** Objects in the list. */
  readonly objects: number;
  readonly watchers: number;
  /** Only workloads whose name contains this. */
  readonly only: string;
  /** Options of Node for our server, such as --cpu-prof. */
  readonly nodeArguments?: readonly string[];
}

const connections = 4;
const fewClients = 1;
const manyClients = 32;
const objectBytes = 1024;
const collection = '/api/v1/namespaces/bench/configmaps';
/** Objects that updates go round; fewer than the list, so that they stay warm on both sides. */
const updatedObjects = 100;

const filler = randomBytes(objectBytes / 2).toString('hex');

function configMap(name: string, data: Readonly<Record<string, string>> = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'bench', labels: { app: 'bench' } },
      data: { filler, ...data },
    }),
  );
}

/** Reads, lists, writes and watches of ConfigMaps of 1 KiB on one API server of each side. */
export async function benchApi(
  upstream: Upstream,
  options: ApiBenchOptions,
): Promise<{ comparisons: Comparison[]; memory: string[][] }> {
  const pki = await ensurePki(path.join(options.directory, 'pki'), { serviceAddress: '10.0.0.1' });
  const sides = new Map<Side, { api: ApiSide; client: ApiClient }>();
  try {
    const { etcd, kubeApiserver } = upstream;
    const start = async (side: Side, programs?: { etcd: string; kubeApiserver: string }): Promise<void> => {
      const api = await startApiSide(side, pki, options.directory, programs, options.nodeArguments);
      sides.set(side, { api, client: await api.connect(connections) });
    };
    await start('ours');
    if (etcd !== undefined && kubeApiserver !== undefined) await start('upstream', { etcd, kubeApiserver });
    const usage = (side: Side): [server: number, store: number] => {
      const { api } = sides.get(side) as { api: ApiSide };
      return [api.server.usage().rssMiB, api.store.usage().rssMiB];
    };
    const memoryAtStart = new Map([...sides.keys()].map((side) => [side, usage(side)]));
    for (const { client } of sides.values()) await fill(client, options.objects);
    const comparisons = await compareAll(sides, options);
    const memory = [...sides.keys()].flatMap((side) =>
      ['API server', 'store (1 member)'].map((name, index) => [
        `${name}, ${side}`,
        (memoryAtStart.get(side)?.[index] ?? 0).toFixed(0),
        (usage(side)[index] ?? 0).toFixed(0),
      ]),
    );
    return { comparisons, memory };
  } finally {
    for (const { api, client } of sides.values()) {
      client.close();
      await api.stop();
    }
  }
}

async function fill(client: ApiClient, objects: number): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bench' } };
  await client.expect(201, 'POST', '/api/v1/namespaces', Buffer.from(JSON.stringify(namespace)));
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < objects; index = next++)
      await client.expect(201, 'POST', collection, configMap(`cm-${index}`));
  };
  await Promise.all(Array.from({ length: manyClients }, worker));
}

type Operation = (client: ApiClient, index: number, round: string) => Promise<unknown>;

async function compareAll(
  sides: ReadonlyMap<Side, { api: ApiSide; client: ApiClient }>,
  options: ApiBenchOptions,
): Promise<Comparison[]> {
  const { objects, rounds, secondsPerRun } = options;
  const one = (index: number): string => `${collection}/cm-${(index * 7919) % objects}`;
  const workloads: [name: string, clients: readonly number[], operation: Operation][] = [
    ['GET', [fewClients, manyClients], (client, index) => client.expect(200, 'GET', one(index))],
    [
      'GET, resourceVersion=0',
      [fewClients, manyClients],
      (client, index) => client.expect(200, 'GET', `${one(index)}?resourceVersion=0`),
    ],
    [
      `LIST of ${objects}`,
      [fewClients, 4],
      (client) => client.expect(200, 'GET', `${collection}?labelSelector=app%3Dbench&resourceVersion=0`),
    ],
    [
      `LIST of ${objects}, consistent`,
      [fewClients],
      (client) => client.expect(200, 'GET', `${collection}?labelSelector=app%3Dbench`),
    ],
    [
      'update',
      [fewClients, manyClients],
      (client, index) => {
        const name = `cm-${index % Math.min(objects, updatedObjects)}`;
        return client.expect(
          200,
          'PUT',
          `${collection}/${name}`,
          configMap(name, { turn: randomBytes(4).toString('hex') }),
        );
      },
    ],
    [
      'create',
      [fewClients, manyClients],
      (client, index, round) =>
        client.expect(
          201,
          'POST',
          '/api/v1/namespaces/bench/configmaps',
          // Without the label of the listed objects.
          Buffer.from(configMap(`new-${round}-${index}`).toString().replace('"app":"bench"', '"app":"new"')),
        ),
    ],
  ];
  const present = [...sides.keys()];
  const cpuSeconds = (side: Side): number => {
    const { api } = sides.get(side) as { api: ApiSide };
    return api.server.usage().cpuSeconds + api.store.usage().cpuSeconds;
  };
  const comparisons: Comparison[] = [];
  for (const [name, clientCounts, operation] of workloads) {
    if (!name.includes(options.only)) continue;
    for (const clients of clientCounts) {
      comparisons.push(
        await interleave(name, clients, { rounds, present }, (side, round) => {
          const { client } = sides.get(side) as { client: ApiClient };
          return closedLoop({
            clients,
            seconds: secondsPerRun,
            cpuSeconds: () => cpuSeconds(side),
            operation: (index) => operation(client, index, `${clients}-${round}`),
          });
        }),
      );
    }
  }
  const fanOut = `watch events delivered, ${options.watchers} watchers`;
  if (!fanOut.includes(options.only)) return comparisons;
  comparisons.push(
    await interleave(fanOut, options.watchers, { rounds, present }, (side) => {
      const { api } = sides.get(side) as { api: ApiSide };
      return watchFanOut(api, options, () => cpuSeconds(side));
    }),
  );
  return comparisons;
}

/** One writer updates one object after the other; every watcher gets every change. The latency is from sending the write to a watcher's receipt. */
async function watchFanOut(api: ApiSide, options: ApiBenchOptions, cpuSeconds: () => number): Promise<Run> {
  const client = await api.connect(connections);
  const writer = await api.connect(1);
  const latencies: number[] = [];
  const sentMs: number[] = [];
  const stops: (() => void)[] = [];
  try {
    const mark = `m${randomBytes(3).toString('hex')}-`;
    const pattern = new RegExp(`${mark}(\\d+)"`);
    // From the state of now on, so that no watcher begins with the whole list.
    const list = JSON.parse((await writer.expect(200, 'GET', `${collection}?limit=1`)).toString()) as {
      metadata: { resourceVersion: string };
    };
    for (let watcher = 0; watcher < options.watchers; watcher++) {
      stops.push(
        await client.watch(
          `${collection}?watch=true&resourceVersion=${list.metadata.resourceVersion}`,
          (line) => {
            const number = pattern.exec(line)?.[1];
            const sent = number === undefined ? undefined : sentMs[Number(number)];
            if (sent !== undefined) latencies.push(performance.now() - sent);
          },
        ),
      );
    }
    const cpuBefore = cpuSeconds();
    const started = performance.now();
    while (performance.now() - started < options.secondsPerRun * 1000) {
      const name = `cm-${sentMs.length % Math.min(options.objects, updatedObjects)}`;
      const body = configMap(name, { turn: `${mark}${sentMs.length}` });
      sentMs.push(performance.now());
      await writer.expect(200, 'PUT', `${collection}/${name}`, body);
    }
    const expected = sentMs.length * options.watchers;
    const deadline = performance.now() + 15_000;
    while (latencies.length < expected && performance.now() < deadline) await pause(5);
    if (latencies.length < expected)
      throw new Error(`${api.side}: ${latencies.length} of ${expected} watch events arrived`);
    return summarize(latencies, (performance.now() - started) / 1000, cpuSeconds() - cpuBefore);
  } finally {
    for (const stop of stops) stop();
    client.close();
    writer.close();
  }
}
