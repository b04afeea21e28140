// Runs a TypeScript script from source: `node scripts/run.mjs FILE [ARG…]`.
// The `source` condition makes every workspace package resolve to its src/, so nothing has to be built first.
import { spawn } from 'node:child_process';

const child = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  if (signal) process.kill(process.pid, signal);
  else process.exit(code ?? 1);
});
