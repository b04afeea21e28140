import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import path from 'node:path';
import { sleep } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';
import { readState } from '../plane/state-file.ts';
import { pilothouseCommand } from '../self.ts';
import { lastLine } from './shared.ts';

/** Each of the plane's layers gets its grace, and the supervisor one more. */
const stopLimitMs = 4 * limits.stopGraceMs;

/**
 * Starts the same command without --detach in a process group of its own and waits until it is ready; resolves to the seconds that took. Throws
 * CommandError when it does not become ready or this command is told to end, and leaves nothing running then.
 */
export async function startDetached(
  argv: readonly string[],
  dataDir: string,
  readyTimeoutMs: number,
): Promise<number> {
  const logFile = path.join(dataDir, 'logs', 'supervisor.log');
  const log = openSync(logFile, 'a', 0o600);
  const [program, ...rest] = pilothouseCommand() as [string, ...string[]];
  const plain = argv.filter((each) => !/^--?detach(=.*)?$/.test(each));
  const child = spawn(program, [...rest, 'up', ...plain], { detached: true, stdio: ['ignore', log, log] });
  let exit: string | undefined;
  child.once('exit', (code, signal) => (exit = signal ?? `exit status ${code}`));
  let interrupted: NodeJS.Signals | undefined;
  const interrupt = (signal: NodeJS.Signals): void => void (interrupted = signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const startedMs = nodeClock.monotonic();
  for (;;) {
    const state = readState(dataDir);
    if (state?.supervisorPid === child.pid && state?.ready) break;
    if (exit !== undefined)
      throw new CommandError(`The plane did not start (${exit}): ${lastLine(logFile)}; see ${logFile}`);
    // The plane looks at the limit itself and says what is missing: this is for one that does not even get there.
    const isLate = nodeClock.monotonic() - startedMs > readyTimeoutMs + stopLimitMs;
    if (isLate || interrupted !== undefined) {
      const reached = lastLine(logFile);
      await stopStarted(child, () => exit !== undefined);
      throw new CommandError(
        `${isLate ? `The plane is not ready after ${readyTimeoutMs / 1000} s (--ready-timeout)` : `Interrupted by ${interrupted}`} and was stopped again; it had come to: ${reached}; see ${logFile}`,
      );
    }
    await sleep(nodeClock, limits.probeIntervalMs);
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
  child.unref();
  return (nodeClock.monotonic() - startedMs) / 1000;
}

/** Asks a plane that this command started to stop, and ends its whole process group when it does not. */
async function stopStarted(child: ChildProcess, hasEnded: () => boolean): Promise<void> {
  child.kill('SIGTERM');
  const deadline = nodeClock.monotonic() + stopLimitMs;
  while (!hasEnded()) {
    if (nodeClock.monotonic() > deadline && child.pid !== undefined) {
      process.kill(-child.pid, 'SIGKILL');
      return;
    }
    await sleep(nodeClock, limits.probeIntervalMs);
  }
}
