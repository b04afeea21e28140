import type { KubeObject } from '@pilothouse/apimachinery';
import { newControllerRef } from '../../common/ownership.ts';
import { podFromTemplate } from '../../common/pod-control.ts';
import { isPodActive, isPodTerminating, podPhase } from '../../common/pods.ts';
import { matchFailurePolicy } from './failure-policy.ts';
import type { Picture } from './job-picture.ts';
import {
  completionsOf,
  failureCountAnnotation,
  finishTimeMs,
  indexAnnotation,
  indexOf,
  isPodFailed,
  jobKind,
  trackingFinalizer,
  waitsForTerminal,
} from './job-state.ts';

const podBackoffMinMs = 10_000;
const podBackoffMaxMs = 600_000;

/** After failures the next pod waits 10 s, 20 s, 40 s … from the end of the last one; a success in between starts over. */
export function backoffMs(picture: Picture, nowMs: number): number {
  const ended = picture.pods
    .filter((pod) => podPhase(pod) === 'Succeeded' || isPodFailed(picture.job, pod))
    .sort((a, b) => finishTimeMs(b) - finishTimeMs(a));
  let failures = 0;
  for (const pod of ended) {
    if (podPhase(pod) === 'Succeeded') break;
    if (matchFailurePolicy(picture.job, pod).action !== 'Ignore') failures++;
  }
  if (failures === 0 || picture.job['spec'].backoffLimitPerIndex !== undefined) return 0;
  const delay = Math.min(podBackoffMaxMs, podBackoffMinMs * 2 ** (failures - 1));
  return finishTimeMs(ended[0] as KubeObject) + delay - nowMs;
}

/** The lowest indexes that need a pod. */
export function freeIndexes(picture: Picture, count: number): number[] {
  const { job, pods } = picture;
  const busy = new Set(
    pods.filter((pod) => isPodActive(pod) || (waitsForTerminal(job) && isPodTerminating(pod))).map(indexOf),
  );
  const free: number[] = [];
  for (let index = 0; index < (completionsOf(job) ?? 0) && free.length < count; index++) {
    if (!busy.has(index) && !picture.completed.has(index) && !picture.failedIndexes.has(index))
      free.push(index);
  }
  return free;
}

/** A new pod of the job, for one index when it has indexes. */
export function jobPod(picture: Picture, index: number | undefined): KubeObject {
  const { job } = picture;
  const pod = podFromTemplate(
    job['spec'].template,
    job,
    newControllerRef(job, jobKind),
    index === undefined ? undefined : `${job.metadata.name}-${index}-`,
  );
  pod.metadata.finalizers = [...(pod.metadata.finalizers ?? []), trackingFinalizer];
  if (index === undefined) return pod;
  const failures = Math.max(
    0,
    ...picture.pods
      .filter((each) => indexOf(each) === index && isPodFailed(job, each))
      .map((each) => Number(each.metadata.annotations?.[failureCountAnnotation] ?? 0) + 1),
  );
  pod.metadata.labels = { ...pod.metadata.labels, [indexAnnotation]: String(index) };
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [indexAnnotation]: String(index),
    ...(job['spec'].backoffLimitPerIndex === undefined ? {} : { [failureCountAnnotation]: String(failures) }),
  };
  const spec = pod['spec'] as {
    hostname?: string;
    containers: KubeObject[];
    initContainers?: KubeObject[];
  };
  spec.hostname = `${job.metadata.name}-${index}`;
  const variable = {
    name: 'JOB_COMPLETION_INDEX',
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${indexAnnotation}']` } },
  };
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    const env = (container['env'] ?? []) as { name: string }[];
    if (!env.some((each) => each.name === variable.name)) container['env'] = [...env, variable];
  }
  return pod;
}
