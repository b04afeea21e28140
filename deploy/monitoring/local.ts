import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));

/** How far the ports of metrics are above those for clients in a plane of `pilothouse up`. */
const metricsOffset: Readonly<Record<string, number>> = { store: 20, console: 1 };

const jobs: Readonly<Record<string, string>> = {
  apiserver: 'kube-apiserver',
  scheduler: 'kube-scheduler',
  'controller-manager': 'kube-controller-manager',
  store: 'etcd',
  console: 'pilothouse-console',
};

interface ProcessRecord {
  readonly component: string;
  readonly address: string;
}

export interface LocalMonitoring {
  /** For --config.file. */
  readonly configFile: string;
  /** host:port by job. */
  readonly targets: ReadonlyMap<string, readonly string[]>;
}

/** Writes a Prometheus configuration for the plane of `pilothouse up --data-dir dataDir` into `directory`. */
export function writeLocalMonitoring(
  dataDir: string,
  directory: string,
  options: { readonly scrapeSeconds?: number } = {},
): LocalMonitoring {
  const state = JSON.parse(readFileSync(path.join(dataDir, 'run', 'state.json'), 'utf8')) as {
    processes: ProcessRecord[];
  };
  const targets = new Map<string, string[]>();
  for (const { component, address } of state.processes) {
    const job = jobs[component];
    if (job === undefined) continue;
    const colon = address.lastIndexOf(':');
    const port = Number(address.slice(colon + 1)) + (metricsOffset[component] ?? 0);
    targets.set(job, [...(targets.get(job) ?? []), `${address.slice(0, colon)}:${port}`]);
  }
  mkdirSync(path.join(directory, 'targets'), { recursive: true });
  cpSync(path.join(here, 'rules'), path.join(directory, 'rules'), { recursive: true });
  writeFileSync(
    path.join(directory, 'targets', 'local.yaml'),
    Array.from(
      targets,
      ([job, addresses]) =>
        `- labels: { component: ${job}${job === jobs['console'] ? ', scheme: http' : ''} }\n  targets: [${addresses.join(', ')}]\n`,
    ).join(''),
  );
  const configFile = path.join(directory, 'prometheus.yml');
  const pki = path.resolve(dataDir, 'pki');
  let text = readFileSync(path.join(here, 'prometheus.yml'), 'utf8').replaceAll('/pki/', `${pki}/`);
  if (options.scrapeSeconds !== undefined)
    text = text.replace(/(scrape|evaluation)_interval: \d+s/g, `$1_interval: ${options.scrapeSeconds}s`);
  writeFileSync(configFile, text);
  return { configFile, targets };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [dataDir, directory] = process.argv.slice(2);
  if (dataDir === undefined || directory === undefined) {
    process.stderr.write('usage: node scripts/run.mjs deploy/monitoring/local.ts DATA_DIR DIRECTORY\n');
    process.exit(2);
  }
  const { configFile } = writeLocalMonitoring(dataDir, directory);
  process.stdout.write(`prometheus --config.file=${configFile} --storage.tsdb.path=${directory}/data\n`);
}
