import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller, objectKey } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

/** The provisioner's name in StorageClasses. */
export const localProvisioner = 'pilothouse.dev/local-volume';

const marks = {
  provisionedBy: 'pv.kubernetes.io/provisioned-by',
  provisioner: 'volume.kubernetes.io/storage-provisioner',
  selectedNode: 'volume.kubernetes.io/selected-node',
} as const;

/** The volume for a claim: a directory of the node that the scheduler chose. */
export function localVolumeFor(
  claim: KubeObject,
  node: string,
  reclaimPolicy: string,
  root: string,
): KubeObject {
  const { name, namespace, uid } = claim.metadata;
  const spec = claim['spec'] as {
    accessModes?: string[];
    storageClassName?: string;
    volumeMode?: string;
    resources?: { requests?: { storage?: string } };
  };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: `pvc-${uid}`, annotations: { [marks.provisionedBy]: localProvisioner } },
    spec: {
      accessModes: spec.accessModes ?? ['ReadWriteOnce'],
      capacity: { storage: spec.resources?.requests?.storage ?? '1Gi' },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
      persistentVolumeReclaimPolicy: reclaimPolicy,
      storageClassName: spec.storageClassName ?? '',
      volumeMode: spec.volumeMode ?? 'Filesystem',
      hostPath: { path: `${root}/${namespace}_${name}_pvc-${uid}`, type: 'DirectoryOrCreate' },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
          ],
        },
      },
    },
  };
}

/** Why a claim cannot get a directory; undefined: it can. */
export function localVolumeProblem(claim: KubeObject): string | undefined {
  const {
    accessModes = [],
    volumeMode,
    selector,
    dataSource,
  } = claim['spec'] as {
    accessModes?: string[];
    volumeMode?: string;
    selector?: unknown;
    dataSource?: unknown;
  };
  if (volumeMode === 'Block') return 'local volumes are file systems, not block devices';
  const unfit = accessModes.find((each) => each !== 'ReadWriteOnce' && each !== 'ReadWriteOncePod');
  if (unfit !== undefined) return `local volumes belong to one node: access mode ${unfit} is not possible`;
  if (selector !== undefined) return 'a claim with a selector is not provisioned for';
  if (dataSource !== undefined) return 'local volumes cannot be made from a data source';
  return undefined;
}

/**
 * A small dynamic provisioner for planes on one host (off unless --controllers names it): makes a hostPath
 * volume for each claim of its classes whose pod has a node, and deletes volumes that are released. The directory itself is made by the node; what
 * is in it goes with the plane's data directory.
 */
export const createLocalVolumeProvisioner: ControllerFactory = (context) => {
  const { client, informers, recorder, settings } = context;
  const claims = informers.informer(resources.persistentVolumeClaims);
  const volumes = informers.informer(resources.persistentVolumes);
  const classes = informers.informer(resources.storageClasses);
  const root = settings.localVolumeRoot ?? '/var/lib/pilothouse/volumes';

  const provision = async (key: string): Promise<void> => {
    const claim = claims.lister.getByKey(key);
    if (claim?.metadata.annotations?.[marks.provisioner] !== localProvisioner) return;
    if (claim.metadata.deletionTimestamp !== undefined || (claim['spec'].volumeName ?? '') !== '') return;
    const storageClass = classes.lister.get((claim['spec'].storageClassName as string | undefined) ?? '');
    const node = claim.metadata.annotations[marks.selectedNode] ?? '';
    if (storageClass?.['provisioner'] !== localProvisioner || node === '') return;
    const problem = localVolumeProblem(claim);
    if (problem !== undefined) {
      recorder.event(claim, 'Warning', 'ProvisioningFailed', problem);
      return;
    }
    const policy = (storageClass['reclaimPolicy'] as string | undefined) ?? 'Delete';
    try {
      const made = await client.create(
        resources.persistentVolumes,
        localVolumeFor(claim, node, policy, root),
      );
      recorder.event(
        claim,
        'Normal',
        'ProvisioningSucceeded',
        `Successfully provisioned volume ${made.metadata.name}`,
      );
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists')) throw error;
    }
  };

  const reclaim = async (name: string): Promise<void> => {
    const volume = volumes.lister.get(name);
    if (volume?.metadata.annotations?.[marks.provisionedBy] !== localProvisioner) return;
    if (volume['status']?.phase !== 'Released' || volume['spec'].persistentVolumeReclaimPolicy !== 'Delete')
      return;
    if (volume.metadata.deletionTimestamp === undefined)
      await client.delete(resources.persistentVolumes, name);
  };

  const loop = new Controller(loopOptions(context), async (key) => {
    if (key.startsWith('volume/')) await reclaim(key.slice('volume/'.length));
    else await provision(key.slice('claim/'.length));
  });
  const claim = (object: KubeObject): void => loop.queue.add(`claim/${objectKey(object)}`);
  const volume = (object: KubeObject): void => loop.queue.add(`volume/${object.metadata.name}`);
  claims.addHandler({ onAdd: claim, onUpdate: claim });
  volumes.addHandler({ onAdd: volume, onUpdate: volume });
  return loop;
};
