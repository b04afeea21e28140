import type { ResourceRef } from '@pilothouse/client';

const core = (resource: string): ResourceRef => ({ group: '', version: 'v1', resource });

export const refs = {
  pods: core('pods'),
  nodes: core('nodes'),
  namespaces: core('namespaces'),
  services: core('services'),
  replicationControllers: core('replicationcontrollers'),
  replicaSets: { group: 'apps', version: 'v1', resource: 'replicasets' },
  statefulSets: { group: 'apps', version: 'v1', resource: 'statefulsets' },
  claims: core('persistentvolumeclaims'),
  volumes: core('persistentvolumes'),
  storageClasses: { group: 'storage.k8s.io', version: 'v1', resource: 'storageclasses' },
  disruptionBudgets: { group: 'policy', version: 'v1', resource: 'poddisruptionbudgets' },
} as const satisfies Record<string, ResourceRef>;
