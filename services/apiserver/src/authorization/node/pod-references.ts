import type { KubeObject } from '@pilothouse/apimachinery';

export interface PodReference {
  readonly kind: 'secret' | 'configmap' | 'pvc' | 'serviceaccount' | 'resourceclaim';
  readonly name: string;
}

interface NamedReference {
  readonly name?: string;
}

interface ContainerShape {
  readonly env?: readonly {
    readonly valueFrom?: {
      readonly secretKeyRef?: NamedReference;
      readonly configMapKeyRef?: NamedReference;
    };
  }[];
  readonly envFrom?: readonly {
    readonly secretRef?: NamedReference;
    readonly configMapRef?: NamedReference;
  }[];
}

interface VolumeShape {
  readonly name?: string;
  readonly secret?: { readonly secretName?: string };
  readonly configMap?: NamedReference;
  readonly persistentVolumeClaim?: { readonly claimName?: string };
  readonly ephemeral?: unknown;
  readonly projected?: {
    readonly sources?: readonly { readonly secret?: NamedReference; readonly configMap?: NamedReference }[];
  };
  readonly [source: string]: unknown;
}

/** The objects of its namespace that a pod needs to run. */
export function referencedObjects(pod: KubeObject): PodReference[] {
  const found: PodReference[] = [];
  const add = (kind: PodReference['kind'], name: string | undefined): void => {
    if (name !== undefined && name !== '') found.push({ kind, name });
  };
  const spec = (pod['spec'] ?? {}) as Record<string, unknown>;
  add('serviceaccount', spec['serviceAccountName'] as string | undefined);
  for (const secret of (spec['imagePullSecrets'] as NamedReference[] | undefined) ?? [])
    add('secret', secret.name);
  for (const list of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const container of (spec[list] as ContainerShape[] | undefined) ?? []) {
      for (const variable of container.env ?? []) {
        add('secret', variable.valueFrom?.secretKeyRef?.name);
        add('configmap', variable.valueFrom?.configMapKeyRef?.name);
      }
      for (const source of container.envFrom ?? []) {
        add('secret', source.secretRef?.name);
        add('configmap', source.configMapRef?.name);
      }
    }
  }
  for (const volume of (spec['volumes'] as VolumeShape[] | undefined) ?? []) {
    add('secret', volume.secret?.secretName);
    add('configmap', volume.configMap?.name);
    add('pvc', volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral !== undefined) add('pvc', `${pod.metadata.name}-${volume.name}`);
    for (const source of volume.projected?.sources ?? []) {
      add('secret', source.secret?.name);
      add('configmap', source.configMap?.name);
    }
    for (const source of Object.values(volume)) {
      if (typeof source !== 'object' || source === null) continue;
      const { secretRef, nodePublishSecretRef, secretName } = source as {
        secretRef?: NamedReference;
        nodePublishSecretRef?: NamedReference;
        secretName?: string;
      };
      add('secret', secretRef?.name);
      add('secret', nodePublishSecretRef?.name);
      if (source !== volume.secret) add('secret', secretName);
    }
  }
  const claims = pod['status']?.resourceClaimStatuses as
    { name?: string; resourceClaimName?: string }[] | undefined;
  for (const claim of (spec['resourceClaims'] as
    { name?: string; resourceClaimName?: string }[] | undefined) ?? []) {
    add('resourceclaim', claim.resourceClaimName);
    add('resourceclaim', claims?.find((status) => status.name === claim.name)?.resourceClaimName);
  }
  return found;
}
