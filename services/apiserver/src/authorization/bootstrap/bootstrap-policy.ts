import type { KubeObject } from '@pilothouse/apimachinery';
import type { RoleRef, Subject } from '../rbac/binding-index.ts';
import type { PolicyRule } from '../interface.ts';
import policy from './policy.json' with { type: 'json' };

export const autoUpdateAnnotation = 'rbac.authorization.kubernetes.io/autoupdate';

interface PolicyEntry {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly aggregationRule?: unknown;
  readonly rules?: PolicyRule[];
  readonly roleRef?: RoleRef;
  readonly subjects?: Subject[];
}

function objects(kind: string, entries: readonly PolicyEntry[]): KubeObject[] {
  return entries.map((entry) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: {
      name: entry.name,
      ...(entry.namespace === undefined ? {} : { namespace: entry.namespace }),
      annotations: { [autoUpdateAnnotation]: 'true' },
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...entry.labels },
    },
    ...(entry.aggregationRule === undefined ? {} : { aggregationRule: entry.aggregationRule }),
    ...(entry.rules === undefined ? {} : { rules: entry.rules }),
    ...(entry.roleRef === undefined ? {} : { roleRef: entry.roleRef }),
    ...(entry.subjects === undefined ? {} : { subjects: entry.subjects }),
  }));
}

/** The default roles and bindings of Kubernetes 1.36. The rules of aggregated roles are filled in by a controller. */
export const bootstrapPolicy = {
  clusterRoles: objects('ClusterRole', policy.clusterroles as PolicyEntry[]),
  clusterRoleBindings: objects('ClusterRoleBinding', policy.clusterrolebindings as PolicyEntry[]),
  roles: objects('Role', policy.roles as PolicyEntry[]),
  roleBindings: objects('RoleBinding', policy.rolebindings as PolicyEntry[]),
} as const;

/** The role and binding of a controller that runs in kube-system as the service account of that name. */
function controllerPolicy(gate: string, account: string, rules: PolicyRule[]) {
  const name = `system:controller:${account}`;
  const roleRef: RoleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
  const subjects: Subject[] = [{ kind: 'ServiceAccount', name: account, namespace: 'kube-system' }];
  return {
    gate,
    role: objects('ClusterRole', [{ name, rules }])[0] as KubeObject,
    binding: objects('ClusterRoleBinding', [{ name, roleRef, subjects }])[0] as KubeObject,
  };
}

/** Roles of controllers whose feature gates are off by default. */
export const gatedPolicy = [
  controllerPolicy('StorageVersionMigrator', 'storage-version-migrator-controller', [
    // An apply to an object that is gone counts as a create; with a uid in it that is a conflict.
    { apiGroups: ['*'], resources: ['*'], verbs: ['create', 'list', 'patch'] },
    { apiGroups: ['apiextensions.k8s.io'], resources: ['customresourcedefinitions'], verbs: ['get'] },
    {
      apiGroups: ['apiextensions.k8s.io'],
      resources: ['customresourcedefinitions/status'],
      verbs: ['patch'],
    },
    {
      apiGroups: ['storagemigration.k8s.io'],
      resources: ['storageversionmigrations/status'],
      verbs: ['update'],
    },
  ]),
] as const;

/** What every node may do (ClusterRole `system:node`). */
export function nodeRules(): PolicyRule[] {
  const role = bootstrapPolicy.clusterRoles.find((each) => each.metadata.name === 'system:node');
  return (role?.['rules'] as PolicyRule[] | undefined) ?? [];
}
