import { errorMessage } from '@pilothouse/base';
import { CredentialError, invalidBearerToken } from './errors.ts';
import { headerValue, headerValues } from './headers.ts';
import type { AuthenticationRequest, AuthenticationResult, TokenAuthenticator } from './interface.ts';

const webSocketTokenPrefix = 'base64url.bearer.authorization.k8s.io.';

/** The bearer token of a request (Authorization header, or the WebSocket subprotocol that carries one); empty without. */
export function bearerToken(request: AuthenticationRequest): string {
  const words = headerValue(request.headers, 'authorization').trim().split(' ');
  if (words.length >= 2 && (words[0] as string).toLowerCase() === 'bearer') return words[1] as string;
  if (headerValue(request.headers, 'upgrade').toLowerCase() !== 'websocket') return '';
  for (const line of headerValues(request.headers, 'sec-websocket-protocol')) {
    for (const protocol of line.split(',')) {
      const name = protocol.trim();
      if (name.startsWith(webSocketTokenPrefix)) {
        return Buffer.from(name.slice(webSocketTokenPrefix.length), 'base64url').toString('utf8');
      }
    }
  }
  return '';
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
