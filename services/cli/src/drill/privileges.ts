import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errorMessage, sleep } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import type { Cut, Undo } from './target.ts';

/** Runs a program to its end and gives what it printed. */
/** The same while this process goes on: the load of a drill must not stand still with it. */
export function runBeside(
  program: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      [...args],
      { encoding: 'utf8', maxBuffer: 64 << 20, ...(env === undefined ? {} : { env }) },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        return reject(
          new CommandError(
            `${program} ${args.join(' ')} failed: ${stderr.trim().split('\n').at(-1) || errorMessage(error)}`,
          ),
        );
      },
    );
  });
}

export function runProgram(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): string {
  try {
    return execFileSync(program, [...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 << 20,
      ...(env === undefined ? {} : { env }),
    });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new CommandError(
      `${program} ${args.join(' ')} failed: ${(stderr ?? '').trim().split('\n').at(-1) || errorMessage(error)}`,
    );
  }
}

const has = (program: string): boolean =>
  (process.env['PATH'] ?? '').split(':').some((each) => existsSync(path.join(each, program)));

const isRoot = (): boolean => process.getuid?.() === 0;

/** Why disk faults cannot be made here. They are put into system calls of a running process by strace. */
export function cannotInjectDiskFaults(): string | undefined {
  if (process.platform !== 'linux') return 'disk faults need Linux';
  if (!has('strace')) return 'strace is not installed';
  if (!isRoot()) return 'disk faults need root';
  return undefined;
}

/** Slow or full: each sync takes so long, or each write to a file is refused for want of space. Sockets are not touched. */
export async function injectDiskFault(
  pid: number,
  fault: { readonly syncDelayMs: number } | 'full',
): Promise<Undo> {
  const injection =
    fault === 'full'
      ? 'inject=pwrite64,pwritev,pwritev2,fallocate:error=ENOSPC'
      : `inject=fsync,fdatasync:delay_enter=${fault.syncDelayMs * 1000}`;
  const traced = fault === 'full' ? 'pwrite64,pwritev,pwritev2,fallocate' : 'fsync,fdatasync';
  const child = spawn(
    'strace',
    ['-f', '-q', '-o', '/dev/null', '-e', `trace=${traced}`, '-e', injection, '-p', String(pid)],
    { stdio: 'ignore' },
  );
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended ??= `status ${code ?? signal}`));
  // Attached when the process says so itself.
  for (let turn = 0; turn < 40 && ended === undefined && tracerOf(pid) === 0; turn++)
    await sleep(nodeClock, 50);
  if (tracerOf(pid) === 0)
    throw new CommandError(`strace cannot attach to process ${pid} (${ended ?? 'no answer'})`);
  return async () => {
    if (ended !== undefined) return;
    child.kill('SIGTERM');
    for (let turn = 0; turn < 60 && ended === undefined; turn++) await sleep(nodeClock, 50);
    child.kill('SIGKILL');
  };
}

function tracerOf(pid: number): number {
  try {
    return Number(/TracerPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Why links on the loopback device cannot be cut. */
export function cannotCutLoopback(): string | undefined {
  if (process.platform !== 'linux') return 'cutting links needs Linux';
  if (!isRoot()) return 'cutting links needs root';
  if (!has('iptables') || !has('ss')) return 'cutting links needs iptables and ss';
  if (cgroupRoot() === undefined) return 'cutting links on one host needs a mounted cgroup2';
  return undefined;
}

function cgroupRoot(): string | undefined {
  const line = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .find((each) => each.split(' ')[2] === 'cgroup2');
  return line?.split(' ')[1];
}

const iptables = (...args: string[]): string => runProgram('iptables', ['-w', ...args]);

/**
 * Cuts a member of a plane on one host from the others. What it accepts is known by its port; what it opens is known by the process's
 * control group (new connections) and by the ports that its present connections have.
 */
export function cutLoopback(options: {
  readonly pid: number;
  readonly peerPort: number;
  readonly otherPeerPorts: readonly number[];
  readonly how: Cut;
}): Undo {
  const { pid, peerPort, otherPeerPorts, how } = options;
  const root = cgroupRoot() as string;
  const group = `pilothouse-drill-${pid}`;
  const rules: string[][] = [];
  const drop = (...match: string[]): void =>
    void rules.push(['OUTPUT', '-o', 'lo', '-p', 'tcp', ...match, '-j', 'DROP']);
  if (how !== 'mute') {
    drop('--dport', String(peerPort));
    drop('--sport', String(peerPort));
  }
  const oldGroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .split('\n')
    .find((each) => each.startsWith('0::'))
    ?.slice(3);
  if (how !== 'deaf') {
    mkdirSync(path.join(root, group), { recursive: true });
    writeFileSync(path.join(root, group, 'cgroup.procs'), String(pid));
    const open = runProgram('ss', ['-tnpH', 'state', 'established'])
      .split('\n')
      .filter((line) => line.includes(`pid=${pid},`))
      .map((line) => / \S*:(\d+)\s+\S*:(\d+)\s/.exec(line))
      .filter((match) => match !== null && otherPeerPorts.includes(Number(match[2])));
    for (const match of open) {
      drop('--sport', match?.[1] as string, '--dport', match?.[2] as string);
      drop('--sport', match?.[2] as string, '--dport', match?.[1] as string);
    }
    for (const port of otherPeerPorts) drop('--dport', String(port), '-m', 'cgroup', '--path', group);
  }
  const undo = (): void => {
    for (const rule of rules) {
      try {
        iptables('-D', ...rule);
      } catch {
        // It was never there.
      }
    }
    try {
      if (oldGroup !== undefined) writeFileSync(path.join(root, oldGroup, 'cgroup.procs'), String(pid));
    } catch {
      // The process has ended.
    }
    try {
      rmdirSync(path.join(root, group));
    } catch {
      // Not empty yet, or never made.
    }
  };
  try {
    for (const rule of rules) iptables('-A', ...rule);
  } catch (error) {
    undo();
    throw error;
  }
  return () => Promise.resolve(undo());
}

/** Cuts a container's member from the others, by rules inside the container's network namespace. */
export function cutContainer(options: {
  readonly pid: number;
  readonly others: readonly string[];
  readonly peerPort: number;
  readonly how: Cut;
}): Undo {
  const { pid, others, peerPort, how } = options;
  const inside = (...args: string[]): string =>
    runProgram('nsenter', ['--target', String(pid), '--net', 'iptables', '-w', ...args]);
  const port = String(peerPort);
  const rules = others.flatMap((address) => [
    ...(how === 'deaf' ? [] : [['OUTPUT', '-d', address, '-p', 'tcp', '--dport', port, '-j', 'DROP']]),
    ...(how === 'mute' ? [] : [['INPUT', '-s', address, '-p', 'tcp', '--dport', port, '-j', 'DROP']]),
  ]);
  for (const rule of rules) inside('-A', ...rule);
  return () => {
    for (const rule of rules) {
      try {
        inside('-D', ...rule);
      } catch {
        // The container was started anew, with a clean namespace.
      }
    }
    return Promise.resolve();
  };
}

/** Why a container's links cannot be cut. */
export function cannotCutContainers(): string | undefined {
  if (process.platform !== 'linux') return 'cutting links needs Linux';
  if (!isRoot()) return 'cutting links needs root';
  if (!has('iptables') || !has('nsenter')) return 'cutting links needs iptables and nsenter';
  return undefined;
}

/** Children of a process, and theirs. */
export function descendants(pid: number): number[] {
  const found: number[] = [];
  try {
    for (const task of readdirSync(`/proc/${pid}/task`))
      for (const child of readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
        if (child !== '') found.push(Number(child), ...descendants(Number(child)));
  } catch {
    // It has ended.
  }
  return found;
}
