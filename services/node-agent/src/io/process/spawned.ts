import { spawn } from 'node:child_process';
import os from 'node:os';
import type { IDisposable, IPty } from '@lydell/node-pty';

/** A program to start: a container's, or that of an exec. */
export interface SpawnRequest {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly tty: boolean;
  readonly stdin: boolean;
}

export interface SpawnedExit {
  readonly exitCode: number;
  /** Number of the signal that ended it. */
  readonly signal?: number;
}

/** A running program, behind pipes or a terminal of its own. It leads a session and a process group. */
export interface Spawned {
  readonly pid: number;
  /** With a terminal everything comes as stdout. Backpressure is the program's. */
  onOutput(listener: (stream: 'stdout' | 'stderr', data: Buffer) => void): void;
  /** After the last output. */
  onExit(listener: (exit: SpawnedExit) => void): void;
  /** Calls back once the program took the bytes. */
  write(data: Buffer, done: () => void): void;
  endStdin(): void;
  resize(width: number, height: number): void;
  pause(): void;
  resume(): void;
}

/** The program could not be started; `code` is the system's, e.g. ENOENT. */
export class SpawnError extends Error {
  override readonly name = 'SpawnError';
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** How long output is waited for that a background child of an ended program still holds open. */
const outputGraceMs = 500;

export function spawnProgram(
  request: SpawnRequest,
  after: (delayMs: number, then: () => void) => void,
): Promise<Spawned> {
  return request.tty ? spawnTerminal(request) : spawnPiped(request, after);
}

function spawnPiped(
  request: SpawnRequest,
  after: (delayMs: number, then: () => void) => void,
): Promise<Spawned> {
  const [program, ...rest] = request.argv as [string, ...string[]];
  const child = spawn(program, rest, {
    cwd: request.cwd,
    env: { ...request.env },
    detached: true,
    stdio: [request.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(new SpawnError(startMessage(program, error.code ?? ''), error.code ?? '')),
    );
    child.once('spawn', () => {
      const pid = child.pid as number;
      child.stdin?.on('error', () => undefined);
      child.once('exit', () => {
        // Programs left behind by the first one go with it, as they would with their container.
        killGroup(pid, 'SIGKILL');
        after(outputGraceMs, () => {
          child.stdout?.destroy();
          child.stderr?.destroy();
        });
      });
      resolve({
        pid,
        onOutput(listener) {
          child.stdout?.on('data', (data: Buffer) => listener('stdout', data));
          child.stderr?.on('data', (data: Buffer) => listener('stderr', data));
        },
        onExit: (listener) =>
          void child.once('close', (code, signal) => {
            const number = signal === null ? undefined : os.constants.signals[signal];
            listener(
              number === undefined ? { exitCode: code ?? 0 } : { exitCode: 128 + number, signal: number },
            );
          }),
        write(data, done) {
          if (!child.stdin || child.stdin.destroyed || child.stdin.writableEnded) done();
          else child.stdin.write(data, () => done());
        },
        endStdin: () => child.stdin?.end(),
        resize: () => undefined,
        pause() {
          child.stdout?.pause();
          child.stderr?.pause();
        },
        resume() {
          child.stdout?.resume();
          child.stderr?.resume();
        },
      });
    });
  });
}

/** The terminal's library starts a helper that reports nothing when the program is missing, so that is found out before. */
async function spawnTerminal(request: SpawnRequest): Promise<Spawned> {
  const { findProgram } = await import('./find-program.ts');
  const [program, ...rest] = request.argv as [string, ...string[]];
  const found = findProgram(program, request.env['PATH'] ?? '', request.cwd);
  if (found === undefined) throw new SpawnError(startMessage(program, 'ENOENT'), 'ENOENT');
  const pty = await import('@lydell/node-pty').catch(() => {
    throw new SpawnError(`terminals are not available on ${process.platform} ${process.arch}`, 'ENOTSUP');
  });
  const terminal: IPty = pty.spawn(found, rest, {
    cwd: request.cwd,
    env: { TERM: 'xterm', ...request.env },
    cols: 80,
    rows: 24,
    // Bytes, not text: a character may be cut in two.
    encoding: null,
  });
  const { pid } = terminal;
  let subscription: IDisposable | undefined;
  return {
    pid,
    onOutput(listener) {
      subscription?.dispose();
      subscription = terminal.onData((data) => listener('stdout', data as unknown as Buffer));
    },
    onExit: (listener) =>
      void terminal.onExit(({ exitCode, signal }) => {
        killGroup(pid, 'SIGKILL');
        // The last output may come in the same turn as the exit.
        after0(() => listener(signal ? { exitCode: 128 + signal, signal } : { exitCode }));
      }),
    write(data, done) {
      terminal.write(data as unknown as string);
      done();
    },
    // End of transmission: what a terminal has instead of closing.
    endStdin: () => terminal.write('\x04'),
    resize(width, height) {
      try {
        terminal.resize(width, height);
      } catch {
        // The program has just ended.
      }
    },
    pause: () => terminal.pause(),
    resume: () => terminal.resume(),
  };
}

function after0(then: () => void): void {
  setImmediate(then);
}

function startMessage(program: string, code: string): string {
  switch (code) {
    case 'ENOENT':
      return `exec: "${program}": executable file not found in $PATH`;
    case 'EACCES':
      return `exec: "${program}": permission denied`;
    default:
      return `exec: "${program}": ${code}`;
  }
}

/** Signals a program and everything in its process group; false when there is none. */
export function killGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}
