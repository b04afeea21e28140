import type { KubeObject } from '@pilothouse/apimachinery';
import { Controller, objectKey } from '@pilothouse/client';
import type { ResourceRef, RestClient } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

const claimFinalizer = 'kubernetes.io/pvc-protection';
const volumeFinalizer = 'kubernetes.io/pv-protection';

interface PodVolume {
  name: string;
  persistentVolumeClaim?: { claimName?: string };
  ephemeral?: unknown;
}

/** Names of the claims behind a pod's volumes. */
export function claimsOfPod(pod: KubeObject): string[] {
  const names: string[] = [];
  for (const volume of (pod['spec'].volumes ?? []) as PodVolume[]) {
    if (volume.persistentVolumeClaim) names.push(volume.persistentVolumeClaim.claimName ?? '');
    else if (volume.ephemeral !== undefined) names.push(`${pod.metadata.name}-${volume.name}`);
  }
  return names;
}

async function setFinalizers(
  client: RestClient,
  ref: ResourceRef,
  object: KubeObject,
  finalizers: string[],
): Promise<void> {
  const { finalizers: _old, ...metadata } = object.metadata;
  await client.update(ref, {
    ...object,
    metadata: { ...metadata, ...(finalizers.length === 0 ? {} : { finalizers }) },
  });
}

/** A claim that a scheduled pod uses does not go away before the pod. */
export const createClaimProtectionController: ControllerFactory = (context) => {
  const { client, informers } = context;
  const claims = informers.informer(resources.persistentVolumeClaims);
  const pods = informers.informer(resources.pods);
  const uses = (pod: KubeObject, name: string): boolean =>
    (pod['spec'].nodeName ?? '') !== '' && claimsOfPod(pod).includes(name);
  const loop = new Controller(loopOptions(context), async (key) => {
    const claim = claims.lister.getByKey(key);
    if (!claim) return;
    const finalizers = claim.metadata.finalizers ?? [];
    const guarded = finalizers.includes(claimFinalizer);
    if (claim.metadata.deletionTimestamp === undefined) {
      if (!guarded)
        await setFinalizers(client, resources.persistentVolumeClaims, claim, [...finalizers, claimFinalizer]);
      return;
    }
    if (!guarded) return;
    const { name = '', namespace = '' } = claim.metadata;
    if (pods.lister.list(namespace).some((pod) => uses(pod, name))) return;
    // The cache may not show a pod that was bound just now; losing its data would be worse than one more list.
    const live = await client.list(resources.pods, { namespace });
    if (live.items.some((pod) => uses(pod, name))) return;
    await setFinalizers(
      client,
      resources.persistentVolumeClaims,
      claim,
      finalizers.filter((each) => each !== claimFinalizer),
    );
  });
  const enqueue = (claim: KubeObject): void => loop.queue.add(objectKey(claim));
  claims.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  const podGone = (pod: KubeObject): void => {
    for (const name of claimsOfPod(pod)) loop.queue.add(`${pod.metadata.namespace}/${name}`);
  };
  pods.addHandler({ onUpdate: podGone, onDelete: podGone });
  return loop;
};

/** A volume that is bound to a claim does not go away before the claim. */
export const createVolumeProtectionController: ControllerFactory = (context) => {
  const { client, informers } = context;
  const volumes = informers.informer(resources.persistentVolumes);
  const loop = new Controller(loopOptions(context), async (name) => {
    const volume = volumes.lister.get(name);
    if (!volume) return;
    const finalizers = volume.metadata.finalizers ?? [];
    const guarded = finalizers.includes(volumeFinalizer);
    if (volume.metadata.deletionTimestamp === undefined) {
      if (!guarded)
        await setFinalizers(client, resources.persistentVolumes, volume, [...finalizers, volumeFinalizer]);
    } else if (guarded && volume['status']?.phase !== 'Bound')
      await setFinalizers(
        client,
        resources.persistentVolumes,
        volume,
        finalizers.filter((each) => each !== volumeFinalizer),
      );
  });
  const enqueue = (volume: KubeObject): void => loop.queue.add(volume.metadata.name ?? '');
  volumes.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  return loop;
};
