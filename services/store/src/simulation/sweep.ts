import { runSimulation } from './run.ts';

export interface SweepOptions {
  readonly seed: number;
  /** Steps between two crashes; 1: every step. */
  readonly stride: number;
  /** Virtual milliseconds of traffic. */
  readonly trafficMs: number;
  readonly onCrash?: (step: number, steps: number, violation: string | undefined) => void;
}

export interface SweepReport {
  readonly steps: number;
  readonly crashes: number;
  readonly failures: readonly { readonly step: number; readonly violation: string }[];
}

/**
 * Runs one and the same cluster again and again, and lets the machine of the first member die before one step of its disk: a write, a sync,
 * a change of a name, a flush of the state. Each run goes on to the end and is checked as any other.
 */
export async function runSweep(options: SweepOptions): Promise<SweepReport> {
  const { seed, stride, trafficMs } = options;
  const calm = await runSimulation({ seed, faultMs: trafficMs, crashAtStep: 0 });
  const failures: { step: number; violation: string }[] = [];
  if (calm.violation !== undefined) failures.push({ step: 0, violation: calm.violation });
  let crashes = 0;
  for (let step = 1; step <= calm.steps; step += stride) {
    const { violation } = await runSimulation({ seed, faultMs: trafficMs, crashAtStep: step });
    crashes++;
    if (violation !== undefined) failures.push({ step, violation });
    options.onCrash?.(step, calm.steps, violation);
  }
  return { steps: calm.steps, crashes, failures };
}
