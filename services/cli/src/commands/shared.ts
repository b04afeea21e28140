import { readFileSync } from 'node:fs';
import path from 'node:path';
import { sleep } from '@pilothouse/base';
import type { FlagSpecs } from '@pilothouse/host';
import { nodeClock, parseFlags } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { PlaneState } from '../plane/state-file.ts';
import { isAlive, readState } from '../plane/state-file.ts';

export const defaultDataDirectory = (): string => path.join(process.cwd(), 'data');

/** Flags of the commands that look at a plane. */
export const planeFlags: FlagSpecs = {
  'data-dir': {
    type: 'string',
    default: '',
    help: 'The directory of the plane (default: data in the current directory)',
  },
};

/** Parses flags and finds the plane they mean. */
export function openPlane(
  specs: FlagSpecs,
  argv: readonly string[],
): { dataDir: string; state: PlaneState; values: ReturnType<typeof parseFlags>['values'] } {
  const { values } = parseFlags(specs, argv);
  const dataDir = path.resolve((values['data-dir'] as string) || defaultDataDirectory());
  const state = readState(dataDir);
  if (!state)
    throw new CommandError(`No plane in "${dataDir}"; start one with: pilothouse up --data-dir ${dataDir}`);
  return { dataDir, state, values };
}

/** Ends children that outlived a supervisor that was killed: only pids that this plane recorded. */
export async function stopLeftovers(state: PlaneState): Promise<void> {
  const alive = (): number[] => state.processes.map((each) => each.pid).filter((pid) => isAlive(pid));
  const signal = (name: NodeJS.Signals): void => {
    for (const pid of alive()) {
      try {
        process.kill(pid, name);
      } catch {
        // It ended between the look and the signal.
      }
    }
  };
  if (alive().length === 0) return;
  signal('SIGTERM');
  const deadline = nodeClock.monotonic() + limits.stopGraceMs;
  while (alive().length > 0 && nodeClock.monotonic() < deadline)
    await sleep(nodeClock, limits.probeIntervalMs);
  signal('SIGKILL');
}

/** Of a log that is there. */
export function lastLine(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? '';
}
