import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClusterAccess } from '@pilothouse/client';
import { createHttp2Transport, loadKubeconfig } from '@pilothouse/client';
import { nodeClock, parseDuration } from '@pilothouse/host';
import { makeReport, renderHtml } from './runner/report.ts';
import { readSamples } from './runner/samples.ts';

const scenarioFolder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'scenarios');
const scenarios = readdirSync(scenarioFolder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));

const usage = `npm run load -- SCENARIO --kubeconfig FILE [--duration 30s] [--scale 1] [--out DIR]

Scenarios: ${scenarios.join(', ')}; all: one after the other
  --kubeconfig FILE  any cluster; default: KUBECONFIG
  --duration TIME    how long load is made (30s, 5m)
  --scale NUMBER     factor for users and objects
  --out DIR          where report.html and report.json go, a folder for each scenario; default: load-reports
K6 names the k6 to use; without it, k6 of the PATH.
`;

const noK6 = `Cannot find k6. Get it, version 1.0 or later (it must run TypeScript), in one of these ways:
  go install go.k6.io/k6@v1.8.1       puts it into $(go env GOPATH)/bin
  a package of https://github.com/grafana/k6/releases
and put it into the PATH, or name it: K6=/path/to/k6
`;

class UsageError extends Error {}

interface Arguments {
  readonly names: readonly string[];
  readonly kubeconfig: string;
  readonly durationSeconds: number;
  readonly scale: number;
  readonly out: string;
}

function parseArguments(argv: readonly string[]): Arguments {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help') throw new UsageError(usage);
  if (name !== 'all' && !scenarios.includes(name))
    throw new UsageError(`Unknown scenario "${name}": want ${scenarios.join(', ')} or all\n`);
  const given = new Map<string, string>();
  for (let index = 0; index < rest.length; index++) {
    const [flag = '', value] = (rest[index] as string).split(/=(.*)/s, 2);
    if (!['--kubeconfig', '--duration', '--scale', '--out'].includes(flag))
      throw new UsageError(`Unknown flag "${flag}"\n\n${usage}`);
    const text = value ?? rest[++index];
    if (text === undefined) throw new UsageError(`${flag} needs a value\n`);
    given.set(flag, text);
  }
  const kubeconfig = given.get('--kubeconfig') ?? process.env['KUBECONFIG'];
  if (kubeconfig === undefined || kubeconfig === '')
    throw new UsageError('Name a cluster: --kubeconfig FILE, or set KUBECONFIG\n');
  let durationMs: number;
  try {
    durationMs = parseDuration(given.get('--duration') ?? '30s');
  } catch {
    durationMs = NaN;
  }
  const scale = Number(given.get('--scale') ?? '1');
  if (!(durationMs >= 1000)) throw new UsageError('--duration: want at least 1s, for example 30s or 5m\n');
  if (!(scale > 0)) throw new UsageError('--scale: want a number above 0\n');
  return {
    names: name === 'all' ? scenarios : [name],
    kubeconfig,
    durationSeconds: Math.round(durationMs / 1000),
    scale,
    out: given.get('--out') ?? 'load-reports',
  };
}

function findK6(): string {
  const program = process.env['K6'] ?? 'k6';
  const answer = spawnSync(program, ['version'], { encoding: 'utf8' });
  if (answer.error !== undefined || answer.status !== 0) throw new UsageError(noK6);
  const major = Number(/k6(?:\.exe)? v(\d+)\./.exec(answer.stdout)?.[1] ?? 0);
  if (major < 1) throw new UsageError(`${answer.stdout.trim()} is too old.\n${noK6}`);
  return program;
}

/** Writes the credentials where only this user reads them; k6 takes them from files, not from its command line. */
function environmentFor(access: ClusterAccess, directory: string): Record<string, string> {
  const file = (name: string, text: string): string => {
    const full = path.join(directory, name);
    writeFileSync(full, text, { mode: 0o600 });
    return full;
  };
  return {
    SERVER: access.server.replace(/\/$/, ''),
    ...(access.ca === undefined ? {} : { SSL_CERT_FILE: file('ca.crt', access.ca) }),
    ...(access.cert === undefined || access.key === undefined
      ? {}
      : { CERT_FILE: file('client.crt', access.cert), KEY_FILE: file('client.key', access.key) }),
    ...(access.token === undefined ? {} : { TOKEN_FILE: file('token', access.token) }),
    // k6 has no way to expect another name in the certificate than the one it dials.
    INSECURE: access.insecureSkipTlsVerify === true || access.serverName !== undefined ? '1' : '0',
  };
}

async function runScenario(name: string, k6: string, options: Arguments): Promise<boolean> {
  const { durationSeconds, scale } = options;
  const access = loadKubeconfig(options.kubeconfig);
  if (access.token === undefined && access.cert === undefined)
    throw new UsageError(
      `${options.kubeconfig} has neither a client certificate nor a token for its user. Users by exec or auth-provider are not supported: make a token with kubectl create token\n`,
    );
  const out = path.resolve(options.out, name);
  mkdirSync(out, { recursive: true });
  const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-load-'));
  try {
    const samples = path.join(directory, 'samples.csv');
    const summary = path.join(directory, 'summary.json');
    const startedAt = new Date();
    const child = spawn(
      k6,
      [
        'run',
        '--quiet',
        '--no-usage-report',
        '--out',
        `csv=${samples}`,
        path.join(scenarioFolder, `${name}.ts`),
      ],
      {
        stdio: ['ignore', 'inherit', 'inherit'],
        env: {
          ...process.env,
          ...environmentFor(access, directory),
          DURATION_SECONDS: String(durationSeconds),
          SCALE: String(scale),
          SUMMARY_FILE: summary,
          RUN_ID: startedAt.getTime().toString(36),
          K6_CSV_TIME_FORMAT: 'unix',
        },
      },
    );
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
    const code = await new Promise<number>((resolve) => child.once('exit', (status) => resolve(status ?? 1)));
    // 99: thresholds were crossed, which the report tells.
    if (code !== 0 && code !== 99) {
      process.stderr.write(`${name}: k6 ended with status ${code}, there is no report\n`);
      return false;
    }
    const report = makeReport(
      {
        scenario: name,
        server: access.server,
        serverVersion: await serverVersion(options.kubeconfig),
        startedAt: startedAt.toISOString(),
        durationSeconds,
        scale,
        command: `npm run load -- ${name} --kubeconfig ${options.kubeconfig} --duration ${durationSeconds}s --scale ${scale}`,
      },
      JSON.parse(readFileSync(summary, 'utf8')) as Parameters<typeof makeReport>[1],
      await readSamples(samples),
    );
    writeFileSync(path.join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
    writeFileSync(path.join(out, 'report.html'), renderHtml(report));
    const { count, perSecond, failed } = report.requests;
    process.stdout.write(`${name}: ${report.verdict}, ${count} requests, ${perSecond}/s, ${failed} failed\n`);
    for (const { metric, limit, ok, measured } of report.thresholds) {
      const p99 = measured['p(99)'] === undefined ? '' : `, p99 ${measured['p(99)'].toFixed(1)} ms`;
      process.stdout.write(`  ${ok ? 'pass' : 'FAIL'}  ${metric} ${limit}${p99}\n`);
    }
    process.stdout.write(`  ${path.join(out, 'report.html')}\n`);
    return report.verdict === 'pass';
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function serverVersion(kubeconfig: string): Promise<string> {
  const transport = createHttp2Transport(loadKubeconfig(kubeconfig), nodeClock);
  try {
    const { body } = await transport.request({ method: 'GET', path: '/version', timeoutMs: 5000 });
    let text = '';
    for await (const piece of body) text += Buffer.from(piece).toString();
    return (JSON.parse(text) as { gitVersion?: string }).gitVersion ?? 'unknown version';
  } catch {
    return 'unknown version';
  } finally {
    transport.close();
  }
}

try {
  const options = parseArguments(process.argv.slice(2));
  const k6 = findK6();
  let passed = true;
  for (const name of options.names) passed = (await runScenario(name, k6, options)) && passed;
  process.exit(passed ? 0 : 1);
} catch (error) {
  process.stderr.write(error instanceof Error ? `${error.message}\n` : String(error));
  process.exit(2);
}
