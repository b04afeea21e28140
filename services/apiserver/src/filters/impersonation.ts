import type { Clock } from '@pilothouse/base';
import { impersonate, impersonationRequest, isImpersonationHeader } from '../authentication/impersonation.ts';
import type { Authorizer } from '../authorization/interface.ts';
import type { SecuritySeries } from '../metrics/security-series.ts';
import { attributesOf } from './authorization.ts';
import type { Exchange } from '../request/exchange.ts';
import type { Filter } from './filter.ts';

/** Acts as another user when the Impersonate- headers ask for it and the caller may. Throws 403. */
export function impersonationFilter(
  authorizer: Authorizer,
  clock: Clock,
  series?: SecuritySeries['impersonation'],
): Filter {
  const secondsSince = (startedMs: number): number => (clock.monotonic() - startedMs) / 1000;
  const counted: Authorizer = {
    async authorize(attributes) {
      const startedMs = clock.monotonic();
      const result = await authorizer.authorize(attributes);
      const labels = [modeOfVerb(attributes.verb), result.decision === 'allow' ? 'allowed' : 'denied'];
      series?.checks.cell(...labels).inc();
      series?.checkSeconds.series(...labels).observe(secondsSince(startedMs));
      return result;
    },
  };
  return (exchange) => {
    // Nearly no request has any of these.
    for (const name in exchange.request.headers) {
      if (name.startsWith('impersonate-')) return impersonated(exchange);
    }
    return undefined;
  };

  async function impersonated(exchange: Exchange): Promise<void> {
    const { headers } = exchange.request;
    const wanted = impersonationRequest(exchange.request.headersDistinct);
    if (!wanted) return;
    const attributes = attributesOf(exchange.user, exchange.info);
    const startedMs = clock.monotonic();
    let labels = ['', 'denied'];
    try {
      const { user, mode } = await impersonate(exchange.user, wanted, attributes, counted);
      labels = [mode ?? 'legacy', 'allowed'];
      exchange.impersonator = exchange.user;
      if (mode !== undefined) exchange.impersonationConstraint = `impersonate:${mode}`;
      exchange.user = user;
    } finally {
      series?.attempts.cell(...labels).inc();
      series?.seconds.series(...labels).observe(secondsSince(startedMs));
    }
    exchange.request.headers = Object.fromEntries(
      Object.entries(headers).filter(([name]) => !isImpersonationHeader(name)),
    );
  }
}

/** `impersonate-on:user-info:list` and `impersonate:user-info` belong to one mode. */
function modeOfVerb(verb: string): string {
  return verb === 'impersonate' ? 'legacy' : (verb.split(':')[1] ?? 'unknown');
}
