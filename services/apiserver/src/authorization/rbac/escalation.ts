import { isDeepStrictEqual } from 'node:util';
import type { GroupResource, KubeObject } from '@pilothouse/apimachinery';
import { goQuote, hasReason, statusErrors } from '@pilothouse/apimachinery';
import type { UserInfo } from '../../authentication/interface.ts';
import { privilegedGroup } from '../../authentication/interface.ts';
import type { Authorizer, PolicyRule } from '../interface.ts';
import { resourceAttributes } from '../interface.ts';
import type { RoleRef } from './binding-index.ts';
import type { RbacAuthorizer } from './rbac-authorizer.ts';
import { compactRules, missingRules, ruleText } from './rule-covers.ts';

const group = 'rbac.authorization.k8s.io';

/** Everything, on resources and on paths. */
const fullAuthority: PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/** See {@link Authorization.checkEscalation}. */
export async function checkEscalation(
  rbac: RbacAuthorizer,
  authorizer: Authorizer,
  object: KubeObject,
  old: KubeObject | undefined,
  user: UserInfo,
): Promise<void> {
  if (user.groups.includes(privilegedGroup)) return;
  const kind = object.kind ?? old?.kind;
  if (kind === 'Role' || kind === 'ClusterRole') await checkRole(rbac, authorizer, kind, object, old, user);
  else if (kind === 'RoleBinding' || kind === 'ClusterRoleBinding') {
    await checkBinding(rbac, authorizer, kind, object, old, user);
  }
}

async function checkRole(
  rbac: RbacAuthorizer,
  authorizer: Authorizer,
  kind: 'Role' | 'ClusterRole',
  role: KubeObject,
  old: KubeObject | undefined,
  user: UserInfo,
): Promise<void> {
  const resource = kind === 'Role' ? 'roles' : 'clusterroles';
  const namespace = role.metadata.namespace ?? '';
  const name = role.metadata.name ?? '';
  const rules = (role['rules'] as PolicyRule[] | undefined) ?? [];
  const aggregation = role['aggregationRule'] as unknown;
  if (old !== undefined) {
    const sameRules = isDeepStrictEqual(rules, (old['rules'] as PolicyRule[] | undefined) ?? []);
    if (sameRules && isDeepStrictEqual(aggregation, old['aggregationRule'])) return;
  }
  const escalate = resourceAttributes(user, 'escalate', {
    namespace,
    apiGroup: group,
    apiVersion: '*',
    resource,
    name,
  });
  if ((await authorizer.authorize(escalate)).decision === 'allow') return;
  const target = { group, resource };
  const problem = escalationProblem(rbac, user, namespace, rules);
  if (problem !== undefined) throw statusErrors.forbidden(target, name, problem);
  if (aggregation !== undefined && escalationProblem(rbac, user, namespace, fullAuthority) !== undefined) {
    throw statusErrors.forbidden(
      target,
      name,
      'must have cluster-admin privileges to use the aggregationRule',
    );
  }
}

async function checkBinding(
  rbac: RbacAuthorizer,
  authorizer: Authorizer,
  kind: 'RoleBinding' | 'ClusterRoleBinding',
  binding: KubeObject,
  old: KubeObject | undefined,
  user: UserInfo,
): Promise<void> {
  const reference = binding['roleRef'] as RoleRef;
  if (
    old !== undefined &&
    isDeepStrictEqual(reference, old['roleRef']) &&
    isDeepStrictEqual(binding['subjects'] ?? [], old['subjects'] ?? [])
  ) {
    return;
  }
  const namespace = binding.metadata.namespace ?? '';
  const roleResource = reference.kind === 'Role' ? 'roles' : 'clusterroles';
  const bind = resourceAttributes(user, 'bind', {
    namespace,
    apiGroup: group,
    apiVersion: '*',
    resource: roleResource,
    name: reference.name,
  });
  if ((await authorizer.authorize(bind)).decision === 'allow') return;
  const target: GroupResource = {
    group,
    resource: kind === 'RoleBinding' ? 'rolebindings' : 'clusterrolebindings',
  };
  let rules: PolicyRule[];
  try {
    rules = await rbac.roleRules(reference, namespace);
  } catch (error) {
    // Upstream names the role in this answer, but the resource of the binding.
    if (hasReason(error, 'NotFound')) throw statusErrors.notFound(target, reference.name);
    throw error;
  }
  const problem = escalationProblem(rbac, user, namespace, rules);
  if (problem === undefined) return;
  throw statusErrors.forbidden(target, binding.metadata.name ?? '', problem);
}

/** The message about what `user` lacks of `rules`; undefined when it holds them all. */
function escalationProblem(
  rbac: RbacAuthorizer,
  user: UserInfo,
  namespace: string,
  rules: readonly PolicyRule[],
): string | undefined {
  const owned = rbac.policyRulesFor(user, namespace);
  const missing = missingRules(owned.rules, rules);
  if (missing.length === 0) return undefined;
  const texts = [...new Set(compactRules(missing).map(ruleText))].sort();
  const groups = user.groups.map((each) => goQuote(each)).join(' ');
  return (
    `user ${goQuote(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n` +
    texts.join('\n') +
    (owned.errors.length === 0 ? '' : `; resolution errors: [${owned.errors.join(' ')}]`)
  );
}
