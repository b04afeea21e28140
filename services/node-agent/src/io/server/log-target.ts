import type { PodSpec } from '../../core/pod-shape.ts';
import { startsAgain } from '../../core/process/pod-decision.ts';
import type { PodDirectories } from '../process/pod-directory.ts';
import type { PodWorker } from '../process/pod-worker.ts';

/** The log file that a request means, and whether it can still grow. Throws Error with kubelet's words when there is none. */
export function logTarget(
  worker: PodWorker,
  container: string,
  previous: boolean,
  directories: PodDirectories,
): { file: string; isRunning(): boolean } {
  const name = worker.pod.metadata.name ?? '';
  const record = worker.records.find((each) => each.name === container);
  if (!record) throw new Error(`container "${container}" in pod "${name}" is not available`);
  const file = (restarts: number): string => directories.logFile(worker.uid, container, restarts);
  const { state } = record;
  const policy = (worker.pod['spec'] as PodSpec).restartPolicy;
  if (previous) {
    // Between two runs the one that has just ended is the previous one.
    if (state.kind === 'exited' && startsAgain(record, policy) && record.backoffMs > 0)
      return { file: file(record.restarts), isRunning: () => false };
    if (!record.last)
      throw new Error(`previous terminated container "${container}" in pod "${name}" not found`);
    return { file: file(record.restarts - 1), isRunning: () => false };
  }
  if (state.kind === 'waiting' && !record.last) {
    const why =
      state.reason === 'ErrImagePull'
        ? "image can't be pulled"
        : state.reason === 'ImagePullBackOff'
          ? 'trying and failing to pull image'
          : state.reason;
    throw new Error(`container "${container}" in pod "${name}" is waiting to start: ${why}`);
  }
  const { restarts } = record;
  const of = state.kind === 'waiting' ? restarts - 1 : restarts;
  return {
    file: file(Math.max(0, of)),
    isRunning: () => {
      const now = worker.records.find((each) => each.name === container);
      return now?.restarts === restarts && now.state.kind === 'running';
    },
  };
}
