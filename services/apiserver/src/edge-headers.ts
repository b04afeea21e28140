import { pattern } from '@pilothouse/api/cel';
import type { EdgeConfig } from './edge-config.ts';
import type { Exchange } from './request/exchange.ts';

const corsHeaders = {
  'Access-Control-Allow-Methods': 'POST, GET, OPTIONS, PUT, DELETE, PATCH',
  'Access-Control-Allow-Headers':
    'Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since',
  'Access-Control-Expose-Headers': 'Date',
  'Access-Control-Allow-Credentials': 'true',
} as const;

/**
 * Sets the headers that browsers heed, on every answer: --strict-transport-security-directives, and --cors-allowed-origins for pages of the origins that
 * match. True: the request was a browser's question whether it may call, and is answered; it carries no credentials, so it comes before authentication.
 */
export function edgeHeaders({
  corsOrigins,
  strictTransportSecurity,
}: Pick<EdgeConfig, 'corsOrigins' | 'strictTransportSecurity'>): (exchange: Exchange) => boolean {
  const patterns = corsOrigins.map(pattern);
  return (exchange) => {
    const { response } = exchange;
    if (strictTransportSecurity !== '')
      response.setHeader('Strict-Transport-Security', strictTransportSecurity);
    const origin = patterns.length === 0 ? '' : exchange.header('origin');
    if (origin === '' || !patterns.some((each) => each.matcher(origin).find())) return false;
    response.setHeader('Access-Control-Allow-Origin', origin);
    for (const [name, value] of Object.entries(corsHeaders)) response.setHeader(name, value);
    if (exchange.method !== 'OPTIONS') return false;
    response.writeHead(204);
    response.end();
    return true;
  };
}
