import type { Random } from '@pilothouse/base';
import { Http2Request } from '../http2/exchange-ends.ts';
import type { Exchange } from '../request/exchange.ts';
import type { Filter } from './filter.ts';

/**
 * Tells the client of an HTTP/2 connection, with this chance at each request, to open another one: behind a balancer the connections of
 * long-lived clients so spread over servers that came later. What runs on the old connection is completed.
 */
export function goawayFilter(random: Random, chance: number): Filter {
  return (exchange) => {
    if (random.float() < chance) leaveConnection(exchange);
  };
}

/** Has the connection end once its requests are answered. */
export function leaveConnection({ request, response }: Exchange): void {
  const end: unknown = request;
  if (end instanceof Http2Request) end.leaveConnection();
  else response.setHeader('Connection', 'close');
}
