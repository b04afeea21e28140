// npm run sim -- --seeds N [--first S] [--mutation NAME] [--verbose]
// npm run sim -- --sweep [--seed S] [--stride N] [--step N]   a crash before every step of one member's disk
// npm run sim -- --mutations                                  every broken twin must be caught
import { parseArgs } from 'node:util';
import { mutations } from './mutations.ts';
import type { Mutation } from './mutations.ts';
import { runSimulation } from './run.ts';
import { runSweep } from './sweep.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    mutation: { type: 'string', default: 'none' },
    verbose: { type: 'boolean', default: false },
    sweep: { type: 'boolean', default: false },
    stride: { type: 'string', default: '1' },
    step: { type: 'string' },
    mutations: { type: 'boolean', default: false },
  },
});

const isMutation = (name: string): name is Mutation => (mutations as readonly string[]).includes(name);
if (!isMutation(values.mutation)) {
  console.error(`Unknown mutation "${values.mutation}": want one of ${mutations.join(', ')}`);
  process.exit(2);
}
const first = Number(values.seed ?? values.first);
const count = values.seed === undefined ? Number(values.seeds) : 1;
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  console.error('--first and --seeds take whole numbers');
  process.exit(2);
}

/** Virtual milliseconds of traffic in a sweep. */
const sweepMs = 2000;
const trace = values.verbose ? { trace: (text: string) => console.log(`  ${text}`) } : {};

if (values.sweep && values.step !== undefined) {
  const report = await runSimulation({
    seed: first,
    faultMs: sweepMs,
    crashAtStep: Number(values.step),
    ...trace,
  });
  console.log(report.violation ?? 'ok');
  process.exit(report.violation === undefined ? 0 : 1);
}
if (values.sweep) {
  const report = await runSweep({
    seed: first,
    stride: Number(values.stride),
    trafficMs: sweepMs,
    onCrash: (step, steps, violation) => {
      if (violation === undefined) return;
      console.log(`crash before step ${step} of ${steps}: FAILED\n  ${violation}`);
      console.log(`  Repeat: npm run sim -- --sweep --seed ${first} --step ${step} --verbose`);
    },
  });
  console.log(
    `${report.crashes} crashes over ${report.steps} steps: ${report.crashes - report.failures.length} passed, ${report.failures.length} failed`,
  );
  process.exit(report.failures.length > 0 ? 1 : 0);
}
if (values.mutations) {
  let missed = 0;
  for (const mutation of mutations) {
    if (mutation === 'none') continue;
    let caught: string | undefined;
    let seed = first;
    for (; seed < first + 20 && caught === undefined; seed++)
      caught = (await runSimulation({ seed, mutation })).violation;
    if (caught === undefined) missed++;
    console.log(
      caught === undefined
        ? `MISSED  ${mutation}`
        : `caught  ${mutation.padEnd(18)} seed ${seed - 1}: ${caught.split('\n')[0]?.slice(0, 120)}`,
    );
  }
  console.log(`${mutations.length - 1 - missed} passed, ${missed} failed`);
  process.exit(missed > 0 ? 1 : 0);
}

const startedAt = performance.now();
let failures = 0;
let operations = 0;
for (let seed = first; seed < first + count; seed++) {
  const runStart = performance.now();
  const report = await runSimulation({
    seed,
    mutation: values.mutation,
    ...(values.verbose ? { trace: (text: string) => console.log(`  ${text}`) } : {}),
  });
  operations += report.operations;
  const took = `${Math.round(performance.now() - runStart)} ms`;
  const summary = `${report.size} members, ${report.leaders} leaders, ${report.succeeded}/${report.operations} operations, revision ${report.revisions}, ${report.events} events, ${took}`;
  if (report.violation === undefined) console.log(`seed ${seed}: ok (${summary})`);
  else {
    failures++;
    console.log(`seed ${seed}: FAILED (${summary})`);
    console.log(`  ${report.violation}`);
    const extra = values.mutation === 'none' ? '' : ` --mutation ${values.mutation}`;
    console.log(`  Repeat: npm run sim -- --seed ${seed}${extra} --verbose`);
  }
}
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
console.log(`${count} seeds, ${failures} failed, ${operations} operations checked, ${seconds} s`);
process.exitCode = failures > 0 ? 1 : 0;
