// Makes a fresh clone runnable: installs the locked packages when they are missing or stale, then compiles what changed.
// Plain JavaScript with no dependencies, because it runs before there are any. `--dev` also wants the test tools.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const lock = path.join(root, 'package-lock.json');
const stamp = path.join(root, 'node_modules', '.pilothouse-installed');

const [major] = process.versions.node.split('.').map(Number);
if (major < 20) {
  console.error(`Pilothouse needs Node.js 20 or newer, this is ${process.version}`);
  process.exit(1);
}

function step(title, command, args) {
  const started = process.hrtime.bigint();
  process.stderr.write(`${title} … `);
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (result.status !== 0) {
    process.stderr.write(
      `failed after ${seconds.toFixed(1)} s\n${result.stdout ?? ''}${result.stderr ?? ''}\n`,
    );
    process.exit(result.status ?? 1);
  }
  process.stderr.write(`${seconds.toFixed(1)} s\n`);
}

const want = existsSync(lock)
  ? readFileSync(lock, 'utf8').length + ':' + Math.floor(statSync(lock).mtimeMs)
  : '';
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== want) {
  // The compiler is a development dependency and the product is built here, so both start and test install everything.
  step('Installing packages', 'npm', [
    existsSync(lock) ? 'ci' : 'install',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  writeFileSync(stamp, readFileSync(lock, 'utf8').length + ':' + Math.floor(statSync(lock).mtimeMs));
}
step('Compiling', process.execPath, [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
