import type { Clock } from '@pilothouse/base';
import type { AuthorizationAttributes, Authorizer } from '../authorization/interface.ts';
import { forbidden } from '../authorization/forbidden.ts';
import type { UserInfo } from '../authentication/interface.ts';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { RequestInfo } from '../request/request-info.ts';
import { fieldRequirements, labelRequirements } from './selector-requirements.ts';
import type { Filter } from './filter.ts';

/** Lets a request through only when the authorizer allows it. Throws 403 with upstream's text. */
export function authorizationFilter(authorizer: Authorizer, metrics: ServerMetrics, clock: Clock): Filter {
  const allowed = metrics.authorizationAttempts.cell('allowed');
  const denied = metrics.authorizationAttempts.cell('denied');
  const allowedSeconds = metrics.authorizationSeconds.series('allowed');
  const deniedSeconds = metrics.authorizationSeconds.series('denied');
  return async (exchange) => {
    const attributes = attributesOf(exchange.user, exchange.info);
    const startedMs = clock.monotonic();
    const result = await authorizer.authorize(attributes);
    const seconds = (clock.monotonic() - startedMs) / 1000;
    (result.decision === 'allow' ? allowedSeconds : deniedSeconds).observe(seconds);
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
  const fieldSelector = fieldRequirements(info.fieldSelector);
  const labelSelector = labelRequirements(info.labelSelector);
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
