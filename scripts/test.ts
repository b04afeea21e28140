// `npm test`: every *.test.ts beside the code, from source, two files at a time. Arguments narrow it: `npm test -- packages/raft`.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { globSync, root } from './files.ts';

const wanted = process.argv.slice(2).filter((each) => !each.startsWith('-'));
const files = globSync(['packages', 'services', 'local', 'loadtest', 'scripts'], /\.test\.ts$/).filter(
  (file) => wanted.length === 0 || wanted.some((each) => file.includes(each)),
);
if (files.length === 0) {
  process.stderr.write(`No test files match ${wanted.join(' ')}\n`);
  process.exit(1);
}
const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-test-'));
const report = path.join(directory, 'report.tap');
const reporters = [
  '--test-reporter=spec',
  '--test-reporter-destination=stdout',
  '--test-reporter=tap',
  `--test-reporter-destination=${report}`,
];
const child = spawn(
  process.execPath,
  [
    '--conditions=source',
    '--import',
    'tsx',
    '--test',
    '--test-concurrency=2',
    '--test-timeout=300000',
    ...reporters,
    ...files,
  ],
  {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  },
);
child.on('exit', (code) => {
  const text = readFileSync(report, 'utf8');
  rmSync(directory, { recursive: true, force: true });
  const count = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  const skipped = count('skipped');
  process.stdout.write(
    `${count('pass')} passed, ${count('fail') + count('cancelled')} failed${skipped === 0 ? '' : `, ${skipped} skipped`}\n`,
  );
  process.exit(code ?? 1);
});
