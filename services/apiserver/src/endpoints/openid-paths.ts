import { statusErrors } from '@pilothouse/apimachinery';
import { parseAccept } from '@pilothouse/serializer';
import type { Authentication } from '../authentication/config.ts';
import type { Exchange } from '../request/exchange.ts';
import type { PathTable } from './path-table.ts';
import { respondPathNotFound } from './path-table.ts';
import { respondText } from './respond.ts';

/** Documents by which others verify ServiceAccount tokens of this server. */
export function registerOpenIdPaths(
  paths: PathTable,
  authentication: Pick<Authentication, 'openIdConfiguration' | 'jsonWebKeySet' | 'openIdMaxAgeSeconds'>,
): void {
  const document =
    (contentType: string, text: () => string | undefined) =>
    (exchange: Exchange): void => {
      const body = text();
      if (body === undefined) {
        respondPathNotFound(exchange);
        return;
      }
      requireType(exchange, contentType);
      exchange.response.setHeader('Cache-Control', `public, max-age=${authentication.openIdMaxAgeSeconds()}`);
      respondText(exchange, 200, body, contentType);
    };
  paths.handle(
    '/.well-known/openid-configuration',
    document('application/json', () => authentication.openIdConfiguration()),
  );
  paths.handle(
    '/openid/v1/jwks',
    document('application/jwk-set+json', () => authentication.jsonWebKeySet()),
  );
}

/** Throws 406 when the client does not take the one form there is. */
function requireType(exchange: Exchange, contentType: string): void {
  const accept = exchange.header('accept');
  const [type, subtype] = contentType.split('/');
  const fits = parseAccept(accept).some(
    (clause) =>
      (clause.type === '*' || clause.type === type) && (clause.subtype === '*' || clause.subtype === subtype),
  );
  if (accept !== '' && !fits) {
    throw statusErrors.notAcceptable(`only the following media types are accepted: ${contentType}`);
  }
}
