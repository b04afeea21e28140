import { mkdirSync, writeFileSync } from 'node:fs';
import { expectResult, run } from '../checks.ts';
import type { Checks, CommandResult } from '../checks.ts';
import { pilothouse, type Scratch } from './scratch.ts';

const small = ['--members', '1', '--replicas', '1', '--nodes', '0'];

/** `pilothouse up` where it cannot work: one line that names the obstacle and the way out, and nothing left running. */
export async function planeCases(checks: Checks, scratch: Scratch, port: number): Promise<void> {
  const up = async (dataDir: string, extra: readonly string[] = []): Promise<CommandResult> => {
    const result = await run(
      process.execPath,
      [pilothouse, 'up', '--data-dir', dataDir, '--port', String(port), ...small, ...extra],
      { timeoutMs: 40_000 },
    );
    if (result.code === 124) await run(process.execPath, [pilothouse, 'down', '--data-dir', dataDir]);
    return result;
  };
  const refused = (name: string, dataDir: string, matches: readonly RegExp[]): Promise<boolean> =>
    checks.check(`up: ${name}`, async () =>
      expectResult('pilothouse up', await up(dataDir), { code: 1, matches, lacks: [/\n\s+at /] }),
    );

  await checks.check('up: a component that cannot start ends the wait', async () =>
    expectResult('pilothouse up', await up(scratch.path('bad-flag'), ['--apiserver-arg=--nope']), {
      code: 1,
      matches: [/apiserver-0 does not start/, /--nope/, /apiserver-0\.log/],
    }),
  );

  await checks.check('up --detach: a plane that is late is stopped again, and it is said so', async () => {
    const place = scratch.path('late');
    expectResult('pilothouse up', await up(place, ['--detach', '--ready-timeout', '200ms']), {
      code: 1,
      matches: [/Not ready after 0\.2 s \(--ready-timeout\), everything was stopped again: store-0/],
    });
    const left = await run('pgrep', ['-f', place]);
    if (left.stdout.trim() !== '') throw new Error(`Processes are left: ${left.stdout}`);
  });

  await scratch.occupy(port + 1);
  await refused('a port in use', scratch.path('port-in-use'), [
    new RegExp(`Port ${port + 1} \\(apiserver-0\\) is in use`),
    /--port/,
  ]);

  const file = scratch.path('a-file');
  writeFileSync(file, 'not a directory');
  await refused('a file in place of the data directory', file, [/a-file/, /--data-dir/]);

  const readOnly = scratch.path('read-only');
  mkdirSync(readOnly);
  if (await scratch.mount(readOnly, 'ro,size=1m'))
    await refused('a read-only data directory', readOnly, [
      /read-only/,
      /EROFS|read-only file system/,
      /--data-dir/,
    ]);
  else process.stdout.write('SKIP  up: a read-only data directory (this user may not mount)\n');

  const full = scratch.path('full');
  mkdirSync(full);
  if (await scratch.mount(full, 'size=32k'))
    await refused('a full disk', full, [/full"/, /ENOSPC|no space/, /free space/, /--data-dir/]);
  else process.stdout.write('SKIP  up: a full disk (this user may not mount)\n');

  await checks.check('up: an unknown flag', async () =>
    expectResult('pilothouse up', await run(process.execPath, [pilothouse, 'up', '--replica', '1']), {
      code: 1,
      matches: [/--replica/, /--replicas/],
    }),
  );
}
