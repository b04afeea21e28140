import type { KubeObject } from '@pilothouse/apimachinery';
import { newControllerRef } from '../../common/ownership.ts';
import { podFromTemplate } from '../../common/pod-control.ts';

export const kind = { apiVersion: 'apps/v1', kind: 'StatefulSet' } as const;
export const revisionLabel = 'controller-revision-hash';
const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

/** The ordinal in `name-3`; -1 when the pod is not of this set. */
export function ordinalOf(set: KubeObject, pod: KubeObject): number {
  const match = /^(.*)-(\d+)$/.exec(pod.metadata.name ?? '');
  return match && match[1] === set.metadata.name ? Number(match[2]) : -1;
}

export const startOrdinal = (set: KubeObject): number =>
  (set['spec'].ordinals?.start as number | undefined) ?? 0;

export const claimName = (set: KubeObject, template: KubeObject, ordinal: number): string =>
  `${template.metadata.name}-${set.metadata.name}-${ordinal}`;

export const claimTemplates = (set: KubeObject): KubeObject[] =>
  (set['spec'].volumeClaimTemplates ?? []) as KubeObject[];

/** The pod of one ordinal at one revision of the template. */
export function statefulPod(
  set: KubeObject,
  template: unknown,
  revision: string,
  ordinal: number,
): KubeObject {
  const name = `${set.metadata.name}-${ordinal}`;
  const pod = podFromTemplate(
    template as Parameters<typeof podFromTemplate>[0],
    set,
    newControllerRef(set, kind),
    '',
  );
  pod.metadata.name = name;
  pod.metadata.labels = {
    ...pod.metadata.labels,
    [podNameLabel]: name,
    [podIndexLabel]: String(ordinal),
    [revisionLabel]: revision,
  };
  const spec = pod['spec'] as Record<string, unknown>;
  spec['hostname'] = name;
  spec['subdomain'] = set['spec'].serviceName;
  const claims = claimTemplates(set);
  const volumes = ((spec['volumes'] ?? []) as { name: string }[]).filter(
    (volume) => !claims.some((claim) => claim.metadata.name === volume.name),
  );
  const claimed = claims.map((claim) => ({
    name: claim.metadata.name ?? '',
    persistentVolumeClaim: { claimName: claimName(set, claim, ordinal) },
  }));
  if (claimed.length + volumes.length > 0) spec['volumes'] = [...claimed, ...volumes];
  return pod;
}

/** The claims that a pod of this ordinal needs. */
export function statefulClaims(set: KubeObject, ordinal: number): KubeObject[] {
  return claimTemplates(set).map((template) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claimName(set, template, ordinal),
      namespace: set.metadata.namespace ?? '',
      labels: { ...template.metadata.labels, ...set['spec'].selector?.matchLabels },
      ...(template.metadata.annotations === undefined
        ? {}
        : { annotations: { ...template.metadata.annotations } }),
    },
    spec: structuredClone(template['spec']),
  }));
}
