import { readFileSync } from 'node:fs';
import path from 'node:path';
import { apiServerCases } from './bad-start/apiserver-cases.ts';
import { pkiCases } from './bad-start/pki-cases.ts';
import { planeCases } from './bad-start/plane-cases.ts';
import { requestCases } from './bad-start/request-cases.ts';
import { Scratch } from './bad-start/scratch.ts';
import { storeCases } from './bad-start/store-cases.ts';
import type { Checks } from './checks.ts';
import { startPlane } from './plane.ts';

/** Starts that cannot work and requests that make no sense, against the real executables. */
export async function badStart(checks: Checks, port: number): Promise<void> {
  const scratch = new Scratch();
  // Mounts would outlive an interrupted run.
  const interrupted = (): void => void scratch.release().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  try {
    await planeCases(checks, scratch, port);
    await storeCases(checks, scratch);
    await apiServerCases(checks, scratch);
    await pkiCases(checks, scratch);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted);
    await scratch.release();
  }
  const plane = await startPlane({
    port,
    args: [
      '--members',
      '1',
      '--replicas',
      '1',
      '--nodes',
      '0',
      '--schedulers',
      '1',
      '--controller-managers',
      '1',
    ],
  });
  try {
    const file = (name: string): string => readFileSync(path.join(plane.dataDir, 'pki', name), 'utf8');
    const before = await plane.status();
    await requestCases(checks, {
      url: plane.server,
      ca: file('ca.crt'),
      cert: file('admin.crt'),
      key: file('admin.key'),
    });
    await checks.check('no process ended meanwhile', async () => {
      const after = await plane.status();
      const pids = (status: typeof after): string =>
        status.processes.map(({ name, pid }) => `${name} ${pid}`).join();
      if (pids(before) !== pids(after)) throw new Error(`Before: ${pids(before)}\nAfter: ${pids(after)}`);
    });
  } finally {
    await plane.stop();
  }
}
