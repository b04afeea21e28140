import type { Steps } from '@pilothouse/base';

export interface Pace {
  /** Milliseconds that never go backwards. */
  monotonic(): number;
  /** Resolves when others had their turn. */
  giveWay(): Promise<void>;
}

/** Longest time at a stretch, milliseconds; a step that takes longer is not cut. */
const stretchMs = 8;

/** Does it in stretches, with others in between. Rejects with what a step throws. */
export async function paceSteps<T>(steps: Steps<T>, pace: Pace): Promise<T> {
  for (;;) {
    const endMs = pace.monotonic() + stretchMs;
    do {
      const { done, value } = steps.next();
      if (done === true) return value;
    } while (pace.monotonic() < endMs);
    await pace.giveWay();
  }
}
