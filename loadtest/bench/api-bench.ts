import path from 'node:path';
import { ensurePki } from '@pilothouse/host';
import type { ApiClient } from './api-client.ts';
import { configMap, configMaps, createNamespace, fill, pod, pods } from './api-objects.ts';
import type { ApiSide } from './api-servers.ts';
import { startApiSide } from './api-servers.ts';
import { watchFanOut } from './api-watch.ts';
import { apiWorkloads } from './api-workloads.ts';
import type { Comparison, Side } from './measure.ts';
import { closedLoop, interleave } from './measure.ts';
import type { Upstream } from './programs.ts';
import type { BenchOptions } from './store-bench.ts';

export interface ApiBenchOptions extends BenchOptions {
  /** ConfigMaps that are read and written. */
  readonly objects: number;
  /** Pods in the list. */
  readonly pods: number;
  readonly watchers: number;
  /** Watchers of which one stalls. */
  readonly stallWatchers: number;
  /** ConfigMaps for the last question: does a GET take longer among so many? 0: not asked. */
  readonly many: number;
  /** Only workloads whose name contains this. */
  readonly only: string;
  /** Options of Node for our server, such as --cpu-prof. */
  readonly nodeArguments?: readonly string[];
}

export interface ApiBenchResult {
  readonly comparisons: Comparison[];
  /** Memory at the start and the end. */
  readonly memory: string[][];
  /** Highest growth of the API server's memory during each kind of list, MiB: workload, ours, upstream. */
  readonly growth: string[][];
}

interface Bench {
  readonly api: ApiSide;
  readonly client: ApiClient;
}

const connections = 4;
const sampleMs = 20;
const stallPauseMs = 10;

/** Reads, lists, writes and watches on one API server of each side. */
export async function benchApi(upstream: Upstream, options: ApiBenchOptions): Promise<ApiBenchResult> {
  const pki = await ensurePki(path.join(options.directory, 'pki'), { serviceAddress: '10.0.0.1' });
  const sides = new Map<Side, Bench>();
  try {
    const { etcd, kubeApiserver } = upstream;
    const start = async (side: Side, programs?: { etcd: string; kubeApiserver: string }): Promise<void> => {
      const api = await startApiSide(side, pki, options.directory, programs, options.nodeArguments);
      sides.set(side, { api, client: await api.connect(connections) });
    };
    await start('ours');
    if (etcd !== undefined && kubeApiserver !== undefined) await start('upstream', { etcd, kubeApiserver });
    const usage = (side: Side): [server: number, store: number] => {
      const { api } = sides.get(side) as Bench;
      return [api.server.usage().rssMiB, api.store.usage().rssMiB];
    };
    const memoryAtStart = new Map([...sides.keys()].map((side) => [side, usage(side)]));
    for (const { client } of sides.values()) {
      await createNamespace(client);
      await fill(client, configMaps, 0, options.objects, (index) => configMap(`cm-${index}`));
    }
    const growth: string[][] = [];
    const comparisons = await compareAll(sides, options, growth);
    const memory = [...sides.keys()].flatMap((side) =>
      ['API server', 'store (1 member)'].map((name, index) => [
        `${name}, ${side}`,
        (memoryAtStart.get(side)?.[index] ?? 0).toFixed(0),
        (usage(side)[index] ?? 0).toFixed(0),
      ]),
    );
    return { comparisons, memory, growth };
  } finally {
    for (const { api, client } of sides.values()) {
      client.close();
      await api.stop();
    }
  }
}

async function compareAll(
  sides: ReadonlyMap<Side, Bench>,
  options: ApiBenchOptions,
  growth: string[][],
): Promise<Comparison[]> {
  const { objects, rounds, secondsPerRun, only, watchers, stallWatchers, many } = options;
  const present = [...sides.keys()];
  const of = (side: Side): Bench => sides.get(side) as Bench;
  const cpuSeconds = (side: Side) => (): number =>
    of(side).api.server.usage().cpuSeconds + of(side).api.store.usage().cpuSeconds;
  const comparisons: Comparison[] = [];
  let hasPods = false;
  const fillPods = async (): Promise<void> => {
    if (hasPods) return;
    hasPods = true;
    for (const { client } of sides.values())
      await fill(client, pods, 0, options.pods, (index) => pod(`pod-${index}`));
  };
  for (const { name, clients: counts, needsPods, operation } of apiWorkloads(objects, options.pods)) {
    if (!name.includes(only)) continue;
    if (needsPods === true) await fillPods();
    for (const clients of counts) {
      const grown = new Map<Side, number>();
      const comparison = await interleave(name, clients, { rounds, present }, async (side, round) => {
        const memory = needsPods === true ? followMemory(of(side).api) : undefined;
        const run = await closedLoop({
          clients,
          seconds: secondsPerRun,
          cpuSeconds: cpuSeconds(side),
          operation: (index) => operation(of(side).client, index, `${clients}-${round}`),
        });
        if (memory) grown.set(side, Math.max(grown.get(side) ?? 0, memory()));
        return run;
      });
      comparisons.push(comparison);
      if (needsPods === true) {
        const shown = (side: Side): string => grown.get(side)?.toFixed(0) ?? '–';
        growth.push([
          `${name}, ${clients} client${clients === 1 ? '' : 's'}`,
          shown('ours'),
          shown('upstream'),
        ]);
      }
    }
  }
  const watch = async (name: string, count: number, stalled: number, pauseMs: number): Promise<void> => {
    if (!name.includes(only)) return;
    comparisons.push(
      await interleave(name, count, { rounds, present }, (side) =>
        watchFanOut(of(side).api, {
          watchers: count,
          stalled,
          seconds: secondsPerRun,
          pauseMs,
          cpuSeconds: cpuSeconds(side),
        }),
      ),
    );
  };
  await watch(`watch events delivered, ${watchers} watchers`, watchers, 0, 0);
  await watch(`watch events, none of ${stallWatchers} stalled`, stallWatchers, 0, stallPauseMs);
  await watch(`watch events, one of ${stallWatchers} stalled`, stallWatchers - 1, 1, stallPauseMs);
  if (many > 0 && 'GET among many'.includes(only)) {
    let count = objects;
    for (const wanted of [objects, many]) {
      for (const { client } of sides.values())
        await fill(client, configMaps, count, wanted, (index) => configMap(`cm-${index}`));
      count = wanted;
      comparisons.push(
        await interleave(`GET among ${wanted}`, connections, { rounds, present }, (side) =>
          closedLoop({
            clients: connections,
            seconds: secondsPerRun,
            cpuSeconds: cpuSeconds(side),
            operation: (index) =>
              of(side).client.expect(200, 'GET', `${configMaps}/cm-${(index * 7919) % wanted}`, undefined, {
                keepBody: false,
              }),
          }),
        ),
      );
    }
  }
  return comparisons;
}

/** Samples the server's memory until the returned function is called, which gives its highest growth in MiB. */
function followMemory(api: ApiSide): () => number {
  const before = api.server.usage().rssMiB;
  let highest = before;
  const sample = (): void => {
    highest = Math.max(highest, api.server.usage().rssMiB);
  };
  const timer = setInterval(sample, sampleMs);
  return () => {
    clearInterval(timer);
    sample();
    return highest - before;
  };
}
