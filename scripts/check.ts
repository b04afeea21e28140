// `npm run check`: the one gate. Format, lint, types, generated code, tidy, unit tests, a short simulation; stops at the first failure.
import { spawnSync } from 'node:child_process';
import { root } from './files.ts';

const node = process.execPath;
const source = ['--conditions=source', '--import', 'tsx'];
const bin = (name: string): string => `node_modules/.bin/${name}`;

const steps: readonly (readonly [title: string, program: string, args: readonly string[]])[] = [
  ['format', bin('prettier'), ['--check', '--log-level', 'warn', '.']],
  ['types', bin('tsc'), ['-b']],
  ['types of tests and scripts', bin('tsc'), ['-p', 'tsconfig.test.json']],
  ['types of the console', bin('tsc'), ['-p', 'services/console/web']],
  ['lint', bin('oxlint'), ['--type-aware']],
  ['generated code is fresh', node, [...source, 'scripts/gen/generate.ts', '--check']],
  ['tidy', node, [...source, 'scripts/tidy.ts']],
  ['licences and versions of dependencies', node, [...source, 'scripts/dependencies.ts', '--offline']],
  ['unit tests', node, [...source, 'scripts/test.ts']],
  ['short simulation', node, [...source, 'services/store/src/simulation/main.ts', '--seeds', '20']],
];

let failed = 0;
for (const [title, program, args] of steps) {
  const started = process.hrtime.bigint();
  process.stdout.write(`── ${title}\n`);
  const result = spawnSync(program, [...args], { cwd: root, stdio: 'inherit' });
  const seconds = (Number(process.hrtime.bigint() - started) / 1e9).toFixed(1);
  process.stdout.write(`── ${title}: ${result.status === 0 ? 'ok' : 'FAILED'} (${seconds} s)\n`);
  if (result.status !== 0) {
    failed++;
    if (!process.argv.includes('--all')) break;
  }
}
process.exit(failed === 0 ? 0 : 1);
