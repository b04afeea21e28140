import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { createEtcdClient, prefixEnd, type EtcdClient } from '@pilothouse/etcd-client';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import type { Comparison, Side } from './measure.ts';
import { closedLoop, interleave } from './measure.ts';
import { freePorts, ServerProcess } from './server-process.ts';

export interface BenchOptions {
  readonly rounds: number;
  readonly secondsPerRun: number;
  readonly directory: string;
}

const memberCount = 3;
const keyCount = 10_000;
/** More connections than this would measure the client. */
const connectionsMax = 8;
const value = Buffer.alloc(256, 0x76);
const key = (index: number): Buffer => Buffer.from(`/bench/${String(index % keyCount).padStart(8, '0')}`);

/** What clients do with any etcd v3 server. */
export const storeWorkloads: Readonly<
  Record<string, (client: EtcdClient, index: number) => Promise<unknown>>
> = {
  'put 256 B': (client, index) => client.kv.put({ key: key(index), value }),
  'range, linearizable': (client, index) => client.kv.range({ key: key(index) }),
  'range, serializable': (client, index) => client.kv.range({ key: key(index), serializable: true }),
  'list 100': (client, index) =>
    client.kv.range({ key: key(index), rangeEnd: prefixEnd(Buffer.from('/bench/')), limit: 100 }),
};

/** Each connection talks to one member, the next one to the next member, beginning with member `first`. */
export function connectStore(endpoints: readonly string[], clients: number, first = 0): EtcdClient[] {
  return Array.from({ length: Math.min(clients, connectionsMax) }, (_, index) =>
    createEtcdClient({
      endpoints: [endpoints[(first + index) % endpoints.length] as string],
      clock: nodeClock,
      random: nodeRandom,
    }),
  );
}

interface Cluster {
  readonly endpoints: readonly string[];
  readonly members: readonly ServerProcess[];
}

async function startCluster(side: Side, program: string, directory: string): Promise<Cluster> {
  const ports = await freePorts(memberCount * 2);
  const client = (index: number): string => `http://127.0.0.1:${ports[index]}`;
  const peer = (index: number): string => `http://127.0.0.1:${ports[memberCount + index]}`;
  const indexes = Array.from({ length: memberCount }, (_, index) => index);
  const members = indexes.map((index) => {
    const home = path.join(directory, `${side}-${index}`);
    mkdirSync(home, { recursive: true });
    const args = [
      `--name=m${index}`,
      `--data-dir=${path.join(home, 'data')}`,
      `--listen-client-urls=${client(index)}`,
      `--advertise-client-urls=${client(index)}`,
      `--listen-peer-urls=${peer(index)}`,
      `--initial-advertise-peer-urls=${peer(index)}`,
      `--initial-cluster=${indexes.map((each) => `m${each}=${peer(each)}`).join(',')}`,
      '--log-level=warn',
    ];
    return new ServerProcess(`${side}-store-${index}`, program, args, home);
  });
  const endpoints = indexes.map(client);
  for (const [index, member] of members.entries()) {
    await member.waitUntil(async () => (await fetch(`${endpoints[index]}/health`)).ok);
  }
  return { endpoints, members };
}

/** Three members of each side, plain HTTP/2, data on the disk of `directory`, fsync on. */
export async function benchStore(
  programs: Readonly<Partial<Record<Side, string>>>,
  options: BenchOptions,
): Promise<{ comparisons: Comparison[]; memory: string[][] }> {
  const clusters = new Map<Side, Cluster>();
  for (const [side, program] of Object.entries(programs) as [Side, string][])
    clusters.set(side, await startCluster(side, program, options.directory));
  const rssOf = (cluster: Cluster): string =>
    cluster.members.map((member) => member.usage().rssMiB.toFixed(0)).join(' + ');
  const before = new Map([...clusters].map(([side, cluster]) => [side, rssOf(cluster)]));
  const comparisons: Comparison[] = [];
  try {
    for (const workload of ['put 256 B', 'range, linearizable']) {
      const operation = storeWorkloads[workload] as (client: EtcdClient, index: number) => Promise<unknown>;
      for (const clients of [1, 100]) {
        const present = [...clusters.keys()];
        comparisons.push(
          await interleave(workload, clients, { rounds: options.rounds, present }, async (side, round) => {
            const cluster = clusters.get(side) as Cluster;
            const connections = connectStore(cluster.endpoints, clients, round);
            try {
              await Promise.all(connections.map((connection) => connection.status()));
              return await closedLoop({
                clients,
                seconds: options.secondsPerRun,
                cpuSeconds: () => sum(cluster.members.map((member) => member.usage().cpuSeconds)),
                operation: (index, client) =>
                  operation(connections[client % connections.length] as EtcdClient, index),
              });
            } finally {
              for (const connection of connections) connection.close();
            }
          }),
        );
      }
    }
    const memory = [...clusters].map(([side, cluster]) => [
      `store members, ${side}`,
      before.get(side) ?? '',
      rssOf(cluster),
    ]);
    return { comparisons, memory };
  } finally {
    for (const { members } of clusters.values()) await Promise.all(members.map((member) => member.stop()));
  }
}

export const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0);
