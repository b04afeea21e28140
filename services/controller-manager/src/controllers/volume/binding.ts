import type { KubeObject } from '@pilothouse/apimachinery';
import { isVolumeFor } from './volume-matching.ts';

export const bindCompleted = 'pv.kubernetes.io/bind-completed';
export const boundByController = 'pv.kubernetes.io/bound-by-controller';
export const provisionedBy = 'pv.kubernetes.io/provisioned-by';

export function withAnnotations(object: KubeObject, annotations: Record<string, string>): KubeObject {
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, ...annotations } },
  };
}

export function hasAnnotation(object: KubeObject, name: string): boolean {
  return object.metadata.annotations?.[name] !== undefined;
}

/** The volume pointing at the claim; undefined when it does already. Volumes that a user reserved do not get the mark. */
export function volumeBoundTo(volume: KubeObject, claim: KubeObject): KubeObject | undefined {
  const reserved = isVolumeFor(volume, claim);
  if (reserved && volume['spec'].claimRef.uid === claim.metadata.uid) return undefined;
  const bound: KubeObject = {
    ...volume,
    spec: {
      ...volume['spec'],
      claimRef: {
        kind: 'PersistentVolumeClaim',
        apiVersion: 'v1',
        namespace: claim.metadata.namespace,
        name: claim.metadata.name,
        uid: claim.metadata.uid,
        resourceVersion: claim.metadata.resourceVersion,
      },
    },
  };
  return reserved ? bound : withAnnotations(bound, { [boundByController]: 'yes' });
}

/** The claim pointing at the volume; undefined when it does already. */
export function claimBoundTo(claim: KubeObject, volume: KubeObject): KubeObject | undefined {
  const named = claim['spec'].volumeName === volume.metadata.name;
  if (named && hasAnnotation(claim, bindCompleted)) return undefined;
  return withAnnotations(
    named ? claim : { ...claim, spec: { ...claim['spec'], volumeName: volume.metadata.name } },
    { [bindCompleted]: 'yes', ...(named ? {} : { [boundByController]: 'yes' }) },
  );
}

/** The volume without its claim: free again when the controller had bound it, still reserved when a user had. */
export function unboundVolume(volume: KubeObject): KubeObject {
  if (hasAnnotation(volume, boundByController)) {
    const { [boundByController]: _mark, ...annotations } = volume.metadata.annotations ?? {};
    const { claimRef: _ref, ...spec } = volume['spec'] as Record<string, unknown>;
    return { ...volume, metadata: { ...volume.metadata, annotations }, spec };
  }
  const { namespace, name } = volume['spec'].claimRef as { namespace: string; name: string };
  return { ...volume, spec: { ...volume['spec'], claimRef: { namespace, name } } };
}
