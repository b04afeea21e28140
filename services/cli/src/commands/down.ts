import { sleep } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';
import { isAlive } from '../plane/state-file.ts';
import { openPlane, planeFlags, stopLeftovers } from './shared.ts';

/** `pilothouse down`: stops a plane; its data stays. */
export async function down(argv: readonly string[]): Promise<void> {
  const { state } = openPlane(planeFlags, argv);
  if (isAlive(state.supervisorPid) && state.supervisorPid > 0) {
    process.kill(state.supervisorPid, 'SIGTERM');
    const deadline = nodeClock.monotonic() + 4 * limits.stopGraceMs;
    while (isAlive(state.supervisorPid)) {
      if (nodeClock.monotonic() > deadline)
        throw new CommandError(`Process ${state.supervisorPid} does not stop`);
      await sleep(nodeClock, limits.probeIntervalMs);
    }
  } else await stopLeftovers(state);
  process.stdout.write('Stopped\n');
}
