import type { KubeObject } from '@pilothouse/apimachinery';
import { isPodActive, isPodTerminating, podPhase } from '../../common/pods.ts';
import { matchFailurePolicy } from './failure-policy.ts';
import { parseIndexes } from './index-set.ts';
import {
  completionsOf,
  failureCountAnnotation,
  hasFinalizer,
  indexOf,
  isIndexed,
  isPodFailed,
} from './job-state.ts';

/** All that one pass finds out about a job before it acts. */
export interface Picture {
  readonly job: KubeObject;
  readonly pods: readonly KubeObject[];
  readonly active: readonly KubeObject[];
  readonly terminating: number;
  readonly completed: Set<number>;
  readonly failedIndexes: Set<number>;
  readonly succeeded: number;
  readonly failed: number;
}

/** Counts pods that are remembered, and those that ended and are not yet. */
export function lookAt(
  job: KubeObject,
  pods: readonly KubeObject[],
  status: {
    succeeded?: number;
    failed?: number;
    completedIndexes?: string;
    failedIndexes?: string;
    uncountedTerminatedPods?: { succeeded?: string[]; failed?: string[] };
  },
): Picture {
  const completions = completionsOf(job) ?? 0;
  const completed = parseIndexes(status.completedIndexes, completions);
  const failedIndexes = parseIndexes(status.failedIndexes, completions);
  const known = new Set([
    ...(status.uncountedTerminatedPods?.succeeded ?? []),
    ...(status.uncountedTerminatedPods?.failed ?? []),
  ]);
  let succeeded = (status.succeeded ?? 0) + (status.uncountedTerminatedPods?.succeeded?.length ?? 0);
  let failed = (status.failed ?? 0) + (status.uncountedTerminatedPods?.failed?.length ?? 0);
  const perIndex = job['spec'].backoffLimitPerIndex as number | undefined;
  for (const pod of pods) {
    const index = indexOf(pod);
    if (podPhase(pod) === 'Succeeded') {
      if (isIndexed(job)) {
        if (index >= 0 && index < completions && hasFinalizer(pod)) completed.add(index);
      } else if (hasFinalizer(pod) && !known.has(pod.metadata.uid ?? '')) succeeded++;
    } else if (isPodFailed(job, pod)) {
      const { action } = matchFailurePolicy(job, pod);
      if (hasFinalizer(pod) && !known.has(pod.metadata.uid ?? '') && action !== 'Ignore') failed++;
      if (perIndex !== undefined && index >= 0 && !completed.has(index)) {
        const failures =
          Number(pod.metadata.annotations?.[failureCountAnnotation] ?? 0) + (action === 'Ignore' ? 0 : 1);
        if (action === 'FailIndex' || failures > perIndex) failedIndexes.add(index);
      }
    }
  }
  if (isIndexed(job)) succeeded = completed.size;
  return {
    job,
    pods,
    active: pods.filter((pod) => isPodActive(pod)),
    terminating: pods.filter((pod) => isPodTerminating(pod)).length,
    completed,
    failedIndexes,
    succeeded,
    failed,
  };
}
