import type { AuthorizationAttributes, Authorizer } from '../authorization/interface.ts';
import { forbidden } from '../authorization/forbidden.ts';
import type { UserInfo } from '../authentication/interface.ts';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { RequestInfo } from '../request/request-info.ts';
import { selectorRequirements } from './selector-requirements.ts';
import type { Filter } from './filter.ts';

/** Lets a request through only when the authorizer allows it. Throws 403 with upstream's text. */
export function authorizationFilter(authorizer: Authorizer, metrics: ServerMetrics): Filter {
  const allowed = metrics.authorizationAttempts.cell('allowed');
  const denied = metrics.authorizationAttempts.cell('denied');
  return async (exchange) => {
    const attributes = attributesOf(exchange.user, exchange.info);
    const result = await authorizer.authorize(attributes);
    exchange.auditAnnotations['authorization.k8s.io/decision'] =
      result.decision === 'allow' ? 'allow' : 'forbid';
    exchange.auditAnnotations['authorization.k8s.io/reason'] = result.reason;
    if (result.decision === 'allow') {
      allowed.inc();
      return;
    }
    denied.inc();
    throw forbidden(attributes, result.reason);
  };
}

export function attributesOf(user: UserInfo, info: RequestInfo): AuthorizationAttributes {
  const fieldSelector = selectorRequirements(info.fieldSelector);
  const labelSelector = selectorRequirements(info.labelSelector);
  return {
    user,
    verb: info.verb,
    isResourceRequest: info.isResourceRequest,
    namespace: info.namespace,
    apiGroup: info.apiGroup,
    apiVersion: info.apiVersion,
    resource: info.resource,
    subresource: info.subresource,
    name: info.name,
    path: info.path,
    ...(fieldSelector ? { fieldSelector } : {}),
    ...(labelSelector ? { labelSelector } : {}),
  };
}
