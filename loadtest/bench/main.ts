// Side-by-side benchmarks; docs/performance.md tells what is measured and how to read it.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { errorMessage } from '@pilothouse/base';
import { benchApi } from './api-bench.ts';
import { comparisonTable, markdownTable } from './measure.ts';
import { benchDefinitions } from './crd-bench.ts';
import { benchPlane } from './plane-bench.ts';
import { findUpstream, repository, storeProgram, versionOf } from './programs.ts';
import { stopAll } from './server-process.ts';
import { benchStore } from './store-bench.ts';
import { benchRecovery } from './store-recovery.ts';

const usage = `npm run bench -- [store] [api] [crds] [plane] [flags]      default: all four

  --quick           a minute in all: short runs, one round, fewer objects
  --rounds=N        rounds of each pair (default 3); the medians are printed
  --seconds=N       seconds of each run (default 5)
  --objects=N       ConfigMaps that are read and written (default 1000)
  --pods=N          pods in the list (default 10000)
  --watchers=N      watchers of the fan-out (default 500)
  --definitions=N   CustomResourceDefinitions that are made (default 500)
  --stall=N         watchers of which one stalls (default 1000)
  --many=N          ConfigMaps of the question whether GET stays as fast (default 100000; 0: not asked)
  --keys=N          keys of the large store that compacts and starts again (default 1000000)
  --value=N         bytes of each of its values (default 256)
  --only=TEXT       of the API's and the store's workloads only those whose name contains it (store also: kill, large)
  --node-arg=FLAG   an option of Node for our API server, e.g. --node-arg=--cpu-prof; may be repeated

ETCD and KUBE_APISERVER name the upstream programs, PEERS_DIR a directory with both, BENCH_DIR where the data goes
(on a real disk, or fsync costs nothing), BENCH_PORT the first of the plane's 71 ports
(default: a free range from 17443 on).
`;

const args = process.argv.slice(2);
const sections = ['store', 'api', 'crds', 'plane'];
const known =
  /^--(quick|(rounds|seconds|objects|pods|watchers|definitions|stall|many|keys|value)=\d+(\.\d+)?|(node-arg|only)=.+)$/;
const unknown = args.find((each) => !sections.includes(each) && !known.test(each));
if (unknown !== undefined) {
  process.stdout.write(unknown === '--help' ? usage : `Unknown argument "${unknown}"\n${usage}`);
  process.exit(unknown === '--help' ? 0 : 2);
}
const quick = args.includes('--quick');
const number = (name: string, normal: number, quickly: number): number =>
  Number(args.find((each) => each.startsWith(`--${name}=`))?.split('=')[1] ?? (quick ? quickly : normal));
const wanted = args.some((each) => sections.includes(each))
  ? sections.filter((each) => args.includes(each))
  : sections;

if (!existsSync(path.join(repository, 'services', 'store', 'dist', 'index.js'))) {
  process.stdout.write(`${storeProgram} is not compiled yet. Run "npm run build" first.\n`);
  process.exit(2);
}
const directory = mkdtempSync(path.join(process.env['BENCH_DIR'] ?? os.tmpdir(), 'pilothouse-bench-'));
const cleanUp = async (): Promise<void> => {
  await stopAll();
  rmSync(directory, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
}

const upstream = findUpstream();
const options = {
  directory,
  rounds: number('rounds', 3, 1),
  secondsPerRun: number('seconds', 5, 1),
  objects: number('objects', 1000, 1000),
  pods: number('pods', 10_000, 2000),
  watchers: number('watchers', 500, 200),
  definitions: number('definitions', 500, 100),
  stallWatchers: number('stall', 1000, 200),
  many: number('many', 100_000, 5000),
  keys: number('keys', 1_000_000, 50_000),
  valueBytes: number('value', 256, 256),
  only: args.find((each) => each.startsWith('--only='))?.slice(7) ?? '',
  nodeArguments: args.filter((each) => each.startsWith('--node-arg=')).map((each) => each.slice(11)),
};
const say = (text = ''): void => void process.stdout.write(`${text}\n`);

say(
  `${os.cpus().length} × ${os.cpus()[0]?.model ?? 'CPU'}, ${(os.totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)} at the start`,
);
say(
  `etcd: ${upstream.etcd === undefined ? 'not found, only our side is measured' : versionOf(upstream.etcd)}`,
);
say(
  `kube-apiserver: ${upstream.kubeApiserver === undefined ? 'not found, only our side is measured' : versionOf(upstream.kubeApiserver)}`,
);
say(`${options.rounds} round(s) of ${options.secondsPerRun} s, medians`);

const parts: Readonly<Record<string, () => Promise<void>>> = {
  async store() {
    const programs = {
      ours: storeProgram,
      ...(upstream.etcd === undefined ? {} : { upstream: upstream.etcd }),
    };
    const { comparisons, memory } = await benchStore(programs, options);
    say(`\n### Store, 3 members, fsync on\n\n${comparisonTable(comparisons)}\n\n${memoryTable(memory)}`);
    const rows = await benchRecovery(programs, options);
    say(`\n### Store: failure, restart, many keys\n\n${markdownTable(['what', 'ours', 'upstream'], rows)}`);
  },
  async api() {
    const { comparisons, memory, growth } = await benchApi(upstream, options);
    const grown = markdownTable(['highest growth of the RSS, MiB', 'ours', 'upstream'], growth);
    say(
      `\n### API server on a store of 1 member, TLS, client certificate\n\n${comparisonTable(comparisons)}\n\n${memoryTable(memory)}\n\n${grown}`,
    );
  },
  async crds() {
    const rows = await benchDefinitions(upstream, options);
    say(`\n### CustomResourceDefinitions\n\n${markdownTable(['what', 'ours', 'upstream'], rows)}`);
  },
  async plane() {
    const rows = await benchPlane({ rounds: options.rounds, idleSeconds: quick ? 5 : 20 });
    say(`\n### Plane, 3 members, 3 API servers\n\n${markdownTable(['what', 'value'], rows)}`);
  },
};

const memoryTable = (rows: readonly (readonly string[])[]): string =>
  markdownTable(['RSS, MiB', 'after start', 'after the runs'], rows);

let failed = false;
try {
  for (const part of wanted) {
    try {
      await parts[part]?.();
    } catch (error) {
      // The other parts are still worth measuring.
      failed = true;
      say(`\n${part}: ${errorMessage(error)}`);
    }
  }
} finally {
  await cleanUp();
}
process.exit(failed ? 1 : 0);
