import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Random } from '@pilothouse/base';
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
  const session = (request as { stream?: ServerHttp2Stream }).stream?.session as
    ServerHttp2Session | undefined;
  if (session === undefined) response.setHeader('Connection', 'close');
  else if (!session.closed) session.close();
}
