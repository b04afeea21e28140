import type { KubeObject } from '@pilothouse/apimachinery';
import type { Condition } from '../../common/conditions.ts';
import { matchFailurePolicy } from './failure-policy.ts';
import { parseIndexes } from './index-set.ts';
import type { Picture } from './job-picture.ts';
import { completionsOf, isIndexed, isPodFailed, matchSuccessPolicy } from './job-state.ts';

/** Why the job has failed; undefined: it has not. */
export function failureOf(
  picture: Picture,
  startTime: string | undefined,
  nowMs: number,
  condition: (type: string, status: string, reason: string, message: string) => Condition,
): Condition | undefined {
  const { job, pods } = picture;
  for (const pod of pods) {
    if (!isPodFailed(job, pod) || job['spec'].podFailurePolicy === undefined) continue;
    const { action, message } = matchFailurePolicy(job, pod);
    if (action === 'FailJob') return condition('FailureTarget', 'True', 'PodFailurePolicy', message ?? '');
  }
  const limit = (job['spec'].backoffLimit as number | undefined) ?? 6;
  const restarts =
    job['spec'].template.spec?.restartPolicy === 'OnFailure'
      ? picture.active.reduce((total, pod) => total + restartsOf(pod), 0)
      : 0;
  if (picture.failed > limit || (restarts > 0 && restarts >= Math.max(1, limit)))
    return condition(
      'FailureTarget',
      'True',
      'BackoffLimitExceeded',
      'Job has reached the specified backoff limit',
    );
  const deadline = job['spec'].activeDeadlineSeconds as number | undefined;
  if (
    deadline !== undefined &&
    startTime !== undefined &&
    job['spec'].suspend !== true &&
    nowMs - Date.parse(startTime) >= deadline * 1000
  ) {
    return condition(
      'FailureTarget',
      'True',
      'DeadlineExceeded',
      'Job was active longer than specified deadline',
    );
  }
  if (job['spec'].backoffLimitPerIndex !== undefined && picture.failedIndexes.size > 0) {
    const most = job['spec'].maxFailedIndexes as number | undefined;
    if (most !== undefined && picture.failedIndexes.size > most)
      return condition(
        'FailureTarget',
        'True',
        'MaxFailedIndexesExceeded',
        'Job has exceeded the specified maximal number of failed indexes',
      );
    if (picture.failedIndexes.size + picture.completed.size >= (completionsOf(job) ?? 0))
      return condition('FailureTarget', 'True', 'FailedIndexes', 'Job has failed indexes');
  }
  return undefined;
}

/** Why the job has succeeded; undefined: it has not. */
export function successOf(
  picture: Picture,
  condition: (type: string, status: string, reason: string, message: string) => Condition,
): Condition | undefined {
  const { job } = picture;
  if (isIndexed(job) && job['spec'].successPolicy !== undefined) {
    const message = matchSuccessPolicy(job, picture.completed, (text) =>
      parseIndexes(text, completionsOf(job) ?? 0),
    );
    if (message !== undefined) return condition('SuccessCriteriaMet', 'True', 'SuccessPolicy', message);
  }
  const completions = completionsOf(job);
  const reached =
    completions === undefined
      ? picture.succeeded > 0 && picture.active.length === 0
      : picture.succeeded >= completions;
  return reached
    ? condition(
        'SuccessCriteriaMet',
        'True',
        'CompletionsReached',
        'Reached expected number of succeeded pods',
      )
    : undefined;
}

function restartsOf(pod: KubeObject): number {
  const statuses = [
    ...(pod['status']?.containerStatuses ?? []),
    ...(pod['status']?.initContainerStatuses ?? []),
  ] as { restartCount?: number }[];
  return statuses.reduce((total, each) => total + (each.restartCount ?? 0), 0);
}
