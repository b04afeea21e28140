import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import type { StatusError } from '@pilothouse/apimachinery';
import type { AuthorizationAttributes } from './interface.ts';

/** The 403 for a request that no authorizer allowed. `reason` may be empty. */
export function forbidden(attributes: AuthorizationAttributes, reason: string): StatusError {
  const text = forbiddenText(attributes) + (reason === '' ? '' : `: ${reason}`);
  return statusErrors.forbidden(
    { group: attributes.apiGroup, resource: attributes.isResourceRequest ? attributes.resource : '' },
    attributes.name,
    text,
  );
}

function forbiddenText(attributes: AuthorizationAttributes): string {
  const user = goQuote(attributes.user.name);
  if (!attributes.isResourceRequest) {
    return `User ${user} cannot ${attributes.verb} path ${goQuote(attributes.path)}`;
  }
  const resource =
    attributes.subresource === '' ? attributes.resource : `${attributes.resource}/${attributes.subresource}`;
  const scope =
    attributes.namespace === ''
      ? 'at the cluster scope'
      : `in the namespace ${goQuote(attributes.namespace)}`;
  return `User ${user} cannot ${attributes.verb} resource ${goQuote(resource)} in API group ${goQuote(attributes.apiGroup)} ${scope}`;
}
