import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority, issueCertificate, nodeClock } from '@pilothouse/host';
import { SignJWT, exportJWK } from 'jose';

/** An OpenID provider for tests: a discovery document, keys that can change, and tokens of any content. */
export interface TestingProvider {
  readonly issuer: string;
  readonly caPem: string;
  /** Questions for the keys so far. */
  readonly keyRequests: () => number;
  /** The newest public key, PEM. */
  readonly publicPem: () => string;
  /** From now on another key signs; the old one is no longer told. */
  rotate(): Promise<void>;
  /** What is told at a path of its own, and the Authorization header that came with the last question for it. */
  readonly documents: Map<string, string>;
  readonly lastAuthorization: () => string | undefined;
  /** A token of these claims; `iss`, `aud`, `exp` have defaults. */
  token(claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
  close(): void;
}

export async function startTestingProvider(audience: string): Promise<TestingProvider> {
  const nowMs = nodeClock.now();
  const authority = await createAuthority('provider-ca', nowMs - 60_000, nowMs + 3_600_000);
  const { certPem, keyPem } = await issueCertificate(authority, {
    commonName: 'provider',
    hosts: ['localhost', '127.0.0.1'],
    usage: 'server',
    notBefore: nowMs - 60_000,
    notAfter: nowMs + 3_600_000,
  });
  let keyRequests = 0;
  const documents = new Map<string, string>();
  let lastAuthorization: string | undefined;
  let kid = 0;
  let privateKey: KeyObject;
  let publicKey: KeyObject;
  let jwk: Record<string, unknown> = {};
  const rotate = async (): Promise<void> => {
    ({ privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 }));
    jwk = { ...(await exportJWK(publicKey)), kid: `key-${++kid}`, alg: 'RS256', use: 'sig' };
  };
  await rotate();
  const server = https.createServer({ cert: certPem, key: keyPem }, (request, response) => {
    response.setHeader('content-type', 'application/json');
    const document = documents.get(request.url ?? '');
    if (document !== undefined) {
      lastAuthorization = request.headers.authorization;
      response.end(document);
    } else if (request.url === '/keys') {
      keyRequests++;
      response.end(JSON.stringify({ keys: [jwk] }));
    } else response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    caPem: authority.certPem,
    keyRequests: () => keyRequests,
    documents,
    lastAuthorization: () => lastAuthorization,
    publicPem: () => publicKey.export({ type: 'spki', format: 'pem' }) as string,
    rotate,
    token: (claims, header = {}) => {
      const nowSeconds = Math.floor(nodeClock.now() / 1000);
      return new SignJWT({ iss: issuer, aud: audience, exp: nowSeconds + 300, ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: `key-${kid}`, ...header } as { alg: string })
        .sign(privateKey);
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
