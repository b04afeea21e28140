import { performance } from 'node:perf_hooks';
import type { Clock, Timer } from '@pilothouse/base';

/** The machine's clock. The only place that may touch Date.now and the global timers. */
export const nodeClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback: () => void, delayMs: number): Timer {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  setInterval(callback: () => void, periodMs: number): Timer {
    const handle = setInterval(callback, periodMs);
    return { cancel: () => clearInterval(handle) };
  },
};
