import type { KubeObject } from '@pilothouse/apimachinery';
import type { UserInfo } from '../authentication/interface.ts';
import { serviceAccountPrefix } from '../authentication/interface.ts';
import type { RequestInfo } from '../request/request-info.ts';

interface PolicyRules {
  readonly subjects?: readonly Subject[];
  readonly resourceRules?: readonly ResourceRule[];
  readonly nonResourceRules?: readonly { verbs?: string[]; nonResourceURLs?: string[] }[];
}

interface ResourceRule {
  readonly verbs?: string[];
  readonly apiGroups?: string[];
  readonly resources?: string[];
  readonly namespaces?: string[];
  readonly clusterScope?: boolean;
}

interface Subject {
  readonly kind: string;
  readonly user?: { name: string };
  readonly group?: { name: string };
  readonly serviceAccount?: { namespace: string; name: string };
}

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes('*') || list.includes(value));

/** The FlowSchema that a request falls under: the lowest precedence that matches, then the name. */
export function matchFlowSchema(
  schemas: Iterable<KubeObject>,
  user: UserInfo,
  info: RequestInfo,
): KubeObject | undefined {
  let best: KubeObject | undefined;
  for (const schema of schemas) {
    if (best && !before(schema, best)) continue;
    const rules = (schema['spec']?.rules ?? []) as readonly PolicyRules[];
    if (
      rules.some(
        (rule) => rule.subjects?.some((subject) => isSubject(subject, user)) && isRequest(rule, info),
      )
    ) {
      best = schema;
    }
  }
  return best;
}

function before(a: KubeObject, b: KubeObject): boolean {
  const difference = (a['spec']?.matchingPrecedence ?? 0) - (b['spec']?.matchingPrecedence ?? 0);
  return difference === 0 ? (a.metadata.name ?? '') < (b.metadata.name ?? '') : difference < 0;
}

function isSubject(subject: Subject, user: UserInfo): boolean {
  switch (subject.kind) {
    case 'User':
      return subject.user?.name === '*' || subject.user?.name === user.name;
    case 'Group':
      return subject.group?.name === '*' || user.groups.includes(subject.group?.name ?? '');
    case 'ServiceAccount': {
      const { namespace = '', name = '' } = subject.serviceAccount ?? {};
      if (name === '*') return user.name.startsWith(`${serviceAccountPrefix}${namespace}:`);
      return user.name === `${serviceAccountPrefix}${namespace}:${name}`;
    }
    default:
      return false;
  }
}

function isRequest(rules: PolicyRules, info: RequestInfo): boolean {
  if (info.isResourceRequest) {
    const resource = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
    return (rules.resourceRules ?? []).some(
      (rule) =>
        has(rule.verbs, info.verb) &&
        has(rule.apiGroups, info.apiGroup) &&
        has(rule.resources, resource) &&
        (info.namespace === '' ? rule.clusterScope === true : has(rule.namespaces, info.namespace)),
    );
  }
  return (rules.nonResourceRules ?? []).some(
    (rule) =>
      has(rule.verbs, info.verb) &&
      (rule.nonResourceURLs ?? []).some(
        (pattern) =>
          pattern === '*' ||
          pattern === info.path ||
          (pattern.endsWith('*') && info.path.startsWith(pattern.slice(0, -1))),
      ),
  );
}
