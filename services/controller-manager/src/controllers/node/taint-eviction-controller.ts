import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import { isPodTerminal } from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import type { Taint, Toleration } from './taints.ts';
import { allowedStayMs } from './taints.ts';

/** Deletes pods from nodes whose NoExecute taints they do not, or no longer, tolerate. */
export const createTaintEvictionController: ControllerFactory = (context) => {
  const { client, clock, recorder } = context;
  const pods = context.informers.informer(resources.pods);
  const nodes = context.informers.informer(resources.nodes);
  pods.addIndex('node', (pod) => [(pod['spec'].nodeName as string | undefined) ?? '']);
  /** When a pod was first seen on a tainted node, by our clock. */
  const affectedSince = new Map<string, number>();

  /** Uids of pods that were deleted and may still look alive in the cache. */
  const evicted = new Set<string>();

  const taintsOf = (node: KubeObject | undefined): Taint[] =>
    ((node?.['spec']?.taints ?? []) as Taint[]).filter((taint) => taint.effect === 'NoExecute');

  const loop = new Controller({ ...loopOptions(context), workers: 8 }, async (key) => {
    const pod = pods.lister.getByKey(key);
    if (!pod || pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod)) {
      affectedSince.delete(key);
      return;
    }
    const node = nodes.lister.get((pod['spec'].nodeName as string | undefined) ?? '');
    const stay = allowedStayMs(taintsOf(node), (pod['spec'].tolerations ?? []) as Toleration[]);
    if (stay === undefined) {
      if (affectedSince.delete(key))
        recorder.event(
          { ...(pod as KubeObject & { apiVersion: string; kind: string }), apiVersion: 'v1', kind: 'Pod' },
          'Normal',
          'TaintManagerEviction',
          `Cancelling deletion of Pod ${key}`,
        );
      return;
    }
    const since = affectedSince.get(key) ?? clock.monotonic();
    affectedSince.set(key, since);
    const left = since + stay - clock.monotonic();
    if (left > 0) return { requeueAfterMs: left };
    const uid = pod.metadata.uid ?? '';
    if (evicted.has(uid)) return;
    const namespace = pod.metadata.namespace ?? '';
    const name = pod.metadata.name ?? '';
    recorder.event(
      { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace } },
      'Normal',
      'TaintManagerEviction',
      `Marking for deletion Pod ${key}`,
    );
    try {
      await client.patch(
        resources.pods,
        name,
        {
          status: {
            conditions: [
              {
                type: 'DisruptionTarget',
                status: 'True',
                reason: 'DeletionByTaintManager',
                message: 'Taint manager: deleting due to NoExecute taint',
                lastTransitionTime: secondTime(clock.now()),
                observedGeneration: pod.metadata.generation,
              },
            ],
          },
        },
        { type: 'strategic', namespace, subresource: 'status' },
      );
      await client.delete(resources.pods, name, {
        namespace,
        ...(pod.metadata.uid === undefined ? {} : { preconditions: { uid: pod.metadata.uid } }),
      });
      evicted.add(uid);
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
    return;
  });
  const enqueue = (pod: KubeObject): void => {
    if ((pod['spec'].nodeName ?? '') !== '') loop.queue.add(objectKey(pod));
  };
  pods.addHandler({
    onAdd: enqueue,
    onUpdate: enqueue,
    onDelete: (pod) => {
      evicted.delete(pod.metadata.uid ?? '');
      enqueue(pod);
    },
  });
  nodes.addHandler({
    onAdd: (node) => {
      if (taintsOf(node).length > 0) pods.lister.byIndex('node', node.metadata.name ?? '').forEach(enqueue);
    },
    onUpdate: (node, old) => {
      if (canonical(taintsOf(node)) !== canonical(taintsOf(old)))
        pods.lister.byIndex('node', node.metadata.name ?? '').forEach(enqueue);
    },
  });
  return loop;
};
