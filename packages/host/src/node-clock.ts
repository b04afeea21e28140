import { performance } from 'node:perf_hooks';
import type { Clock, Timer } from '@pilothouse/base';

/** Node's timers count milliseconds in 31 bits; a longer wait would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** The machine's clock. The only place that may touch Date.now and the global timers. */
export const nodeClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback: () => void, delayMs: number): Timer {
    if (delayMs <= longestTimerMs) {
      const handle = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(handle) };
    }
    const rest = (): void => {
      timer = nodeClock.setTimeout(callback, delayMs - longestTimerMs);
    };
    let timer = nodeClock.setTimeout(rest, longestTimerMs);
    return { cancel: () => timer.cancel() };
  },
  setInterval(callback: () => void, periodMs: number): Timer {
    const handle = setInterval(callback, periodMs);
    return { cancel: () => clearInterval(handle) };
  },
};
