import { writeFileSync } from 'node:fs';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { jsonText } from '@pilothouse/apimachinery';
import { findUpstream } from '../../loadtest/bench/programs.ts';
import { compareCel } from './cel/compare-cel.ts';
import { Client, type Credentials } from './client.ts';
import { loadSamples, type Sample } from './objects.ts';
import { type Case, Runner } from './runner.ts';
import { badInput } from './bad-input.ts';
import { runSequence, type SequenceDifference } from './sequence-runner.ts';
import { sequences } from './sequences/index.ts';
import { startSides } from './sides.ts';

const usage = `npm run differential -- [cel] [--seed N] [--variants N] [--kinds Pod,Service] [--sequences only|no] [--sweep only|no] [--walk] [--stock URL --ours URL --pki DIR] [--out FILE] [-v]

Sends the same objects, good and bad, to a stock kube-apiserver on a real etcd and to this project's API server, and compares the answers.
--walk: every field of every kind with values good and bad, and nothing else.
cel: rules of CustomResourceDefinitions and admission policies instead of objects.
Without URLs both are started here; ETCD, KUBE_APISERVER or PEERS_DIR name the stock programs.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    variants: { type: 'string', default: '40' },
    kinds: { type: 'string' },
    stock: { type: 'string' },
    ours: { type: 'string' },
    pki: { type: 'string' },
    out: { type: 'string' },
    only: { type: 'string' },
    sequences: { type: 'string', default: 'also' },
    sweep: { type: 'string', default: 'also' },
    walk: { type: 'boolean', default: false },
    verbose: { type: 'boolean', short: 'v', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help || positionals.some((each) => each !== 'cel')) {
  process.stdout.write(usage);
  process.exit(0);
}

const seed = Number(values.seed);
const variants = Number(values.variants);
const kinds = values.kinds === undefined ? undefined : new Set(values.kinds.split(','));

/** Sequences of writes that are stored, one after the other. */
async function compareSequences(stock: Client, ours: Client): Promise<boolean> {
  let compared = 0;
  const found: SequenceDifference[] = [];
  for (const [index, sequence] of [...sequences, ...badInput].entries()) {
    const namespace = `sequence-${index}-${process.pid}`;
    for (const client of [stock, ours]) {
      await client.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
      await client.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, {
        metadata: { name: 'default' },
      });
    }
    const result = await runSequence(sequence, stock, ours, namespace);
    compared += result.compared;
    found.push(...result.found);
    for (const client of [stock, ours]) await client.call('DELETE', `/api/v1/namespaces/${namespace}`);
  }
  for (const each of found) {
    process.stdout.write(`      ${each.sequence}\n      ${each.at}\n`);
    for (const one of each.found.slice(0, values.verbose ? undefined : 3))
      process.stdout.write(
        `        ${one.path}\n          stock ${jsonText(one.stock)?.slice(0, 400)}\n          ours  ${jsonText(one.ours)?.slice(0, 400)}\n`,
      );
  }
  process.stdout.write(`sequences: ${compared - found.length} passed, ${found.length} failed\n`);
  return found.length === 0;
}

async function compareAll(stock: Client, ours: Client): Promise<boolean> {
  if (positionals[0] === 'cel') return compareCel(stock, ours, values.verbose);
  const stored = values.sequences === 'no' || values.walk || (await compareSequences(stock, ours));
  return (values.sequences === 'only' || (await compare(stock, ours))) && stored;
}

async function compare(stock: Client, ours: Client): Promise<boolean> {
  const namespace = `differential-${seed}-${process.pid}`;
  const found: Case[] = [];
  const runner = new Runner(stock, ours, namespace, (each) => found.push(each));
  const samples = loadSamples(namespace).filter(
    (sample) => kinds === undefined || kinds.has(sample.resource.kind),
  );
  for (const client of [stock, ours]) {
    await client.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
    await client.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, {
      metadata: { name: 'default' },
    });
  }
  for (const sample of samples) await runner.prepare(sample);
  try {
    if (values.walk) await lanes(samples, (sample) => runner.walk(sample));
    else if (values.sweep !== 'no') await lanes(samples, (sample) => runner.sweep(sample));
    if (values.sweep !== 'only' && !values.walk) await runAll(runner, samples);
  } finally {
    for (const sample of samples) await runner.clear(sample);
    for (const client of [stock, ours]) await client.call('DELETE', `/api/v1/namespaces/${namespace}`);
  }
  return report(runner, found);
}

async function runAll(runner: Runner, samples: readonly Sample[]): Promise<void> {
  const jobs = samples
    .flatMap((sample, index) =>
      Array.from({ length: variants }, (_, round) => ({
        sample,
        seed: (seed * 1000 + index) * 100_000 + round,
      })),
    )
    .filter((job) => values.only === undefined || job.seed === Number(values.only));
  await lanes(jobs, (job) => runner.variant(job.sample, job.seed));
}

/** Runs the jobs, four at once. */
async function lanes<T>(jobs: readonly T[], run: (job: T) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let job = jobs[next++]; job; job = jobs[next++]) await run(job);
    }),
  );
}

function report(runner: Runner, found: readonly Case[]): boolean {
  const groups = new Map<string, Case[]>();
  for (const each of found) groups.set(each.signature, [...(groups.get(each.signature) ?? []), each]);
  for (const [signature, cases] of [...groups].sort((a, b) => b[1].length - a[1].length)) {
    const first = cases[0] as Case;
    process.stdout.write(
      `${String(cases.length).padStart(4)}  ${signature}\n      ${first.method} ${first.path.split('?')[0]} seed ${first.seed}: stock ${first.stock.status}, ours ${first.ours.status}\n`,
    );
    if (values.verbose)
      process.stdout.write(
        `      sent  ${jsonText(first.body)}\n      stock ${first.stock.text.slice(0, 2000)}\n      ours  ${first.ours.text.slice(0, 2000)}\n`,
      );
  }
  let compared = 0;
  let accepted = 0;
  for (const [kind, tally] of [...runner.tallies].sort(([a], [b]) => (a < b ? -1 : 1))) {
    compared += tally.compared;
    accepted += tally.accepted;
    process.stdout.write(
      `${kind.padEnd(34)} ${tally.compared - tally.differing} of ${tally.compared} the same (stock accepts ${tally.accepted})\n`,
    );
  }
  if (values.out !== undefined)
    writeFileSync(values.out, found.map((each) => `${jsonText(each)}\n`).join(''));
  process.stdout.write(`${groups.size} kinds of difference; stock accepts ${accepted} of ${compared}\n`);
  process.stdout.write(`differential: ${compared - found.length} passed, ${found.length} failed\n`);
  return found.length === 0;
}

const credentialsIn = (pki: string): Credentials => ({
  ca: readFileSync(path.join(pki, 'ca.crt'), 'utf8'),
  cert: readFileSync(path.join(pki, 'admin.crt'), 'utf8'),
  key: readFileSync(path.join(pki, 'admin.key'), 'utf8'),
});

let same: boolean;
if (values.stock !== undefined && values.ours !== undefined && values.pki !== undefined) {
  const credentials = credentialsIn(values.pki);
  const stock = new Client(values.stock, credentials);
  const ours = new Client(values.ours, credentials);
  same = await compareAll(stock, ours);
} else {
  const { etcd, kubeApiserver } = findUpstream();
  if (etcd === undefined || kubeApiserver === undefined) {
    process.stdout.write(
      'SKIP  a stock kube-apiserver or etcd is not here\ndifferential: 0 passed, 0 failed\n',
    );
    process.exit(0);
  }
  const directory = mkdtempSync(path.join(os.tmpdir(), 'differential-'));
  const sides = await startSides(directory, { etcd, kubeApiserver });
  try {
    same = await compareAll(sides.stock, sides.ours);
  } finally {
    await sides.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
process.exit(same ? 0 : 1);
