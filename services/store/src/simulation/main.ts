// npm run sim -- --seeds N [--first S] [--mutation NAME] [--verbose]
import { parseArgs } from 'node:util';
import { mutations } from './mutations.ts';
import type { Mutation } from './mutations.ts';
import { runSimulation } from './run.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    mutation: { type: 'string', default: 'none' },
    verbose: { type: 'boolean', default: false },
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
