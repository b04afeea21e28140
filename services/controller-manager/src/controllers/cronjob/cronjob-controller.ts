import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { ReconcileResult } from '@pilothouse/client';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import { controllerOf, newControllerRef } from '../../common/ownership.ts';
import { isNamespaceTerminating } from '../../common/pod-control.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { finishedCondition } from '../job/job-state.ts';
import { Schedule } from './schedule.ts';

const scheduledAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
const kind = { apiVersion: 'batch/v1', kind: 'CronJob' } as const;

interface CronStatus {
  active?: {
    kind: string;
    namespace: string;
    name: string;
    uid: string;
    apiVersion: string;
    resourceVersion?: string;
  }[];
  lastScheduleTime?: string;
  lastSuccessfulTime?: string;
}

class CronJobController {
  readonly #context: ControllerContext;
  readonly #cronJobs;
  readonly #jobs;
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#cronJobs = context.informers.informer(resources.cronJobs);
    this.#jobs = context.informers.informer(resources.jobs);
    this.loop = new Controller(loopOptions(context), (key) => this.#sync(key));
    const enqueue = (cronJob: KubeObject): void => this.loop.queue.add(objectKey(cronJob));
    this.#cronJobs.addHandler({ onAdd: enqueue, onUpdate: enqueue });
    const jobChanged = (job: KubeObject): void => {
      const owner = controllerOf(job);
      if (owner?.kind === 'CronJob') this.loop.queue.add(`${job.metadata.namespace}/${owner.name}`);
    };
    this.#jobs.addHandler({ onAdd: jobChanged, onUpdate: jobChanged, onDelete: jobChanged });
  }

  async #sync(key: string): Promise<ReconcileResult | void> {
    const cronJob = this.#cronJobs.lister.getByKey(key);
    if (!cronJob) return;
    const jobs = this.#jobs.lister
      .list(cronJob.metadata.namespace)
      .filter((job) => controllerOf(job)?.uid === cronJob.metadata.uid);
    const status = structuredClone((cronJob['status'] ?? {}) as CronStatus);
    await this.#trimHistory(cronJob, jobs);
    await this.#observe(cronJob, jobs, status);
    let result: ReconcileResult | undefined;
    let failure: unknown;
    try {
      result = await this.#fire(cronJob, jobs, status);
    } catch (error) {
      failure = error;
    }
    const next: CronStatus = { ...status };
    if (next.active?.length === 0) delete next.active;
    if (canonical(next) !== canonical(cronJob['status'] ?? {})) await this.#writeStatus(cronJob, next);
    if (failure !== undefined && !isNamespaceTerminating(failure)) throw failure;
    return result;
  }

  /** Only this controller knows which jobs it made: a conflict with another writer must not lose that. */
  async #writeStatus(cronJob: KubeObject, status: CronStatus): Promise<void> {
    const { client } = this.#context;
    let latest = cronJob;
    for (let attempt = 1; ; attempt++) {
      try {
        await client.update(resources.cronJobs, { ...latest, status }, { subresource: 'status' });
        return;
      } catch (error) {
        if (hasReason(error, 'NotFound')) return;
        if (!hasReason(error, 'Conflict') || attempt === 5) throw error;
      }
      latest = await client.get(resources.cronJobs, cronJob.metadata.name ?? '', {
        namespace: cronJob.metadata.namespace ?? '',
      });
      if (latest.metadata.uid !== cronJob.metadata.uid) return;
    }
  }

  /** Jobs that ended leave the list of active ones; jobs that should be there and are not are said to be missing. */
  async #observe(cronJob: KubeObject, jobs: readonly KubeObject[], status: CronStatus): Promise<void> {
    const { client, recorder } = this.#context;
    for (const job of jobs) {
      const listed = status.active?.some((each) => each.uid === job.metadata.uid) ?? false;
      const finished = finishedCondition(job);
      if (!listed && !finished) {
        const fresh = await client.get(resources.cronJobs, cronJob.metadata.name ?? '', {
          namespace: cronJob.metadata.namespace ?? '',
        });
        const known = ((fresh['status'] ?? {}) as CronStatus).active?.some(
          (each) => each.uid === job.metadata.uid,
        );
        if (known) status.active = ((fresh['status'] ?? {}) as CronStatus).active ?? [];
        else if (job.metadata.deletionTimestamp === undefined)
          recorder.event(
            cronJob,
            'Warning',
            'UnexpectedJob',
            `Saw a job that the controller did not create or forgot: ${job.metadata.name}`,
          );
      } else if (listed && finished) {
        status.active = (status.active ?? []).filter((each) => each.uid !== job.metadata.uid);
        recorder.event(
          cronJob,
          'Normal',
          'SawCompletedJob',
          `Saw completed job: ${job.metadata.name}, condition: ${finished.type}`,
        );
      }
      const completionTime = job['status']?.completionTime as string | undefined;
      if (
        finished?.type === 'Complete' &&
        completionTime !== undefined &&
        (status.lastSuccessfulTime === undefined || status.lastSuccessfulTime < completionTime)
      )
        status.lastSuccessfulTime = completionTime;
    }
    const present = new Set(jobs.map((job) => job.metadata.uid));
    for (const reference of [...(status.active ?? [])]) {
      if (present.has(reference.uid)) continue;
      const gone = await client.get(resources.jobs, reference.name, { namespace: reference.namespace }).then(
        (job) => job.metadata.uid !== reference.uid,
        (error: unknown) => hasReason(error, 'NotFound'),
      );
      if (!gone) continue;
      recorder.event(cronJob, 'Normal', 'MissingJob', `Active job went missing: ${reference.name}`);
      status.active = (status.active ?? []).filter((each) => each.uid !== reference.uid);
    }
  }

  async #fire(
    cronJob: KubeObject,
    jobs: readonly KubeObject[],
    status: CronStatus,
  ): Promise<ReconcileResult | undefined> {
    const { client, clock, recorder } = this.#context;
    if (cronJob.metadata.deletionTimestamp !== undefined || cronJob['spec'].suspend === true)
      return undefined;
    const nowMs = clock.now();
    let schedule: Schedule;
    let nextMs: number | undefined;
    try {
      schedule = new Schedule(
        cronJob['spec'].schedule as string,
        cronJob['spec'].timeZone as string | undefined,
      );
      nextMs = schedule.next(nowMs);
    } catch (error) {
      recorder.event(
        cronJob,
        'Warning',
        'UnparseableSchedule',
        `unparseable schedule: "${cronJob['spec'].schedule}" : ${errorMessage(error)}`,
      );
      return undefined;
    }
    // 100 ms late, so that the clock of the job's pods is surely past the scheduled time.
    const again = nextMs === undefined ? undefined : { requeueAfterMs: nextMs - nowMs + 100 };
    const deadlineMs =
      cronJob['spec'].startingDeadlineSeconds === undefined
        ? undefined
        : (cronJob['spec'].startingDeadlineSeconds as number) * 1000;
    let earliestMs = Date.parse(status.lastScheduleTime ?? cronJob.metadata.creationTimestamp ?? '');
    if (deadlineMs !== undefined) earliestMs = Math.max(earliestMs, nowMs - deadlineMs);
    const { lastMs, count } = schedule.lastMissed(earliestMs, nowMs);
    if (lastMs === undefined) return again;
    if (count > 100)
      recorder.event(
        cronJob,
        'Warning',
        'TooManyMissedTimes',
        'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew',
      );
    if (deadlineMs !== undefined && lastMs + deadlineMs < nowMs) {
      recorder.event(
        cronJob,
        'Warning',
        'MissSchedule',
        `Missed scheduled time to start a job: ${new Date(lastMs).toUTCString()}`,
      );
      return again;
    }
    const name = `${cronJob.metadata.name}-${Math.floor(lastMs / 60_000)}`;
    if (
      status.active?.some((each) => each.name === name) ||
      Date.parse(status.lastScheduleTime ?? '') === lastMs
    )
      return again;
    if (cronJob['spec'].concurrencyPolicy === 'Forbid' && (status.active?.length ?? 0) > 0) {
      recorder.event(
        cronJob,
        'Normal',
        'JobAlreadyActive',
        'Not starting job because prior execution is running and concurrency policy is Forbid',
      );
      return again;
    }
    if (cronJob['spec'].concurrencyPolicy === 'Replace') {
      for (const reference of [...(status.active ?? [])]) {
        const job = jobs.find((each) => each.metadata.uid === reference.uid);
        if (job) await this.#deleteJob(cronJob, job);
        status.active = (status.active ?? []).filter((each) => each.uid !== reference.uid);
      }
    }
    const template = cronJob['spec'].jobTemplate;
    const zone = cronJob['spec'].timeZone as string | undefined;
    let job: KubeObject;
    let created = true;
    try {
      job = await client.create(resources.jobs, {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: {
          name,
          namespace: cronJob.metadata.namespace ?? '',
          ...(template.metadata?.labels === undefined ? {} : { labels: { ...template.metadata.labels } }),
          annotations: {
            ...template.metadata?.annotations,
            [scheduledAnnotation]: zone === undefined ? secondTime(lastMs) : zonedTime(lastMs, zone),
          },
          ownerReferences: [newControllerRef(cronJob, kind)],
        },
        spec: structuredClone(template.spec),
      });
    } catch (error) {
      if (hasReason(error, 'AlreadyExists')) {
        const there = await client.get(resources.jobs, name, { namespace: cronJob.metadata.namespace ?? '' });
        if (controllerOf(there)?.uid !== cronJob.metadata.uid) throw error;
        // Made by us before, and the status did not get to tell of it.
        if (finishedCondition(there)) {
          status.lastScheduleTime = secondTime(lastMs);
          return again;
        }
        job = there;
        created = false;
      } else {
        if (!isNamespaceTerminating(error))
          recorder.event(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${errorMessage(error)}`);
        throw error;
      }
    }
    if (created) recorder.event(cronJob, 'Normal', 'SuccessfulCreate', `Created job ${name}`);
    status.active = [
      ...(status.active ?? []),
      {
        kind: 'Job',
        namespace: job.metadata.namespace ?? '',
        name,
        uid: job.metadata.uid ?? '',
        apiVersion: 'batch/v1',
        ...(job.metadata.resourceVersion === undefined
          ? {}
          : { resourceVersion: job.metadata.resourceVersion }),
      },
    ];
    status.lastScheduleTime = secondTime(lastMs);
    return again;
  }

  async #trimHistory(cronJob: KubeObject, jobs: readonly KubeObject[]): Promise<void> {
    const started = (job: KubeObject): string =>
      (job['status']?.startTime as string | undefined) ?? job.metadata.creationTimestamp ?? '';
    const limits: [type: string, limit: number | undefined][] = [
      ['Complete', cronJob['spec'].successfulJobsHistoryLimit as number | undefined],
      ['Failed', cronJob['spec'].failedJobsHistoryLimit as number | undefined],
    ];
    for (const [type, limit] of limits) {
      if (limit === undefined) continue;
      const ended = jobs
        .filter(
          (job) => finishedCondition(job)?.type === type && job.metadata.deletionTimestamp === undefined,
        )
        .sort((a, b) =>
          started(a) < started(b)
            ? -1
            : started(a) > started(b)
              ? 1
              : (a.metadata.name ?? '') < (b.metadata.name ?? '')
                ? -1
                : 1,
        );
      for (const job of ended.slice(0, Math.max(0, ended.length - limit)))
        await this.#deleteJob(cronJob, job);
    }
  }

  async #deleteJob(cronJob: KubeObject, job: KubeObject): Promise<void> {
    const { client, recorder } = this.#context;
    try {
      await client.delete(resources.jobs, job.metadata.name ?? '', {
        namespace: job.metadata.namespace ?? '',
        propagationPolicy: 'Background',
      });
      recorder.event(cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${job.metadata.name}`);
    } catch (error) {
      if (hasReason(error, 'NotFound')) return;
      recorder.event(cronJob, 'Warning', 'FailedDelete', `Deleted job: ${errorMessage(error)}`);
      throw error;
    }
  }
}

/** RFC 3339 with the zone's offset, as upstream writes the scheduled time of a zoned CronJob. */
function zonedTime(ms: number, timeZone: string): string {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat('en-CA', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
      .formatToParts(new Date(ms))
      .map((part) => [part.type, part.value]),
  ) as Record<string, string>;
  const local = `${parts['year']}-${parts['month']}-${parts['day']}T${parts['hour']}:${parts['minute']}:${parts['second']}`;
  const offsetMinutes = Math.round((Date.parse(`${local}Z`) - ms) / 60_000);
  if (offsetMinutes === 0) return `${local}Z`;
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${local}${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offsetMinutes) / 60))}:${two(Math.abs(offsetMinutes) % 60)}`;
}

export const createCronJobController: ControllerFactory = (context) => new CronJobController(context).loop;
