import type { CelAuthorizationDecision, CelAuthorizationQuery, CelAuthorize } from '@pilothouse/api/cel';
import { CelPending } from '@pilothouse/api/cel';
import { parseLabelSelector } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { UserInfo } from '../../authentication/interface.ts';
import type { Authorizer, SelectorRequirement } from '../../authorization/interface.ts';

/**
 * The `authorizer` of expressions. Expressions do not wait, so the first ask throws CelPending; when that is resolved and the expression
 * runs again, the answer is there. Answers hold for one request.
 */
export function celAuthorize(authorizer: Authorizer, user: UserInfo): CelAuthorize {
  const known = new Map<string, CelAuthorizationDecision>();
  return (query) => {
    const key = JSON.stringify(query);
    const answer = known.get(key);
    if (answer !== undefined) return answer;
    throw new CelPending(key, async () => {
      known.set(key, await ask(authorizer, user, query));
    });
  };
}

async function ask(
  authorizer: Authorizer,
  user: UserInfo,
  query: CelAuthorizationQuery,
): Promise<CelAuthorizationDecision> {
  try {
    const { decision, reason, evaluationError } = await authorizer.authorize({
      user: query.serviceAccount === undefined ? user : serviceAccountUser(query.serviceAccount),
      verb: query.verb,
      isResourceRequest: query.path === undefined,
      namespace: query.namespace,
      apiGroup: query.group,
      apiVersion: '*',
      resource: query.resource,
      subresource: query.subresource,
      name: query.name,
      path: query.path ?? '',
      ...(query.fieldSelector === undefined ? {} : { fieldSelector: requirements(query.fieldSelector) }),
      ...(query.labelSelector === undefined ? {} : { labelSelector: requirements(query.labelSelector) }),
    });
    return {
      allowed: decision === 'allow',
      reason,
      ...(evaluationError === undefined || evaluationError === '' ? {} : { error: evaluationError }),
    };
  } catch (error) {
    return { allowed: false, reason: '', error: errorMessage(error) };
  }
}

function serviceAccountUser({ namespace, name }: { namespace: string; name: string }): UserInfo {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  };
}

const operators: Readonly<Record<string, string>> = {
  '=': 'In', '==': 'In', '!=': 'NotIn', in: 'In', notin: 'NotIn', exists: 'Exists', '!': 'DoesNotExist',
}; // prettier-ignore

function requirements(text: string): SelectorRequirement[] {
  return parseLabelSelector(text).requirements.map(({ key, operator, values }) => ({
    key,
    operator: operators[operator] ?? operator,
    values: [...values],
  }));
}
