import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import { Controller, objectKey } from '@pilothouse/client';
import { isControlledBy, newControllerRef } from '../../common/ownership.ts';
import { isNamespaceTerminating } from '../../common/pod-control.ts';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

interface EphemeralVolume {
  name: string;
  ephemeral?: {
    volumeClaimTemplate: {
      metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
      spec: object;
    };
  };
}

const ephemeralOf = (pod: KubeObject): EphemeralVolume[] =>
  ((pod['spec'].volumes ?? []) as EphemeralVolume[]).filter((volume) => volume.ephemeral !== undefined);

/** Makes the claims behind pods' generic ephemeral volumes; they go with their pod. */
export const createEphemeralVolumeController: ControllerFactory = (context) => {
  const { client, informers, recorder } = context;
  const pods = informers.informer(resources.pods);
  const claims = informers.informer(resources.persistentVolumeClaims);
  const loop = new Controller(loopOptions(context), async (key) => {
    const pod = pods.lister.getByKey(key);
    if (!pod || pod.metadata.deletionTimestamp !== undefined) return;
    const namespace = pod.metadata.namespace ?? '';
    for (const volume of ephemeralOf(pod)) {
      const name = `${pod.metadata.name}-${volume.name}`;
      const existing = claims.lister.get(name, namespace);
      try {
        if (existing) {
          if (isControlledBy(existing, pod)) continue;
          throw new Error(
            `PVC ${namespace}/${name} was not created for pod ${objectKey(pod)} (pod is not owner)`,
          );
        }
        const { metadata, spec } = (volume.ephemeral as NonNullable<EphemeralVolume['ephemeral']>)
          .volumeClaimTemplate;
        await client.create(resources.persistentVolumeClaims, {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: {
            name,
            namespace,
            ...(metadata?.labels === undefined ? {} : { labels: { ...metadata.labels } }),
            ...(metadata?.annotations === undefined ? {} : { annotations: { ...metadata.annotations } }),
            ownerReferences: [newControllerRef(pod, { apiVersion: 'v1', kind: 'Pod' })],
          },
          spec: structuredClone(spec),
        });
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        if (!hasReason(error, 'AlreadyExists'))
          recorder.event(
            pod,
            'Warning',
            'FailedBinding',
            `ephemeral volume ${volume.name}: ${errorMessage(error)}`,
          );
        throw error;
      }
    }
  });
  pods.addHandler({
    onAdd: (pod) => {
      if (ephemeralOf(pod).length > 0) loop.queue.add(objectKey(pod));
    },
  });
  claims.addHandler({
    onDelete: (claim) => {
      const owner = claim.metadata.ownerReferences?.find((each) => each.kind === 'Pod');
      if (owner) loop.queue.add(`${claim.metadata.namespace}/${owner.name}`);
    },
  });
  return loop;
};
