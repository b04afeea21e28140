import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Checks } from '../checks.ts';
import { run } from '../checks.ts';
import { startPlane } from '../plane.ts';
import { repository } from '../tools.ts';

const pilothouse = path.join(repository, 'services', 'cli', 'bin', 'pilothouse');

/** What `pilothouse drill -o json` promises for each drill. */
const fields = [
  'name',
  'verdict',
  'lostAcknowledgedWrites',
  'staleReads',
  'writeGapMs',
  'readGapMs',
  'seed',
  'command',
];

/** Drills through the command as an operator runs them, on a small plane of its own. Names as `pilothouse drill` takes them. */
export async function drillSmoke(checks: Checks, port: number, names: readonly string[]): Promise<void> {
  const plane = await startPlane({ port, args: ['--nodes', '1', '--controller-managers', '1'] });
  try {
    for (const name of names)
      await checks.check(`pilothouse drill ${name}`, async () => {
        const report = path.join(plane.dataDir, `${name}.html`);
        const drill = await run(
          process.execPath,
          [pilothouse, 'drill', name, '--data-dir', plane.dataDir, '--report', report, '-o', 'json'],
          { timeoutMs: 180_000 },
        );
        if (drill.stdout === '') throw new Error(drill.stderr);
        const { drills } = JSON.parse(drill.stdout) as { drills: Record<string, unknown>[] };
        for (const each of drills) {
          if (Object.keys(each).join() !== fields.join())
            throw new Error(`The fields are ${Object.keys(each).join()}`);
          if (each['lostAcknowledgedWrites'] !== 0 || each['staleReads'] !== 0 || each['verdict'] !== 'pass')
            throw new Error(`${JSON.stringify(each)}\n${drill.stderr}`);
          process.stdout.write(
            `      ${String(each['name'])}: write gap ${String(each['writeGapMs'])} ms, read gap ${String(each['readGapMs'])} ms\n`,
          );
        }
        if (drill.code !== 0 || drills.length === 0) throw new Error(drill.stderr);
        if (!existsSync(report) || !readFileSync(report, 'utf8').includes('<polyline'))
          throw new Error('The report has no time line');
      });
    await checks.check('an unknown drill is refused with what there is', async () => {
      const drill = await run(process.execPath, [
        pilothouse,
        'drill',
        'explode',
        '--data-dir',
        plane.dataDir,
      ]);
      if (drill.code === 0 || !drill.stderr.includes('kill-leader')) throw new Error(drill.stderr);
    });
  } finally {
    await plane.stop();
  }
}
