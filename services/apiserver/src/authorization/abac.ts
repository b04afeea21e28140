import { FlagError } from '@pilothouse/host';
import type { UserInfo } from '../authentication/interface.ts';
import { authenticatedGroup } from '../authentication/interface.ts';
import type { AuthorizationAttributes, Authorizer, PolicyRule, ResolvedRules } from './interface.ts';

const readVerbs = ['get', 'list', 'watch'];
const fields = ['user', 'group', 'readonly', 'apiGroup', 'resource', 'namespace', 'nonResourcePath'];

/** One line of a policy file (abac.authorization.kubernetes.io/v1beta1). Absent members are empty and match only empty values. */
interface AbacPolicy {
  readonly user: string;
  readonly group: string;
  readonly readonly: boolean;
  readonly apiGroup: string;
  readonly resource: string;
  readonly namespace: string;
  readonly nonResourcePath: string;
}

export interface AbacAuthorizer extends Authorizer {
  rulesFor(user: UserInfo, namespace: string): ResolvedRules;
}

/** Reads a policy file: one JSON object a line, `#` starts a comment line. Throws FlagError that names the file and the line. */
export function abacAuthorizer(file: string, text: string): AbacAuthorizer {
  const policies = text.split(/\r?\n/).flatMap((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    try {
      return [policyOf(JSON.parse(trimmed))];
    } catch (error) {
      throw new FlagError(
        `error reading policy file ${file}, line ${index + 1}: ${(error as Error).message}`,
      );
    }
  });
  return {
    async authorize(attributes) {
      return policies.some((policy) => allows(policy, attributes))
        ? { decision: 'allow', reason: '' }
        : { decision: 'noOpinion', reason: 'No policy matched.' };
    },
    rulesFor(user, namespace) {
      const resourceRules: PolicyRule[] = [];
      const nonResourceRules: PolicyRule[] = [];
      for (const policy of policies) {
        if (!isFor(policy, user)) continue;
        if (policy.namespace !== '*' && policy.namespace !== namespace) continue;
        const verbs = policy.readonly ? readVerbs : ['*'];
        if (policy.resource !== '')
          resourceRules.push({ verbs, apiGroups: [policy.apiGroup], resources: [policy.resource] });
        if (policy.nonResourcePath !== '')
          nonResourceRules.push({ verbs, nonResourceURLs: [policy.nonResourcePath] });
      }
      return { resourceRules, nonResourceRules, incomplete: false, evaluationError: '' };
    },
  };
}

function policyOf(value: unknown): AbacPolicy {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('expected an object');
  const { apiVersion, kind, spec, ...rest } = value as Record<string, unknown>;
  if (apiVersion === undefined || kind === undefined) return unversioned(value as Record<string, unknown>);
  if (apiVersion !== 'abac.authorization.kubernetes.io/v1beta1' || kind !== 'Policy') {
    throw new Error(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`,
    );
  }
  if (typeof spec !== 'object' || spec === null) throw new Error('spec is missing');
  return filled(
    spec as Record<string, unknown>,
    Object.keys(rest).filter((name) => name !== 'metadata'),
  );
}

/** The form without version: no subject means everybody, no resource or namespace means all, and paths are not resources. */
function unversioned(given: Record<string, unknown>): AbacPolicy {
  const { kind: _kind, ...members } = given;
  const policy = filled(members, []);
  const everybody = policy.user === '' && policy.group === '';
  return {
    ...policy,
    ...(everybody ? { group: authenticatedGroup } : {}),
    ...(policy.user === '*' ? { user: '', group: authenticatedGroup } : {}),
    namespace: policy.namespace === '' ? '*' : policy.namespace,
    resource: policy.resource === '' ? '*' : policy.resource,
    apiGroup: '*',
    nonResourcePath: policy.namespace === '' && policy.resource === '' ? '*' : '',
  };
}

function filled(given: Record<string, unknown>, others: readonly string[]): AbacPolicy {
  const unknown = [...others, ...Object.keys(given).filter((name) => !fields.includes(name))];
  if (unknown.length > 0) throw new Error(`unknown field "${unknown[0]}"`);
  const text = (name: string): string => {
    const value = given[name] ?? '';
    if (typeof value !== 'string') throw new Error(`field "${name}" must be a string`);
    return value;
  };
  const readonly = given['readonly'] ?? false;
  if (typeof readonly !== 'boolean') throw new Error('field "readonly" must be a boolean');
  return {
    user: text('user'),
    group: text('group'),
    readonly,
    apiGroup: text('apiGroup'),
    resource: text('resource'),
    namespace: text('namespace'),
    nonResourcePath: text('nonResourcePath'),
  };
}

function isFor(policy: AbacPolicy, user: UserInfo): boolean {
  if (policy.user === '' && policy.group === '') return false;
  return (
    (policy.user === '' || policy.user === '*' || policy.user === user.name) &&
    (policy.group === '' || policy.group === '*' || user.groups.includes(policy.group))
  );
}

function allows(policy: AbacPolicy, attributes: AuthorizationAttributes): boolean {
  if (!isFor(policy, attributes.user)) return false;
  if (policy.readonly && !readVerbs.includes(attributes.verb)) return false;
  if (!attributes.isResourceRequest) {
    const { nonResourcePath } = policy;
    return (
      nonResourcePath === '*' ||
      nonResourcePath === attributes.path ||
      (nonResourcePath.endsWith('*') && attributes.path.startsWith(nonResourcePath.replace(/\*+$/, '')))
    );
  }
  const fits = (wanted: string, actual: string): boolean => wanted === '*' || wanted === actual;
  return (
    fits(policy.namespace, attributes.namespace) &&
    fits(policy.resource, attributes.resource) &&
    fits(policy.apiGroup, attributes.apiGroup)
  );
}
