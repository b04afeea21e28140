// npm run robustness -- --minutes N [--faults a,b] [--seed S] [--rounds R] [--target pilothouse|etcd] [--twin NAME] [--twins] [--members 3|5]
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { etcdTarget, isBuilt, pilothouseTarget } from './cluster/target.ts';
import type { Target } from './cluster/target.ts';
import { FaultCycle } from './faults/fault-cycle.ts';
import { faults } from './faults/index.ts';
import type { Fault } from './faults/index.ts';
import { runRound } from './round.ts';
import { Sandbox } from './sandbox/sandbox.ts';
import { twins } from './twins/twins.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    rounds: { type: 'string' },
    faults: { type: 'string' },
    seed: { type: 'string' },
    members: { type: 'string' },
    target: { type: 'string', default: 'pilothouse' },
    twin: { type: 'string' },
    twins: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    port: { type: 'string', default: '22000' },
    // Set by the outer process for the one in namespaces of its own.
    inside: { type: 'string' },
    plain: { type: 'boolean', default: false },
  },
});

function usageError(text: string): never {
  console.error(text);
  process.exit(2);
}

function number(name: 'minutes' | 'rounds' | 'seed' | 'members' | 'port', fallback: number): number {
  const text = values[name];
  const value = text === undefined ? fallback : Number(text);
  if (Number.isNaN(value) || value < 0) usageError(`--${name} takes a number, got "${text ?? ''}"`);
  return value;
}

const minutes = number('minutes', 3);
/** Longest round: faults, leases that run out, reading the history. */
const graceMinutes = 4;

if (values.list) {
  console.log(`Faults: ${faults.map(({ name }) => name).join(' ')}`);
  console.log(`Twins:  ${twins.map(({ name }) => name).join(' ')}`);
} else if (values.inside === undefined) await outside();
else await inside(values.inside);

/** Starts the checker in namespaces of its own, where everything it makes ends with it, and removes its files afterwards. */
async function outside(): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'robustness-'));
  const program = [
    process.execPath,
    '--conditions=source',
    '--import',
    'tsx',
    fileURLToPath(import.meta.url),
    ...process.argv.slice(2),
    '--inside',
    directory,
  ];
  const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const forms = [namespaces, ['--user', '--map-root-user', ...namespaces]];
  const form = forms.find((flags) => spawnSync('unshare', [...flags, 'true']).status === 0);
  const [file, ...args] = form ? ['unshare', ...form, ...program] : [...program, '--plain'];
  const child = spawn(file as string, args, { stdio: 'inherit' });
  // unshare does not pass signals on; its child and all of that one's children end with it.
  const end = (): void => void child.kill('SIGKILL');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  const limit = values.twins ? twins.length * (minutes + graceMinutes) : minutes + graceMinutes;
  const timer = setTimeout(() => {
    console.log(`The run took longer than ${limit} minutes and was ended`);
    console.log('0 passed, 1 failed');
    child.kill('SIGKILL');
  }, limit * 60_000);
  const code = await new Promise<number>((resolve) => child.on('exit', (status) => resolve(status ?? 1)));
  clearTimeout(timer);
  if (values.keep) console.log(`Logs are in ${directory}`);
  else rmSync(directory, { recursive: true, force: true });
  process.exit(code);
}

async function inside(directory: string): Promise<void> {
  const sandbox = await Sandbox.open(directory, !values.plain);
  for (const [capability, why] of sandbox.missing) console.log(`SKIP  faults of the ${capability}: ${why}`);
  const tally = { passed: 0, failed: 0 };
  if (values.twins) await runTwins(sandbox, tally);
  else {
    const target = chooseTarget(values.twin);
    const first = number('seed', 1);
    const rounds = number('rounds', values.seed === undefined ? Infinity : 1);
    const deadline = performance.now() + minutes * 60_000;
    const cycle = new FaultCycle(sandbox, target, chosenFaults());
    for (let round = 0; round < rounds && (round === 0 || performance.now() < deadline); round++) {
      const problems = await oneRound(sandbox, target, first + round, cycle.next(first + round), tally);
      // A cluster that does not even start tells nothing by trying again.
      if (problems.get('round')?.includes('Cluster.start') === true) break;
    }
    const missed = cycle.untried;
    if (missed.length > 0) console.log(`Not reached in this time: ${missed.join(' ')}`);
  }
  console.log(`\n${tally.passed} passed, ${tally.failed} failed`);
  process.exit(tally.failed > 0 ? 1 : 0);
}

function chosenFaults(): readonly Fault[] | undefined {
  return values.faults?.split(',').map((name) => {
    const fault = faults.find((each) => each.name === name);
    return (
      fault ??
      usageError(`Unknown fault "${name}": want some of ${faults.map((each) => each.name).join(', ')}`)
    );
  });
}

function chooseTarget(twin: string | undefined): Target {
  if (values.target === 'etcd') {
    if (twin !== undefined) usageError('--twin is for --target pilothouse');
    return etcdTarget(process.env['ROBUSTNESS_ETCD'] ?? 'etcd');
  }
  if (values.target !== 'pilothouse') usageError(`--target is pilothouse or etcd, got "${values.target}"`);
  if (twin !== undefined && !twins.some(({ name }) => name === twin))
    usageError(`Unknown twin "${twin}": want one of ${twins.map(({ name }) => name).join(', ')}`);
  if (!isBuilt()) usageError('The store is not compiled yet: run "npm run build" first');
  return pilothouseTarget(twin);
}

/** Returns what failed: name of the check and what was seen. */
async function oneRound(
  sandbox: Sandbox,
  target: Target,
  seed: number,
  chosen: readonly Fault[],
  tally: { passed: number; failed: number },
): Promise<Map<string, string>> {
  const startedAt = performance.now();
  const names = chosen.map(({ name }) => name).join(',');
  console.log(`\nround seed ${seed}: ${target.name}, ${names || 'no faults'}`);
  const report = await runRound({
    seed,
    sandbox,
    target,
    faults: chosen,
    size: values.members === undefined ? undefined : number('members', 3),
    basePort: number('port', 22000),
    note: (text) =>
      console.log(`  ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} ${text}`),
  });
  const { size, writes, reads, failed, events, watched, leases } = report;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.log(
    `  ${size} members, ${writes} writes, ${reads} reads, ${failed} unanswered, ${events} events, ${watched} watched, ${leases} leases, ${seconds} s`,
  );
  const problems = new Map<string, string>();
  for (const [name, problem] of report.checks) {
    if (problem === undefined) tally.passed++;
    else {
      tally.failed++;
      problems.set(name, problem);
      console.log(`  FAILED ${name}: ${problem}`);
    }
  }
  if (problems.size > 0) {
    const flags = [
      `--seed ${seed}`,
      `--faults ${names}`,
      `--members ${size}`,
      ...(target.name === 'etcd' ? ['--target etcd'] : []),
    ];
    console.log(`  Repeat: npm run robustness -- ${flags.join(' ')}`);
  } else console.log(`  ok: ${report.checks.size} checks`);
  return problems;
}

/** Each broken twin must be caught, by the check that is meant to catch it. */
async function runTwins(sandbox: Sandbox, tally: { passed: number; failed: number }): Promise<void> {
  const rows: string[] = [];
  for (const twin of twins) {
    if (values.twin !== undefined && values.twin !== twin.name) continue;
    const chosen = twin.faults.map((name) => faults.find((fault) => fault.name === name) as Fault);
    const lacking = chosen.find(({ needs }) => needs.some((each) => !sandbox.capabilities.has(each)));
    if (lacking) {
      console.log(`SKIP  twin ${twin.name}: the fault ${lacking.name} is not to be had here`);
      continue;
    }
    const target = chooseTarget(twin.name);
    let caught: string | undefined;
    let other: string | undefined;
    let seed = number('seed', 1);
    for (let attempt = 0; attempt < 3 && caught === undefined; attempt++, seed++) {
      const problems = await oneRound(sandbox, target, seed, chosen, { passed: 0, failed: 0 });
      const name = twin.caughtBy.find((each) => problems.has(each));
      if (name !== undefined) caught = `${name} (seed ${seed})`;
      else if (problems.size > 0) other = [...problems.keys()].join(', ');
    }
    if (caught !== undefined) tally.passed++;
    else tally.failed++;
    rows.push(
      `${caught === undefined ? 'MISSED' : 'caught'}  ${twin.name.padEnd(22)} ${caught ?? `want ${twin.caughtBy.join(' or ')}${other ? `, got ${other}` : ''}`}`,
    );
  }
  console.log(`\n${rows.join('\n')}`);
}
