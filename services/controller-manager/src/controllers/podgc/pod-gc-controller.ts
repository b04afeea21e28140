import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { secondTime } from '@pilothouse/client';
import { isPodTerminal } from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';

const periodMs = 20_000;
/** A pod's node must be seen missing for this long before its pods go. */
const quarantineMs = 40_000;

/** Removes pods that nobody else will: of nodes that are gone, never bound but deleted, and finished ones above the threshold. */
export const createPodGcController: ControllerFactory = (context) => {
  const { client, clock, settings, logger } = context;
  const pods = context.informers.informer(resources.pods);
  const nodes = context.informers.informer(resources.nodes);
  const missingSince = new Map<string, number>();
  let timer: Timer | undefined;
  let running: Promise<void> = Promise.resolve();

  async function remove(pod: KubeObject, condition?: { reason: string; message: string }): Promise<void> {
    const namespace = pod.metadata.namespace ?? '';
    const name = pod.metadata.name ?? '';
    try {
      if (condition && !isPodTerminal(pod)) {
        const now = secondTime(clock.now());
        await client.patch(
          resources.pods,
          name,
          {
            status: {
              phase: 'Failed',
              conditions: [
                {
                  type: 'DisruptionTarget',
                  status: 'True',
                  reason: condition.reason,
                  message: condition.message,
                  lastTransitionTime: now,
                  observedGeneration: pod.metadata.generation,
                },
              ],
            },
          },
          { type: 'strategic', namespace, subresource: 'status' },
        );
      }
      await client.delete(resources.pods, name, {
        namespace,
        gracePeriodSeconds: 0,
        ...(pod.metadata.uid === undefined ? {} : { preconditions: { uid: pod.metadata.uid } }),
      });
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict'))
        logger.warn('Pod not collected', { pod: `${namespace}/${name}`, error: errorMessage(error) });
    }
  }

  async function collectOrphans(): Promise<void> {
    const now = clock.monotonic();
    const missing = new Set<string>();
    for (const pod of pods.lister.list()) {
      const node = pod['spec'].nodeName as string | undefined;
      if (node !== undefined && node !== '' && !nodes.lister.get(node)) missing.add(node);
    }
    for (const name of missingSince.keys()) if (!missing.has(name)) missingSince.delete(name);
    for (const name of missing) {
      if (!missingSince.has(name)) missingSince.set(name, now);
      if (now - (missingSince.get(name) as number) < quarantineMs) continue;
      // The cache may lag: only a node that the API does not know is gone.
      const gone = await client.get(resources.nodes, name).then(
        () => false,
        (error: unknown) => hasReason(error, 'NotFound'),
      );
      if (!gone) continue;
      for (const pod of pods.lister.list()) {
        if (pod['spec'].nodeName === name)
          await remove(pod, { reason: 'DeletionByPodGC', message: 'PodGC: node no longer exists' });
      }
    }
  }

  async function sweep(): Promise<void> {
    const finished = pods.lister
      .list()
      .filter((pod) => isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined);
    const surplus =
      settings.terminatedPodGcThreshold > 0 ? finished.length - settings.terminatedPodGcThreshold : 0;
    if (surplus > 0) {
      const oldest = finished
        .sort((a, b) =>
          (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1,
        )
        .slice(0, surplus);
      for (const pod of oldest) await remove(pod);
    }
    await collectOrphans();
    for (const pod of pods.lister.list()) {
      if (pod.metadata.deletionTimestamp !== undefined && (pod['spec'].nodeName ?? '') === '')
        await remove(pod);
    }
  }

  return {
    start() {
      timer = clock.setInterval(() => {
        running = running
          .then(sweep)
          .catch((error: unknown) => logger.warn('Pod collection failed', { error: errorMessage(error) }));
      }, periodMs);
    },
    async stop() {
      timer?.cancel();
      await running;
    },
  };
};
