import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { createEtcdClient, type EtcdClient } from '@pilothouse/etcd-client';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { closedLoop, type Run, type Side } from './measure.ts';
import { freePorts, pause, ServerProcess } from './server-process.ts';

/** More connections than this would measure the client. */
const connectionsMax = 8;

/** Each connection talks to one member, the next one to the next member, beginning with member `first`. */
export function connectStore(endpoints: readonly string[], clients: number, first = 0): EtcdClient[] {
  return Array.from({ length: Math.min(clients, connectionsMax) }, (_, index) =>
    connectTo([endpoints[(first + index) % endpoints.length] as string]),
  );
}

/** A client that goes from one endpoint to the next when it has to. */
export function connectTo(endpoints: readonly string[]): EtcdClient {
  return createEtcdClient({ endpoints, clock: nodeClock, random: nodeRandom });
}

/** Members of one side on ports of their own, plain HTTP/2, data below a directory of their own, fsync on. */
export class StoreCluster {
  readonly endpoints: readonly string[];
  readonly #start: (index: number) => ServerProcess;
  readonly members: ServerProcess[];

  private constructor(endpoints: readonly string[], start: (index: number) => ServerProcess) {
    this.endpoints = endpoints;
    this.#start = start;
    this.members = endpoints.map((_, index) => start(index));
  }

  static async start(
    side: Side,
    program: string,
    directory: string,
    options: {
      readonly members: number;
      readonly args?: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
    } = { members: 3 },
  ): Promise<StoreCluster> {
    const count = options.members;
    const ports = await freePorts(count * 2);
    const client = (index: number): string => `http://127.0.0.1:${ports[index]}`;
    const peer = (index: number): string => `http://127.0.0.1:${ports[count + index]}`;
    const indexes = Array.from({ length: count }, (_, index) => index);
    const cluster = new StoreCluster(indexes.map(client), (index) => {
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
        '--log-level=error',
        ...(options.args ?? []),
      ];
      return new ServerProcess(`${side}-store-${index}`, program, args, home, options.env);
    });
    await cluster.ready();
    return cluster;
  }

  async ready(): Promise<void> {
    for (const [index, member] of this.members.entries()) {
      await member.waitUntil(async () => (await fetch(`${this.endpoints[index]}/health`)).ok);
    }
  }

  /** Starts an ended member again; resolves when it answers a linearizable read, with the milliseconds that took. */
  async restart(index: number): Promise<number> {
    const began = performance.now();
    const member = this.#start(index);
    this.members[index] = member;
    const client = connectTo([this.endpoints[index] as string]);
    try {
      for (;;) {
        const isUp = await client.kv.range({ key: Buffer.from('/') }, { timeoutMs: 2000 }).then(
          () => true,
          () => false,
        );
        if (isUp) return performance.now() - began;
        if (member.hasEnded) throw new Error(`${member.name} ended at start`);
        await pause(20);
      }
    } finally {
      client.close();
    }
  }

  /** Index of the member that leads. */
  async leader(): Promise<number> {
    for (;;) {
      for (const [index, endpoint] of this.endpoints.entries()) {
        const client = connectTo([endpoint]);
        try {
          const { header, leader } = await client.status();
          if (header !== undefined && header.memberId === leader) return index;
        } finally {
          client.close();
        }
      }
      await pause(100);
    }
  }

  cpuSeconds(): number {
    return this.members.reduce((total, member) => total + member.usage().cpuSeconds, 0);
  }

  rss(): string {
    return this.members.map((member) => member.usage().rssMiB.toFixed(0)).join(' + ');
  }

  /** `clients` closed loops over connections that are spread over the members, beginning with member `first`. */
  async run(
    options: { readonly clients: number; readonly seconds: number; readonly first?: number },
    operation: (client: EtcdClient, index: number) => Promise<unknown>,
  ): Promise<Run> {
    const connections = connectStore(this.endpoints, options.clients, options.first);
    try {
      await Promise.all(connections.map((connection) => connection.status()));
      return await closedLoop({
        clients: options.clients,
        seconds: options.seconds,
        cpuSeconds: () => this.cpuSeconds(),
        operation: (index, client) =>
          operation(connections[client % connections.length] as EtcdClient, index),
      });
    } finally {
      for (const connection of connections) connection.close();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
  }
}
