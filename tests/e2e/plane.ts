import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run } from './checks.ts';
import { repository } from './tools.ts';

const pilothouse = path.join(repository, 'services', 'cli', 'bin', 'pilothouse');

export interface ProcessStatus {
  readonly component: string;
  readonly name: string;
  readonly pid: number;
  readonly role?: string;
  readonly ready: boolean;
  readonly address: string;
}

export interface Plane {
  readonly dataDir: string;
  readonly kubeconfig: string;
  readonly server: string;
  readonly readySeconds: number;
  status(): Promise<{
    processes: ProcessStatus[];
    store: { leader: string; term: number; revision: number };
  }>;
  stop(): Promise<void>;
}

/** Starts a plane in a directory of its own with `pilothouse up --detach`. */
export async function startPlane(options: { port: number; args?: readonly string[] }): Promise<Plane> {
  const dataDir = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-e2e-'));
  const started = process.hrtime.bigint();
  const result = await run(
    process.execPath,
    [
      pilothouse,
      'up',
      '--data-dir',
      dataDir,
      '--port',
      String(options.port),
      '--detach',
      // A machine that does other work besides is no failure.
      '--ready-timeout=230s',
      ...(options.args ?? []),
    ],
    { timeoutMs: 300_000 },
  );
  if (result.code !== 0)
    throw new Error(`The plane did not start (logs in ${dataDir}/logs)\n${result.stdout}${result.stderr}`);
  const readySeconds = Number(process.hrtime.bigint() - started) / 1e9;
  return {
    dataDir,
    kubeconfig: path.join(dataDir, 'kubeconfig', 'admin.yaml'),
    server: `https://127.0.0.1:${options.port}`,
    readySeconds,
    async status() {
      const answer = await run(process.execPath, [pilothouse, 'status', '--data-dir', dataDir, '-o', 'json']);
      return JSON.parse(answer.stdout) as Awaited<ReturnType<Plane['status']>>;
    },
    async stop() {
      await run(process.execPath, [pilothouse, 'down', '--data-dir', dataDir], { timeoutMs: 120_000 });
      if (process.env['KEEP'] === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
