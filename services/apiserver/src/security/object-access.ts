import type { GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';

/** Follows one resource. */
export interface ObjectListener {
  /** Forget everything: the objects that exist follow as `changed`. */
  reset(): void;
  /** ADDED and MODIFIED give the new state, DELETED the last one. */
  changed(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void;
  /** All objects that existed at the start were given. */
  synced(): void;
}

/** One resource as the watch cache of this process has it: may lag behind the store by milliseconds. Objects are frozen. */
export interface CachedObjects {
  /** `namespace` is empty for a cluster-scoped resource. */
  get(namespace: string, name: string): KubeObject | undefined;
  /** All objects, or those of one namespace, in key order. */
  list(namespace?: string): readonly KubeObject[];
  /** Calls `listener` with the present objects and each later change, until the returned function is called. */
  subscribe(listener: ObjectListener): () => void;
}

/**
 * How authentication, authorization and admission read and write stored objects: as system:apiserver, without authorization
 * or admission. The methods that return promises go to the store and throw StatusError.
 */
export interface ObjectAccess {
  cached(resource: GroupVersionResource): CachedObjects;
  get(resource: GroupVersionResource, namespace: string, name: string): Promise<KubeObject>;
  list(resource: GroupVersionResource, namespace?: string): Promise<readonly KubeObject[]>;
  create(resource: GroupVersionResource, namespace: string, object: KubeObject): Promise<KubeObject>;
  /** Replaces; fails with Conflict when metadata.resourceVersion is old. */
  update(
    resource: GroupVersionResource,
    namespace: string,
    object: KubeObject,
    subresource?: 'status',
  ): Promise<KubeObject>;
}

/** Resources that the security pipeline reads. */
export const resources = {
  namespaces: { group: '', version: 'v1', resource: 'namespaces' },
  nodes: { group: '', version: 'v1', resource: 'nodes' },
  pods: { group: '', version: 'v1', resource: 'pods' },
  secrets: { group: '', version: 'v1', resource: 'secrets' },
  configMaps: { group: '', version: 'v1', resource: 'configmaps' },
  services: { group: '', version: 'v1', resource: 'services' },
  serviceAccounts: { group: '', version: 'v1', resource: 'serviceaccounts' },
  persistentVolumes: { group: '', version: 'v1', resource: 'persistentvolumes' },
  persistentVolumeClaims: { group: '', version: 'v1', resource: 'persistentvolumeclaims' },
  limitRanges: { group: '', version: 'v1', resource: 'limitranges' },
  resourceQuotas: { group: '', version: 'v1', resource: 'resourcequotas' },
  roles: { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'roles' },
  roleBindings: { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'rolebindings' },
  clusterRoles: { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'clusterroles' },
  clusterRoleBindings: { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'clusterrolebindings' },
  priorityClasses: { group: 'scheduling.k8s.io', version: 'v1', resource: 'priorityclasses' },
  storageClasses: { group: 'storage.k8s.io', version: 'v1', resource: 'storageclasses' },
  volumeAttachments: { group: 'storage.k8s.io', version: 'v1', resource: 'volumeattachments' },
  ingressClasses: { group: 'networking.k8s.io', version: 'v1', resource: 'ingressclasses' },
  runtimeClasses: { group: 'node.k8s.io', version: 'v1', resource: 'runtimeclasses' },
  resourceClaims: { group: 'resource.k8s.io', version: 'v1', resource: 'resourceclaims' },
  podCertificateRequests: {
    group: 'certificates.k8s.io',
    version: 'v1beta1',
    resource: 'podcertificaterequests',
  },
} as const satisfies Record<string, GroupVersionResource>;
