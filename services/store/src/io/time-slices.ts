import type { Clock } from '@pilothouse/base';

/** How long the event loop is taken in one go. */
const sliceMs = 5;

/**
 * Runs long work a slice at a time, so that requests and heartbeats are served in between. `between`: what a slice has to wait for. Resolves with
 * the work's result.
 */
export async function inTimeSlices<T>(
  steps: Generator<void, T>,
  clock: Clock,
  between: () => Promise<void> = () => Promise.resolve(),
): Promise<T> {
  try {
    for (;;) {
      const end = clock.monotonic() + sliceMs;
      do {
        const step = steps.next();
        if (step.done === true) return step.value;
      } while (clock.monotonic() < end);
      await between();
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, 0));
    }
  } finally {
    steps.return(undefined as never);
  }
}
