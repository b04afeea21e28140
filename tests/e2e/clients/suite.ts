import { existsSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Checks, run } from '../checks.ts';
import type { CommandResult, RunOptions } from '../checks.ts';
import type { Plane } from '../plane.ts';
import { startPlane } from '../plane.ts';
import { peers } from '../stock/programs.ts';
import { repository } from '../tools.ts';

export const clientsDirectory = path.join(repository, 'tests', 'e2e', 'clients');
export const cacheDirectory = path.join(os.homedir(), '.cache', 'pilothouse-e2e');

/** What a suite of one client is given. */
export interface ClientContext {
  readonly checks: Checks;
  readonly kubeconfig: string;
  /** Absent when the caller named a kubeconfig. */
  readonly plane: Plane | undefined;
  /** An empty directory for files of the suite. */
  readonly scratch: string;
  readonly kubectl: Command;
  /** Port of the plane; the ports from 80 above it are free for the suite. */
  readonly port: number;
}

/** Runs a program with KUBECONFIG set. */
export type Command = (args: readonly string[], options?: RunOptions) => Promise<CommandResult>;

/** A program of upstream: the environment's, the one in the cache of built peers, or the one on the path. */
export function findProgram(name: string): string {
  const given = process.env[name.toUpperCase().replaceAll('-', '_')];
  if (given !== undefined) return given;
  for (const directory of [peers, cacheDirectory]) {
    const file = path.join(directory, name);
    if (existsSync(file)) return file;
  }
  return name;
}

export function commandWith(program: string, kubeconfig: string): Command {
  return (args, options = {}) =>
    run(program, args, { timeoutMs: 30_000, ...options, env: { KUBECONFIG: kubeconfig, ...options.env } });
}

/** Builds a Go program of a module below tests/e2e/clients; gives its file. */
export async function buildGo(module: string, target: string, name: string): Promise<string> {
  mkdirSync(cacheDirectory, { recursive: true });
  const file = path.join(cacheDirectory, name);
  const built = await run('go', ['build', '-buildvcs=false', '-o', file, target], {
    cwd: path.join(clientsDirectory, module),
    timeoutMs: 15 * 60_000,
  });
  if (built.code !== 0) throw new Error(`go build ${target} in ${module}\n${built.stdout}${built.stderr}`);
  return file;
}

/** A small plane, unless a kubeconfig is named; counts the checks and gives the exit status. */
export async function runClientSuite(
  name: string,
  suite: (context: ClientContext) => Promise<void>,
  options: { readonly port: number; readonly kubeconfig?: string; readonly withoutPlane?: boolean },
): Promise<number> {
  const checks = new Checks();
  const { mkdtempSync, rmSync } = await import('node:fs');
  const scratch = mkdtempSync(path.join(os.tmpdir(), `pilothouse-${name}-`));
  const isOwn = options.kubeconfig === undefined && options.withoutPlane !== true;
  const plane = isOwn
    ? await startPlane({
        port: options.port,
        args: ['--members=1', '--replicas=2', '--nodes=2', '--schedulers=1', '--controller-managers=1'],
      })
    : undefined;
  const started = process.hrtime.bigint();
  try {
    const kubeconfig = options.kubeconfig ?? plane?.kubeconfig ?? '';
    const kubectl = commandWith(findProgram('kubectl'), kubeconfig);
    await suite({ checks, kubeconfig, plane, scratch, kubectl, port: options.port });
  } catch (error) {
    await checks.check('the suite ends as it should', () => Promise.reject(error as Error));
  } finally {
    await plane?.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  process.stdout.write(`${name} took ${seconds.toFixed(1)} s\n`);
  return checks.finish() ? 0 : 1;
}
