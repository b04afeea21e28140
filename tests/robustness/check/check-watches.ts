import { checkWatchSegment } from '@pilothouse/testkit';
import type { WatchProblem } from '@pilothouse/testkit';
import type { WatchClient } from '../traffic/watch-client.ts';
import type { Truth } from './truth.ts';

/** Checks all that one watcher got against the history. `compacted`: the highest revision that was compacted meanwhile. */
export function checkWatcher(watcher: WatchClient, truth: Truth, compacted: number): WatchProblem[] {
  const check = { shape: watcher.shape, history: truth.history, knownUpTo: truth.revision, compacted };
  return watcher.segments.flatMap((segment) => checkWatchSegment(segment, check));
}
