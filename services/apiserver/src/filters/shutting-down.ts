import { TextRefusal } from '../endpoints/respond.ts';
import { limits } from '../limits.ts';
import type { Filter } from './filter.ts';
import { leaveConnection } from './goaway.ts';

/** What is answered to the end: probes, metrics and the other servers' own requests. */
const exemptPrefixes = ['/readyz', '/livez', '/healthz', '/metrics'];

/** With --shutdown-send-retry-after: while the server ends, new requests are sent elsewhere with 429 instead of finding the port closed. */
export function shuttingDownFilter(isEnding: () => boolean): Filter {
  return (exchange) => {
    if (!isEnding()) return;
    if (exchange.userAgent.startsWith('kube-apiserver/')) return;
    if (exemptPrefixes.some((prefix) => exchange.path.startsWith(prefix))) return;
    leaveConnection(exchange);
    throw new TextRefusal(429, 'The apiserver is shutting down, please try again later.\n', {
      'Retry-After': String(limits.shutdownRetryAfterSeconds),
    });
  };
}
