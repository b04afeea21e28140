// Put and range against any etcd v3 endpoints, side by side:
//   node scripts/run.mjs loadtest/bench/store.ts ours=http://127.0.0.1:2379 etcd=http://127.0.0.1:3379 [--seconds=5] [--clients=1,100]
// The same client drives both, so the numbers compare; it shares the machine, so they are not the most a server can do.
import type { EtcdClient } from '@pilothouse/etcd-client';
import { closedLoop, markdownTable } from './measure.ts';
import { storeWorkloads } from './store-bench.ts';
import { connectStore } from './store-cluster.ts';

const targets = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const option = (name: string, fallback: string): string =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? fallback;

if (targets.length === 0) {
  console.error('Usage: store.ts NAME=ENDPOINT[,ENDPOINT…] … [--seconds=5] [--clients=1,100] [--only=put]');
  process.exitCode = 1;
}
const rows: string[][] = [];
for (const [workload, operation] of Object.entries(storeWorkloads)) {
  if (!workload.includes(option('only', ''))) continue;
  for (const clients of option('clients', '1,100').split(',').map(Number)) {
    for (const target of targets) {
      const equals = target.indexOf('=');
      const connections = connectStore(target.slice(equals + 1).split(','), clients);
      await Promise.all(connections.map((connection) => connection.status()));
      const run = await closedLoop({
        clients,
        seconds: Number(option('seconds', '5')),
        cpuSeconds: () => 0,
        operation: (index, client) =>
          operation(connections[client % connections.length] as EtcdClient, index),
      });
      for (const connection of connections) connection.close();
      rows.push([
        workload,
        String(clients),
        target.slice(0, equals),
        run.perSecond.toFixed(0),
        run.p50Ms.toFixed(2),
        run.p99Ms.toFixed(2),
      ]);
    }
  }
}
console.log(markdownTable(['workload', 'clients', 'target', 'per second', 'p50 ms', 'p99 ms'], rows));
