import { existsSync } from 'node:fs';
import path from 'node:path';
import { run } from './checks.ts';
import { startPlane } from './plane.ts';
import { repository } from './tools.ts';

const shared = path.resolve(repository, '..', 'shared');

/**
 * Replays the recorded answers of a stock API server against a plane without controllers. The tool prints `golden: N passed, M failed`;
 * here only the areas named must pass whole, the rest is reported.
 */
export async function golden(port: number, areas: readonly string[], verbose: boolean): Promise<boolean> {
  const folder = path.join(shared, 'golden');
  if (!existsSync(path.join(folder, 'replay.py'))) {
    process.stdout.write('SKIP  the recorded answers are not here (../shared/golden)\n0 passed, 0 failed\n');
    return true;
  }
  const plane = await startPlane({
    port,
    args: [
      '--members',
      '1',
      '--replicas',
      '1',
      '--schedulers',
      '0',
      '--controller-managers',
      '0',
      '--nodes',
      '0',
      `--apiserver-arg=--token-auth-file=${path.join(folder, 'tokens.csv')}`,
      // The recordings' plane had this issuer.
      '--apiserver-arg=--service-account-issuer=https://kubernetes.default.svc',
      '--apiserver-arg=--api-audiences=https://kubernetes.default.svc',
    ],
  });
  let passed = 0;
  let failed = 0;
  try {
    for (const area of areas.length === 0 ? [undefined] : areas) {
      const selection = area === undefined ? [] : ['--area', area];
      const result = await run(
        'python3',
        [
          path.join(folder, 'replay.py'),
          '--server',
          plane.server,
          '--token',
          'admintoken',
          '--ca',
          path.join(plane.dataDir, 'pki', 'ca.crt'),
          '--jobs',
          '4',
          ...selection,
          ...(verbose ? ['-v'] : []),
        ],
        {
          timeoutMs: 600_000,
        },
      );
      process.stdout.write(result.stdout);
      process.stdout.write(result.stderr);
      const counts = /golden: (\d+) passed, (\d+) failed/.exec(result.stdout);
      passed += Number(counts?.[1] ?? 0);
      failed += Number(counts?.[2] ?? 1);
    }
  } finally {
    await plane.stop();
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0;
}
