import type { KubeObject } from '@pilothouse/apimachinery';
import type { Condition } from '../../common/conditions.ts';
import { findCondition } from '../../common/conditions.ts';
import { podPhase } from '../../common/pods.ts';

export const jobKind = { apiVersion: 'batch/v1', kind: 'Job' } as const;
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
export const indexAnnotation = 'batch.kubernetes.io/job-completion-index';
export const failureCountAnnotation = 'batch.kubernetes.io/job-index-failure-count';

export const isIndexed = (job: KubeObject): boolean => job['spec'].completionMode === 'Indexed';
export const completionsOf = (job: KubeObject): number | undefined =>
  job['spec'].completions as number | undefined;
export const hasFinalizer = (pod: KubeObject): boolean =>
  pod.metadata.finalizers?.includes(trackingFinalizer) ?? false;

export function indexOf(pod: KubeObject): number {
  const text = pod.metadata.annotations?.[indexAnnotation];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : -1;
}

/** Complete or Failed. */
export function finishedCondition(job: KubeObject): Condition | undefined {
  const conditions = (job['status']?.conditions ?? []) as Condition[];
  return conditions.find(
    (each) => (each.type === 'Complete' || each.type === 'Failed') && each.status === 'True',
  );
}

export function targetCondition(
  conditions: readonly Condition[],
  type: 'FailureTarget' | 'SuccessCriteriaMet',
): Condition | undefined {
  const found = findCondition(conditions, type);
  return found?.status === 'True' ? found : undefined;
}

/** Whether pods being deleted are replaced, and counted, only once they have really ended. */
export const waitsForTerminal = (job: KubeObject): boolean => job['spec'].podReplacementPolicy === 'Failed';

export function isPodFailed(job: KubeObject, pod: KubeObject): boolean {
  if (podPhase(pod) === 'Failed') return true;
  return (
    !waitsForTerminal(job) && pod.metadata.deletionTimestamp !== undefined && podPhase(pod) !== 'Succeeded'
  );
}

/** When a pod ended, wall milliseconds: the last of its containers, or its deletion. */
export function finishTimeMs(pod: KubeObject): number {
  const times = (
    (pod['status']?.containerStatuses ?? []) as { state?: { terminated?: { finishedAt?: string } } }[]
  )
    .map((each) => each.state?.terminated?.finishedAt)
    .filter((each) => each !== undefined)
    .map((each) => Date.parse(each));
  if (times.length > 0) return Math.max(...times);
  const conditions = (pod['status']?.conditions ?? []) as { type: string; lastTransitionTime?: string }[];
  const ready = conditions.find((each) => each.type === 'Ready')?.lastTransitionTime;
  return Date.parse(pod.metadata.deletionTimestamp ?? ready ?? pod.metadata.creationTimestamp ?? '');
}

/** The first rule of the success policy (KEP-3998) that the completed indexes meet; undefined: none. */
export function matchSuccessPolicy(
  job: KubeObject,
  completed: ReadonlySet<number>,
  parse: (text: string) => Set<number>,
): string | undefined {
  for (const [index, rule] of (
    (job['spec'].successPolicy?.rules ?? []) as { succeededIndexes?: string; succeededCount?: number }[]
  ).entries()) {
    const wanted = rule.succeededIndexes === undefined ? undefined : parse(rule.succeededIndexes);
    const matching =
      wanted === undefined ? completed.size : [...wanted].filter((each) => completed.has(each)).length;
    if (matching >= (rule.succeededCount ?? wanted?.size ?? Infinity))
      return `Matched rules at index ${index}`;
  }
  return undefined;
}
