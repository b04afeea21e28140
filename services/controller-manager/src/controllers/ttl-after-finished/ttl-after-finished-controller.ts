import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller, objectKey } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { finishedCondition } from '../job/job-state.ts';

/** Deletes finished jobs after their ttlSecondsAfterFinished. */
export const createTtlAfterFinishedController: ControllerFactory = (context) => {
  const { client, clock } = context;
  const jobs = context.informers.informer(resources.jobs);
  const leftMs = (job: KubeObject): number | undefined => {
    const ttl = job['spec'].ttlSecondsAfterFinished as number | undefined;
    const finished = finishedCondition(job);
    if (
      ttl === undefined ||
      finished?.lastTransitionTime === undefined ||
      job.metadata.deletionTimestamp !== undefined
    )
      return undefined;
    return Date.parse(finished.lastTransitionTime) + ttl * 1000 - clock.now();
  };
  const loop = new Controller(loopOptions(context), async (key) => {
    const cached = jobs.lister.getByKey(key);
    if (!cached) return;
    const left = leftMs(cached);
    if (left === undefined) return;
    if (left > 0) return { requeueAfterMs: left };
    try {
      // The TTL may have been raised a moment ago: the API has the last word.
      const fresh = await client.get(resources.jobs, cached.metadata.name ?? '', {
        namespace: cached.metadata.namespace ?? '',
      });
      const remaining = fresh.metadata.uid === cached.metadata.uid ? leftMs(fresh) : undefined;
      if (remaining === undefined) return;
      if (remaining > 0) return { requeueAfterMs: remaining };
      await client.delete(resources.jobs, cached.metadata.name ?? '', {
        namespace: cached.metadata.namespace ?? '',
        propagationPolicy: 'Foreground',
        ...(cached.metadata.uid === undefined ? {} : { preconditions: { uid: cached.metadata.uid } }),
      });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
    return;
  });
  const enqueue = (job: KubeObject): void => loop.queue.add(objectKey(job));
  jobs.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  return loop;
};
