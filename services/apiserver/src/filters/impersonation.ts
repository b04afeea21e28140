import { impersonate, impersonationRequest, isImpersonationHeader } from '../authentication/impersonation.ts';
import type { Authorizer } from '../authorization/interface.ts';
import { attributesOf } from './authorization.ts';
import type { Exchange } from '../request/exchange.ts';
import type { Filter } from './filter.ts';

/** Acts as another user when the Impersonate- headers ask for it and the caller may. Throws 403. */
export function impersonationFilter(authorizer: Authorizer): Filter {
  return (exchange) => {
    // Nearly no request has any of these.
    for (const name in exchange.request.headers) {
      if (name.startsWith('impersonate-')) return impersonated(exchange);
    }
    return undefined;
  };

  async function impersonated(exchange: Exchange): Promise<void> {
    const { headers } = exchange.request;
    const wanted = impersonationRequest(headers);
    if (!wanted) return;
    const attributes = attributesOf(exchange.user, exchange.info);
    const user = await impersonate(exchange.user, wanted, attributes, authorizer);
    exchange.impersonator = exchange.user;
    exchange.user = user;
    for (const name of Object.keys(headers)) if (isImpersonationHeader(name)) delete headers[name];
  }
}
