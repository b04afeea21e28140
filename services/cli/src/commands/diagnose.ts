import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { errorMessage } from '@pilothouse/base';
import type { FlagSpecs } from '@pilothouse/host';
import { buildLabels, nodeClock } from '@pilothouse/host';
import { redact, redactArgument } from '../diagnose/redact.ts';
import type { ArchiveFile } from '../diagnose/tar.ts';
import { tarOf } from '../diagnose/tar.ts';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';
import { pkiDirectory } from '../plane/layout.ts';
import { probe } from '../plane/readiness.ts';
import type { PlaneState } from '../plane/state-file.ts';
import { openPlane, planeFlags } from './shared.ts';
import { planeStatus } from './status.ts';

export const diagnoseFlags: FlagSpecs = {
  ...planeFlags,
  output: {
    type: 'string',
    default: '',
    help: 'File of the archive (default: pilothouse-diagnose-<time>.tar.gz here)',
  },
  'log-bytes': { type: 'integer', default: 256 * 1024, help: 'How much of the end of each log is taken' },
};

/** Ports of members' metrics are that much above those for clients. */
const storeMetricsOffset = 20;

/** `pilothouse diagnose`: what a report of a fault needs, in one archive without secrets. What cannot be had is told in its place. */
export async function diagnose(argv: readonly string[]): Promise<void> {
  const { dataDir, state, values } = openPlane(diagnoseFlags, argv);
  const time = new Date(nodeClock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  const output = path.resolve(
    (values['output'] as string) || `pilothouse-diagnose-${time.replace(/[:]/g, '')}.tar.gz`,
  );
  const files = await collect(dataDir, state, values['log-bytes'] as number);
  const archive = gzipSync(
    tarOf(
      files.map(({ name, text }) => ({ name: `diagnose/${name}`, text: redact(text) })),
      Math.floor(nodeClock.now() / 1000),
    ),
  );
  try {
    writeFileSync(output, archive, { mode: 0o600 });
  } catch (error) {
    throw new CommandError(`Cannot write "${output}": ${errorMessage(error)}`);
  }
  process.stdout.write(
    `${output}: ${files.length} files, ${archive.length} bytes. Secrets were taken out; have a look before you give it away.\n`,
  );
}

async function collect(dataDir: string, state: PlaneState, logBytes: number): Promise<ArchiveFile[]> {
  const files: ArchiveFile[] = [];
  const add = async (name: string, content: () => string | Promise<string>): Promise<void> => {
    let text: string;
    try {
      text = await content();
    } catch (error) {
      text = `Cannot be had: ${errorMessage(error)}\n`;
    }
    files.push({ name, text });
  };
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  const pem = (file: string): string => readFileSync(path.join(pkiDirectory(dataDir), file), 'utf8');
  const get = async (url: string): Promise<string> => {
    const identity = url.startsWith('https:')
      ? { ca: pem('ca.crt'), cert: pem('admin.crt'), key: pem('admin.key') }
      : {};
    const answer = await probe({ url, timeoutMs: limits.probeTimeoutMs, ...identity });
    if (answer === undefined) throw new Error(`${url} does not answer`);
    return answer.status === 200 ? answer.body : `Status ${answer.status}\n${answer.body}`;
  };

  await add('versions.json', () =>
    json({
      pilothouse: buildLabels,
      node: process.versions,
      system: { platform: process.platform, release: os.release(), arch: process.arch },
      machine: {
        processors: os.cpus().length,
        memoryBytes: os.totalmem(),
        freeBytes: os.freemem(),
        load: os.loadavg(),
      },
    }),
  );
  await add('status.json', async () => json(await planeStatus(dataDir, state, { withVersions: true })));
  await add('flags.json', () => json(commandLines(state)));
  await add('readyz.txt', () => get(`${state.server}/readyz?verbose`));
  await add('server-version.json', () => get(`${state.server}/version`));
  for (const [name, url] of [
    ['nodes', '/api/v1/nodes'],
    ['events', '/api/v1/events?limit=500'],
    ['leases', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'],
    ['apiservices', '/apis/apiregistration.k8s.io/v1/apiservices'],
  ] as const)
    await add(`api/${name}.json`, async () => json(JSON.parse(await get(`${state.server}${url}`))));
  for (const { component, name, address } of state.processes) {
    if (component === 'load-balancer' || component === 'node-agent') continue;
    await add(`metrics/${name}.txt`, () => get(metricsUrl(component, address)));
  }
  const logs = path.join(dataDir, 'logs');
  for (const file of readdirSync(logs).filter((each) => each.endsWith('.log')))
    await add(`logs/${file}`, () => tail(path.join(logs, file), logBytes));
  return files;
}

function metricsUrl(component: string, address: string): string {
  if (component !== 'store') return `https://${address}/metrics`;
  const colon = address.lastIndexOf(':');
  return `http://${address.slice(0, colon)}:${Number(address.slice(colon + 1)) + storeMetricsOffset}/metrics`;
}

/** As the processes were really started, where the system tells; without secrets. */
function commandLines(state: PlaneState): object {
  return Object.fromEntries(
    state.processes.map(({ name, pid }) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
          .split('\0')
          .filter((each) => each !== '');
        return [name, line.map(redactArgument)];
      } catch {
        return [name, 'not running, or this system does not tell'];
      }
    }),
  );
}

/** The last lines of a file, whole ones. */
function tail(file: string, bytes: number): string {
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const length = Math.min(size, bytes);
    const buffer = Buffer.alloc(length);
    readSync(descriptor, buffer, 0, length, size - length);
    const text = buffer.toString('utf8');
    return length < size ? text.slice(text.indexOf('\n') + 1) : text;
  } finally {
    closeSync(descriptor);
  }
}
