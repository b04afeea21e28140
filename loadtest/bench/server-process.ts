import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

/** Clock ticks a second in /proc/PID/stat: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;
/** Last lines of a log that an error shows. */
const logTailLines = 12;

const running = new Set<ServerProcess>();

/** A server under test: its log goes to a file, its use of memory and CPU is read from /proc. */
export class ServerProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #logFile: string;

  constructor(
    name: string,
    program: string,
    args: readonly string[],
    directory: string,
    env: Readonly<Record<string, string>> = {},
  ) {
    this.name = name;
    this.#logFile = path.join(directory, `${name}.log`);
    const log = openSync(this.#logFile, 'a');
    this.#child = spawn(program, [...args], {
      stdio: ['ignore', log, log],
      cwd: directory,
      env: { ...process.env, ...env },
    });
    closeSync(log);
    this.#child.once('error', (error) => process.stderr.write(`${name}: ${error.message}\n`));
    running.add(this);
    this.#child.once('exit', () => running.delete(this));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  onEnd(listener: () => void): void {
    if (this.hasEnded) listener();
    else this.#child.once('exit', listener);
  }

  /** Calls `isReady` until it is true. Throws with the end of the log when the process ends or time is over. */
  async waitUntil(isReady: () => Promise<boolean>, withinMs = 90_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!(await isReady().catch(() => false))) {
      if (this.hasEnded || performance.now() > deadline) {
        const tail = readFileSync(this.#logFile, 'utf8')
          .trimEnd()
          .split('\n')
          .slice(-logTailLines)
          .join('\n');
        throw new Error(
          `${this.name} ${this.hasEnded ? 'ended at start' : `is not ready after ${withinMs / 1000} s`}\n${tail}`,
        );
      }
      await pause(100);
    }
  }

  usage(): ProcessUsage {
    return processUsage(this.pid);
  }

  /** SIGTERM, then SIGKILL after five seconds. */
  async stop(): Promise<void> {
    if (this.hasEnded) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
      this.#child.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#child.kill('SIGTERM');
    });
  }
}

/** Ends every server that is still there; also runs when this process is interrupted. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((each) => each.stop()));
}

export interface ProcessUsage {
  readonly rssMiB: number;
  /** User and system time since the process began. */
  readonly cpuSeconds: number;
}

/** Zeros where there is no /proc or no such process. */
export function processUsage(pid: number): ProcessUsage {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name, in parentheses, may contain spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      rssMiB: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024,
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    };
  } catch {
    return { rssMiB: 0, cpuSeconds: 0 };
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Ports that are free now. All are held until the last is found, so that none comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
