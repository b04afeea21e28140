import { isUtf8 } from 'node:buffer';
import { errorMessage } from '@pilothouse/base';
import { CredentialError, invalidBearerToken } from './errors.ts';
import { headerValue, headerValues } from './headers.ts';
import type { AuthenticationRequest, AuthenticationResult, TokenAuthenticator } from './interface.ts';

const webSocketTokenPrefix = 'base64url.bearer.authorization.k8s.io.';

/** The bearer token of the Authorization header; empty without. */
export function bearerToken(request: AuthenticationRequest): string {
  const words = headerValue(request.headers, 'authorization').trim().split(' ');
  if (words.length >= 2 && (words[0] as string).toLowerCase() === 'bearer') return words[1] as string;
  return '';
}

/**
 * The bearer token that a WebSocket's subprotocol carries (browsers can set no header), and what is left of the subprotocols: whoever serves
 * the stream must not see the token. Undefined without one. Throws CredentialError when it cannot be read, or is all there is.
 */
export function webSocketToken(
  request: AuthenticationRequest,
): { readonly token: string; readonly protocols: string } | undefined {
  if (headerValue(request.headers, 'upgrade').toLowerCase() !== 'websocket') return undefined;
  const all = headerValues(request.headers, 'sec-websocket-protocol').flatMap((line) =>
    line.split(',').map((protocol) => protocol.trim()),
  );
  const [carrier, ...more] = all.filter((protocol) => protocol.startsWith(webSocketTokenPrefix));
  if (carrier === undefined) return undefined;
  if (more.length > 0) throw new CredentialError('multiple base64.bearer.authorization tokens specified');
  const encoded = carrier.slice(webSocketTokenPrefix.length);
  if (!/^[A-Za-z0-9_-]*$/.test(encoded) || encoded.length % 4 === 1)
    throw new CredentialError('invalid base64.bearer.authorization token encoding');
  const bytes = Buffer.from(encoded, 'base64url');
  if (!isUtf8(bytes)) throw new CredentialError('invalid base64.bearer.authorization token');
  const token = bytes.toString('utf8');
  if (token === '') return undefined;
  const others = all.filter((protocol) => protocol !== carrier);
  if (others.length === 0) throw new CredentialError('missing additional subprotocol');
  return { token, protocols: others.join(',') };
}

/** Asks each method in turn. Throws {@link CredentialError} when no method takes the token, with the findings of those that knew it. */
export async function authenticateBearerToken(
  methods: readonly TokenAuthenticator[],
  token: string,
  audiences: readonly string[],
): Promise<AuthenticationResult> {
  const findings: string[] = [];
  for (const method of methods) {
    try {
      const result = await method.authenticateToken(token, audiences);
      if (result !== undefined) return result;
    } catch (error) {
      findings.push(errorMessage(error));
    }
  }
  if (findings.length === 0) throw new CredentialError(invalidBearerToken);
  throw new CredentialError(`[${[invalidBearerToken, ...findings].join(', ')}]`);
}
