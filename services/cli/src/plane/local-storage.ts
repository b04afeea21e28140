import { CommandError } from '../errors.ts';
import type { HttpProbe } from './readiness.ts';
import { probe } from './readiness.ts';

const account = 'local-volume-provisioner';
const role = `system:controller:${account}`;

/** What `--local-storage` adds to a plane: a default class and the rights of the controller that serves it. */
const objects: readonly (readonly [path: string, object: object])[] = [
  [
    '/apis/storage.k8s.io/v1/storageclasses',
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {
        name: 'standard',
        annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
      },
      provisioner: 'pilothouse.dev/local-volume',
      reclaimPolicy: 'Delete',
      volumeBindingMode: 'WaitForFirstConsumer',
    },
  ],
  [
    '/apis/rbac.authorization.k8s.io/v1/clusterroles',
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: role },
      rules: [
        {
          apiGroups: [''],
          resources: ['persistentvolumes'],
          verbs: ['create', 'delete', 'get', 'list', 'watch'],
        },
        { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: ['storage.k8s.io'], resources: ['storageclasses'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch', 'update'] },
      ],
    },
  ],
  [
    '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: role },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'kube-system' }],
    },
  ],
];

/** Creates what is missing; what is there stays as it is. */
export async function addLocalStorage(server: string, access: Omit<HttpProbe, 'url'>): Promise<void> {
  for (const [path, object] of objects) {
    const answer = await probe({ ...access, url: `${server}${path}` }, JSON.stringify(object));
    if (answer?.status !== 201 && answer?.status !== 409)
      throw new CommandError(
        `Cannot add the local storage class: ${answer?.body ?? `no answer from ${server}`}`,
      );
  }
}
