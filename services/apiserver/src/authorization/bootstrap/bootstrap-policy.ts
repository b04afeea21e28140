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

/** What every node may do (ClusterRole `system:node`). */
export function nodeRules(): PolicyRule[] {
  const role = bootstrapPolicy.clusterRoles.find((each) => each.metadata.name === 'system:node');
  return (role?.['rules'] as PolicyRule[] | undefined) ?? [];
}
