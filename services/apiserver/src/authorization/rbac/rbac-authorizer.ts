import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import type { UserInfo } from '../../authentication/interface.ts';
import type { ObjectAccess, ObjectListener } from '../../security/object-access.ts';
import { resources } from '../../security/object-access.ts';
import type {
  AuthorizationAttributes,
  AuthorizationResult,
  Authorizer,
  PolicyRule,
  ResolvedRules,
  RuleResolver,
} from '../interface.ts';
import type { BindingMatch, RoleRef } from './binding-index.ts';
import { BindingIndex } from './binding-index.ts';
import { ruleAllows } from './rule-match.ts';

/** Answers that are kept for each user. */
const answersKept = 1024;
/** Namespaces whose bindings are kept for each user. */
const namespacesKept = 256;

/** A binding of a user with the rules that its role has; a string tells why there are none. */
interface Granted {
  readonly binding: BindingMatch;
  readonly rules: readonly PolicyRule[] | string;
}

/** What is remembered of a user. */
interface Known {
  readonly answers: Map<string, AuthorizationResult>;
  /** By namespace: a name that was never asked for costs a look at the rules, not a search for bindings and roles. */
  readonly granted: Map<string, readonly Granted[]>;
}

/** Role-based access control over the roles and bindings of the cluster. */
export class RbacAuthorizer implements Authorizer, RuleResolver {
  readonly #objects: ObjectAccess;
  readonly #clusterRoleBindings = new BindingIndex();
  readonly #roleBindings = new BindingIndex();
  /** By the identity of the user, until any role or binding changes. */
  #known = new WeakMap<UserInfo, Known>();

  constructor(objects: ObjectAccess) {
    this.#objects = objects;
  }

  /** Begins to follow the bindings; resolves when those that exist are known. The returned function ends it. */
  async start(): Promise<() => void> {
    const ends = [
      this.#follow(resources.clusterRoleBindings, this.#clusterRoleBindings),
      this.#follow(resources.roleBindings, this.#roleBindings),
      this.#follow(resources.clusterRoles),
      this.#follow(resources.roles),
    ];
    await Promise.all([this.#clusterRoleBindings.whenSynced(), this.#roleBindings.whenSynced()]);
    return () => ends.forEach((end) => end());
  }

  authorize(attributes: AuthorizationAttributes): Promise<AuthorizationResult> {
    const { user, verb, namespace, apiGroup, resource, subresource, name, path } = attributes;
    const { answers } = this.#knownOf(user);
    const key = `${verb} ${namespace} ${apiGroup} ${resource} ${subresource} ${name} ${attributes.isResourceRequest ? '' : path}`;
    let answer = answers.get(key);
    if (answer === undefined) {
      answer = this.#decide(attributes);
      if (answers.size >= answersKept) answers.clear();
      answers.set(key, answer);
    }
    return Promise.resolve(answer);
  }

  #decide(attributes: AuthorizationAttributes): AuthorizationResult {
    const errors: string[] = [];
    for (const { binding, rules } of this.#grantedTo(attributes.user, attributes.namespace)) {
      if (typeof rules === 'string') {
        if (!errors.includes(rules)) errors.push(rules);
        continue;
      }
      if (rules.some((rule) => ruleAllows(rule, attributes))) {
        return { decision: 'allow', reason: allowedReason(binding) };
      }
    }
    const reason = errors.length === 0 ? '' : `RBAC: ${aggregate(errors)}`;
    return { decision: 'noOpinion', reason };
  }

  async rulesFor(user: UserInfo, namespace: string): Promise<ResolvedRules> {
    const { rules, errors } = this.policyRulesFor(user, namespace);
    const resourceRules: PolicyRule[] = [];
    const nonResourceRules: PolicyRule[] = [];
    for (const rule of rules) {
      if ((rule.resources?.length ?? 0) > 0) resourceRules.push(rule);
      if ((rule.nonResourceURLs?.length ?? 0) > 0) nonResourceRules.push(rule);
    }
    return {
      resourceRules,
      nonResourceRules,
      incomplete: errors.length > 0,
      evaluationError: aggregate(errors),
    };
  }

  /** All rules that bindings give `user` in `namespace` (empty: cluster-wide ones only), and what could not be resolved. */
  policyRulesFor(user: UserInfo, namespace: string): { rules: PolicyRule[]; errors: string[] } {
    const rules: PolicyRule[] = [];
    const errors: string[] = [];
    for (const { rules: found } of this.#grantedTo(user, namespace)) {
      if (typeof found !== 'string') rules.push(...found);
      else if (!errors.includes(found)) errors.push(found);
    }
    return { rules, errors };
  }

  /** The rules of a role, from the store if the cache does not have it. Throws StatusError 404. */
  async roleRules(reference: RoleRef, namespace: string): Promise<PolicyRule[]> {
    const cached = this.#rules(reference, namespace);
    if (typeof cached !== 'string') return cached;
    const role =
      reference.kind === 'Role'
        ? await this.#objects.get(resources.roles, namespace, reference.name)
        : await this.#objects.get(resources.clusterRoles, '', reference.name);
    return (role['rules'] as PolicyRule[] | undefined) ?? [];
  }

  /** Forgets the answers at each change; behind the index, so that no answer is made of what that knew before. */
  #follow(resource: Parameters<ObjectAccess['cached']>[0], index?: ObjectListener): () => void {
    return this.#objects.cached(resource).subscribe({
      reset: () => {
        index?.reset();
        this.#known = new WeakMap();
      },
      synced: () => index?.synced(),
      changed: (type, object) => {
        index?.changed(type, object);
        this.#known = new WeakMap();
      },
    });
  }

  #knownOf(user: UserInfo): Known {
    let known = this.#known.get(user);
    if (known === undefined) this.#known.set(user, (known = { answers: new Map(), granted: new Map() }));
    return known;
  }

  /** The bindings of `user` that count in `namespace`: those of the cluster, then those of the namespace. */
  #grantedTo(user: UserInfo, namespace: string): readonly Granted[] {
    const { granted } = this.#knownOf(user);
    const known = granted.get(namespace);
    if (known !== undefined) return known;
    const bindings = this.#clusterRoleBindings.matches(user, '');
    if (namespace !== '') bindings.push(...this.#roleBindings.matches(user, namespace));
    const found = bindings.map((binding) => ({
      binding,
      rules: this.#rules(binding.roleRef, binding.namespace),
    }));
    if (granted.size >= namespacesKept) granted.clear();
    granted.set(namespace, found);
    return found;
  }

  /** A string is the message of the error. */
  #rules(reference: RoleRef, namespace: string): PolicyRule[] | string {
    if (reference.kind !== 'Role' && reference.kind !== 'ClusterRole') {
      return `unsupported role reference kind: ${goQuote(reference.kind)}`;
    }
    const role =
      reference.kind === 'Role'
        ? this.#objects.cached(resources.roles).get(namespace, reference.name)
        : this.#objects.cached(resources.clusterRoles).get('', reference.name);
    if (role !== undefined) return (role['rules'] as PolicyRule[] | undefined) ?? [];
    return statusErrors.notFound(
      { group: 'rbac.authorization.k8s.io', resource: reference.kind.toLowerCase() },
      reference.name,
    ).message;
  }
}

function allowedReason(binding: BindingMatch): string {
  const where =
    binding.namespace === ''
      ? `ClusterRoleBinding ${goQuote(binding.name)}`
      : `RoleBinding ${goQuote(`${binding.name}/${binding.namespace}`)}`;
  const { subject } = binding;
  const subjectNamespace =
    subject.namespace === undefined || subject.namespace === '' ? binding.namespace : subject.namespace;
  const name = subject.kind === 'ServiceAccount' ? `${subject.name}/${subjectNamespace}` : subject.name;
  return `RBAC: allowed by ${where} of ${binding.roleRef.kind} ${goQuote(binding.roleRef.name)} to ${subject.kind} ${goQuote(name)}`;
}

/** Joins messages as upstream's aggregate does. */
export function aggregate(errors: readonly string[]): string {
  return errors.length <= 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]`;
}
