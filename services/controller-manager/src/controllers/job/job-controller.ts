import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { ReconcileResult } from '@pilothouse/client';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import type { Condition } from '../../common/conditions.ts';
import { findCondition } from '../../common/conditions.ts';
import { Expectations } from '../../common/expectations.ts';
import { claim, controllerOf } from '../../common/ownership.ts';
import { isNamespaceTerminating, PodControl, slowStart } from '../../common/pod-control.ts';
import { isPodReady, isPodTerminating, podPhase } from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { matchFailurePolicy } from './failure-policy.ts';
import { formatIndexes, parseIndexes } from './index-set.ts';
import { failureOf, successOf } from './job-outcome.ts';
import type { Picture } from './job-picture.ts';
import { lookAt } from './job-picture.ts';
import { backoffMs, freeIndexes, jobPod } from './job-pod.ts';
import {
  completionsOf,
  finishedCondition,
  hasFinalizer,
  indexOf,
  isIndexed,
  isPodFailed,
  jobKind,
  targetCondition,
  trackingFinalizer,
  waitsForTerminal,
} from './job-state.ts';

const maxPodsPerSync = 500;
/** Pods' changes are worked together: a job with many pods would be synced for each of them. */
const syncBatchMs = 1000;

class JobController {
  readonly #context: ControllerContext;
  readonly #jobs;
  readonly #pods;
  readonly #expectations: Expectations;
  readonly #control: PodControl;
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#expectations = new Expectations(context.clock);
    this.#control = new PodControl(context.client, context.recorder);
    this.#jobs = context.informers.informer(resources.jobs);
    this.#pods = context.informers.informer(resources.pods);
    this.loop = new Controller({ ...loopOptions(context), baseDelayMs: 100, maxDelayMs: 60_000 }, (key) =>
      this.#sync(key),
    );
    const enqueue = (job: KubeObject): void => this.loop.queue.add(objectKey(job));
    this.#jobs.addHandler({
      onAdd: enqueue,
      onUpdate: enqueue,
      onDelete: (job) => {
        this.#expectations.forget(objectKey(job));
        enqueue(job);
      },
    });
    const podChanged = (pod: KubeObject, what: 'added' | 'changed' | 'deleted'): void => {
      const owner = controllerOf(pod);
      if (owner?.kind !== 'Job') return;
      const key = `${pod.metadata.namespace}/${owner.name}`;
      if (what === 'added' && pod.metadata.deletionTimestamp === undefined)
        this.#expectations.creationObserved(key);
      if (what === 'deleted' || pod.metadata.deletionTimestamp !== undefined)
        this.#expectations.deletionObserved(key, objectKey(pod));
      this.loop.queue.addAfter(key, syncBatchMs);
    };
    this.#pods.addHandler({
      onAdd: (pod) => podChanged(pod, 'added'),
      onUpdate: (pod) => podChanged(pod, 'changed'),
      onDelete: (pod) => podChanged(pod, 'deleted'),
    });
  }

  async #sync(key: string): Promise<ReconcileResult | void> {
    const { client } = this.#context;
    const job = this.#jobs.lister.getByKey(key);
    if (!job) {
      await this.#releaseOrphans(key);
      return;
    }
    if (finishedCondition(job)) {
      await this.#releaseFinished(job);
      return;
    }
    if (
      ((job['spec'].managedBy as string | undefined) ?? 'kubernetes.io/job-controller') !==
      'kubernetes.io/job-controller'
    )
      return;
    const pods = await claim(job, jobKind, this.#pods.lister.list(job.metadata.namespace), {
      client,
      ownerRef: resources.jobs,
      childRef: resources.pods,
      selector: job['spec'].selector,
    });
    return this.#converge(key, job, pods);
  }

  /** Pods of a job that is gone must not be held by its finalizer. */
  async #releaseOrphans(key: string): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    for (const pod of this.#pods.lister.list(namespace)) {
      const owner = controllerOf(pod);
      if (owner?.kind === 'Job' && owner.name === name && hasFinalizer(pod)) await this.#removeFinalizer(pod);
    }
  }

  async #releaseFinished(job: KubeObject): Promise<void> {
    for (const pod of this.#pods.lister.list(job.metadata.namespace)) {
      if (controllerOf(pod)?.uid === job.metadata.uid && hasFinalizer(pod)) await this.#removeFinalizer(pod);
    }
  }

  async #removeFinalizer(pod: KubeObject): Promise<void> {
    try {
      await this.#context.client.patch(
        resources.pods,
        pod.metadata.name ?? '',
        {
          metadata: {
            uid: pod.metadata.uid,
            finalizers: (pod.metadata.finalizers ?? []).filter((each) => each !== trackingFinalizer),
          },
        },
        { type: 'merge', namespace: pod.metadata.namespace ?? '' },
      );
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }

  async #converge(
    key: string,
    job: KubeObject,
    pods: readonly KubeObject[],
  ): Promise<ReconcileResult | void> {
    const { clock, recorder } = this.#context;
    const nowMs = clock.now();
    const status = structuredClone((job['status'] ?? {}) as Record<string, unknown>) as {
      conditions?: Condition[];
      startTime?: string;
      completionTime?: string;
      active?: number;
      succeeded?: number;
      failed?: number;
      terminating?: number;
      ready?: number;
      completedIndexes?: string;
      failedIndexes?: string;
      uncountedTerminatedPods?: { succeeded?: string[]; failed?: string[] };
    };
    const suspended = job['spec'].suspend === true;
    if (status.startTime === undefined && !suspended) status.startTime = secondTime(nowMs);
    const conditions = [...(status.conditions ?? [])];
    const picture = lookAt(job, pods, status);
    const condition = (type: string, truth: string, reason: string, message: string): Condition => {
      const now = secondTime(clock.now());
      return { type, status: truth, lastProbeTime: now, lastTransitionTime: now, reason, message };
    };
    const put = (made: Condition): void => {
      const index = conditions.findIndex((each) => each.type === made.type);
      if (index < 0) conditions.push(made);
      else conditions[index] = made;
    };

    const failure =
      targetCondition(conditions, 'FailureTarget') ?? failureOf(picture, status.startTime, nowMs, condition);
    const success = failure
      ? undefined
      : (targetCondition(conditions, 'SuccessCriteriaMet') ?? successOf(picture, condition));
    let active: readonly KubeObject[] = picture.active;
    let error: unknown;
    let wakeMs: number | undefined;
    if (failure || success) {
      put((failure ?? success) as Condition);
      await this.#deletePods(key, job, active);
      active = [];
    } else if (suspended) {
      if (this.#expectations.satisfied(key)) {
        await this.#dismissPods(key, job, active);
        active = [];
      }
      if (findCondition(conditions, 'Suspended')?.status !== 'True') {
        put(condition('Suspended', 'True', 'JobSuspended', 'Job suspended'));
        recorder.event(job, 'Normal', 'Suspended', 'Job suspended');
      }
      delete status.startTime;
    } else {
      if (findCondition(conditions, 'Suspended')?.status === 'True') {
        put(condition('Suspended', 'False', 'JobResumed', 'Job resumed'));
        recorder.event(job, 'Normal', 'Resumed', 'Job resumed');
        status.startTime = secondTime(nowMs);
      }
      if (this.#expectations.satisfied(key) && job.metadata.deletionTimestamp === undefined) {
        const managed = await this.#manage(key, picture, nowMs);
        active = managed.active;
        error = managed.error;
        wakeMs = managed.wakeMs;
      }
    }

    const ending = failure !== undefined || success !== undefined;
    // 1. Remember who ended before letting go of them; 2. let go; 3. count. A crash in between repeats, it never counts twice.
    const uncounted = {
      succeeded: [...(status.uncountedTerminatedPods?.succeeded ?? [])],
      failed: [...(status.uncountedTerminatedPods?.failed ?? [])],
    };
    const release: KubeObject[] = [];
    let remembered = false;
    const completed = parseIndexes(status.completedIndexes, completionsOf(job) ?? 0);
    for (const pod of pods) {
      if (!hasFinalizer(pod)) continue;
      const uid = pod.metadata.uid ?? '';
      const deletedByUs = ending && active.length === 0 && picture.active.includes(pod);
      if (podPhase(pod) === 'Succeeded') {
        if (isIndexed(job)) {
          const index = indexOf(pod);
          if (index >= 0 && index < (completionsOf(job) ?? 0) && !completed.has(index)) {
            completed.add(index);
            remembered = true;
          }
        } else if (!uncounted.succeeded.includes(uid)) {
          uncounted.succeeded.push(uid);
          remembered = true;
        }
        release.push(pod);
      } else if (isPodFailed(job, pod) || deletedByUs || (ending && isPodTerminating(pod))) {
        const ignored = matchFailurePolicy(job, pod).action === 'Ignore';
        // What a successful job stops has not failed.
        const stopped = success !== undefined && !isPodFailed(job, pod);
        if (!ignored && !stopped && !uncounted.failed.includes(uid)) {
          uncounted.failed.push(uid);
          remembered = true;
        }
        release.push(pod);
      }
    }
    const indexFields = {
      ...(isIndexed(job) && completed.size > 0 ? { completedIndexes: formatIndexes(completed) } : {}),
      ...(isIndexed(job) && job['spec'].backoffLimitPerIndex !== undefined
        ? { failedIndexes: formatIndexes(picture.failedIndexes) }
        : {}),
    };
    const readyCount = active.filter(isPodReady).length;
    const terminating = picture.terminating;
    const assemble = (
      list: { succeeded: string[]; failed: string[] },
      succeeded: number,
      failed: number,
    ): Record<string, unknown> => ({
      ...(conditions.length === 0 ? {} : { conditions }),
      ...(status.startTime === undefined ? {} : { startTime: status.startTime }),
      ...(status.completionTime === undefined ? {} : { completionTime: status.completionTime }),
      ...(active.length === 0 ? {} : { active: active.length }),
      ...(succeeded === 0 ? {} : { succeeded }),
      ...(failed === 0 ? {} : { failed }),
      terminating,
      ...indexFields,
      uncountedTerminatedPods: {
        ...(list.succeeded.length === 0 ? {} : { succeeded: list.succeeded }),
        ...(list.failed.length === 0 ? {} : { failed: list.failed }),
      },
      ready: readyCount,
    });
    let current = job;
    let succeeded = isIndexed(job) ? completed.size : (status.succeeded ?? 0);
    let failed = status.failed ?? 0;
    if (remembered && (uncounted.succeeded.length > 0 || uncounted.failed.length > 0))
      current = await this.#write(current, assemble(uncounted, succeeded, failed));
    const results = await Promise.allSettled(release.map((pod) => this.#removeFinalizer(pod)));
    const released = new Set(
      release.filter((_, index) => results[index]?.status === 'fulfilled').map((pod) => pod.metadata.uid),
    );
    const held = new Set(
      pods
        .filter((pod) => hasFinalizer(pod) && !released.has(pod.metadata.uid))
        .map((pod) => pod.metadata.uid ?? ''),
    );
    const settle = (uids: string[]): { left: string[]; counted: number } => {
      const left = uids.filter((uid) => held.has(uid));
      return { left, counted: uids.length - left.length };
    };
    const settledSucceeded = settle(uncounted.succeeded);
    const settledFailed = settle(uncounted.failed);
    if (!isIndexed(job)) succeeded += settledSucceeded.counted;
    failed += settledFailed.counted;
    const waiting =
      waitsForTerminal(job) || ending
        ? pods.filter((pod) => isPodTerminating(pod) && !released.has(pod.metadata.uid)).length
        : 0;
    let finished: Condition | undefined;
    if (ending && active.length === 0 && held.size === 0 && waiting === 0) {
      const target = (failure ?? success) as Condition;
      finished = condition(
        failure ? 'Failed' : 'Complete',
        'True',
        target.reason ?? '',
        target.message ?? '',
      );
      put(finished);
      if (success) status.completionTime = secondTime(clock.now());
    }
    await this.#write(
      current,
      assemble({ succeeded: settledSucceeded.left, failed: settledFailed.left }, succeeded, failed),
    );
    if (finished) {
      if (failure) recorder.event(job, 'Warning', failure.reason ?? '', failure.message ?? '');
      else recorder.event(job, 'Normal', 'Completed', 'Job completed');
    }
    if (error !== undefined && !isNamespaceTerminating(error)) throw error;
    const deadline = job['spec'].activeDeadlineSeconds as number | undefined;
    if (!ending && deadline !== undefined && status.startTime !== undefined) {
      wakeMs = Math.min(
        wakeMs ?? Infinity,
        Math.max(10, Date.parse(status.startTime) + deadline * 1000 - nowMs),
      );
    }
    return wakeMs === undefined ? undefined : { requeueAfterMs: wakeMs };
  }

  async #write(job: KubeObject, status: Record<string, unknown>): Promise<KubeObject> {
    if (canonical(status) === canonical(job['status'] ?? {})) return job;
    return this.#context.client.update(resources.jobs, { ...job, status }, { subresource: 'status' });
  }

  /** Deletes pods that are not needed any more; without their finalizer nobody counts them as failed. */
  async #dismissPods(key: string, job: KubeObject, pods: readonly KubeObject[]): Promise<void> {
    for (const pod of pods) if (hasFinalizer(pod)) await this.#removeFinalizer(pod);
    await this.#deletePods(key, job, pods);
  }

  async #deletePods(key: string, job: KubeObject, pods: readonly KubeObject[]): Promise<void> {
    if (pods.length === 0) return;
    this.#expectations.expectDeletions(key, pods.map(objectKey));
    for (const pod of pods) {
      try {
        await this.#control.delete(pod, job);
      } catch (error) {
        this.#expectations.deletionObserved(key, objectKey(pod));
        throw error;
      }
    }
  }

  async #manage(
    key: string,
    picture: Picture,
    nowMs: number,
  ): Promise<{ active: readonly KubeObject[]; error: unknown; wakeMs: number | undefined }> {
    const { job, active } = picture;
    const parallelism = (job['spec'].parallelism as number | undefined) ?? 1;
    const completions = completionsOf(job);
    const open =
      completions === undefined
        ? picture.succeeded > 0
          ? active.length
          : parallelism
        : Math.max(0, completions - picture.succeeded - picture.failedIndexes.size);
    const wanted = Math.min(parallelism, open);
    if (active.length > wanted) {
      const surplus = [...active]
        .sort((a, b) => Number(isPodReady(a)) - Number(isPodReady(b)) || (podPhase(a) < podPhase(b) ? -1 : 1))
        .slice(0, active.length - wanted);
      await this.#dismissPods(key, job, surplus);
      return { active: active.filter((pod) => !surplus.includes(pod)), error: undefined, wakeMs: undefined };
    }
    let missing = wanted - active.length;
    if (waitsForTerminal(job)) missing -= picture.terminating;
    missing = Math.min(missing, maxPodsPerSync);
    if (missing <= 0) return { active, error: undefined, wakeMs: undefined };
    const waitMs = backoffMs(picture, nowMs);
    if (waitMs > 0) return { active, error: undefined, wakeMs: waitMs };
    const indexes = isIndexed(job)
      ? freeIndexes(picture, missing)
      : Array.from({ length: missing }, () => undefined);
    this.#expectations.expectCreations(key, indexes.length);
    const created: KubeObject[] = [];
    const { succeeded, error } = await slowStart(indexes.length, async (position) => {
      created.push(await this.#control.create(jobPod(picture, indexes[position]), job));
    });
    for (let count = indexes.length - succeeded; count > 0; count--) this.#expectations.creationObserved(key);
    return { active: [...active, ...created], error, wakeMs: undefined };
  }
}

export const createJobController: ControllerFactory = (context) => new JobController(context).loop;
