import { generateKeyPairSync } from 'node:crypto';
import https from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CertificateAndKey } from '@pilothouse/host';
import { exportJWK } from 'jose';

/** The parts of `oidc-provider` that are used here; it has no types of its own. */
interface ProviderLibrary {
  new (issuer: string, configuration: object): ProviderServer;
}
interface ProviderServer {
  callback(): (request: IncomingMessage, response: ServerResponse) => void;
  interactionFinished(request: IncomingMessage, response: ServerResponse, result: object): Promise<void>;
}
interface GrantContext {
  readonly oidc: {
    readonly provider: {
      Grant: new (of: object) => { addOIDCScope(scope: string): void; save(): Promise<string> };
    };
    readonly client: { readonly clientId: string };
    readonly session: { readonly accountId: string };
  };
}

const redirectUri = 'https://client.example/callback';
export const clientId = 'kubernetes';
export const otherClientId = 'somebody-else';
const clientSecret = 'client-secret-of-the-test';

/** A real OpenID provider on localhost. */
export interface OidcProvider {
  readonly issuer: string;
  /** ID token of a user, by the authorization code flow. */
  idToken(account: string, client?: string): Promise<string>;
  /** Starts anew with another signing key. */
  rotate(): Promise<void>;
  close(): Promise<void>;
}

/** Users have `groups`, `email` and `tenant` derived from their name. */
export async function startProvider(
  port: number,
  tls: CertificateAndKey,
  caPem: string,
): Promise<OidcProvider> {
  const { default: Provider } = (await import('oidc-provider' as string)) as { default: ProviderLibrary };
  const issuer = `https://localhost:${port}`;
  let server: https.Server | undefined;
  let generation = 0;
  const start = async (): Promise<void> => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = {
      ...(await exportJWK(privateKey)),
      kid: `signing-${++generation}`,
      use: 'sig',
      alg: 'RS256',
    };
    const client = (client_id: string): object => ({
      client_id,
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      response_types: ['code'],
      grant_types: ['authorization_code'],
    });
    const provider = new Provider(issuer, {
      jwks: { keys: [jwk] },
      clients: [client(clientId), client(otherClientId)],
      cookies: { keys: ['cookie-key-of-the-test'] },
      pkce: { required: () => false },
      features: { devInteractions: { enabled: false } },
      claims: { openid: ['sub', 'groups', 'email', 'email_verified', 'tenant'] },
      conformIdTokenClaims: false,
      findAccount: (_context: unknown, accountId: string) => ({
        accountId,
        claims: () => ({
          sub: accountId,
          groups: accountId === 'mallory' ? ['system:masters'] : ['developers'],
          email: `${accountId}@example.org`,
          email_verified: true,
          tenant: 'blue',
        }),
      }),
      interactions: {
        url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}`,
      },
      loadExistingGrant: async (context: GrantContext) => {
        const { provider: library, client: asking, session } = context.oidc;
        const grant = new library.Grant({ clientId: asking.clientId, accountId: session.accountId });
        grant.addOIDCScope('openid');
        await grant.save();
        return grant;
      },
    });
    const callback = provider.callback();
    server = https.createServer({ cert: tls.certPem, key: tls.keyPem }, (request, response) => {
      if (request.url?.startsWith('/interaction/') === true) {
        const accountId = String(request.headers['x-account'] ?? 'nobody');
        void provider.interactionFinished(request, response, { login: { accountId } });
      } else callback(request, response);
    });
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
  };
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server?.closeAllConnections();
      server?.close(() => resolve());
    });
  await start();
  return {
    issuer,
    async idToken(account, client = clientId) {
      const jar = new Map<string, string>();
      const step = (url: string, form?: string): Promise<{ location: string; text: string }> =>
        new Promise((resolve, reject) => {
          const request = https.request(
            url,
            {
              method: form === undefined ? 'GET' : 'POST',
              ca: caPem,
              agent: false,
              headers: {
                cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
                'x-account': account,
                ...(form === undefined
                  ? {}
                  : {
                      'content-type': 'application/x-www-form-urlencoded',
                      authorization: `Basic ${Buffer.from(`${client}:${clientSecret}`).toString('base64')}`,
                    }),
              },
            },
            (response) => {
              for (const line of response.headers['set-cookie'] ?? []) {
                const [pair] = line.split(';');
                const at = (pair as string).indexOf('=');
                jar.set((pair as string).slice(0, at), (pair as string).slice(at + 1));
              }
              let text = '';
              response.on('data', (piece: Buffer) => (text += piece.toString()));
              response.on('end', () => resolve({ location: response.headers.location ?? '', text }));
            },
          );
          request.on('error', reject);
          request.end(form);
        });
      const query = new URLSearchParams({
        client_id: client,
        response_type: 'code',
        scope: 'openid',
        redirect_uri: redirectUri,
      });
      let next = `${issuer}/auth?${query.toString()}`;
      for (let hop = 0; hop < 8 && !next.startsWith(redirectUri); hop++) {
        const { location, text } = await step(next);
        if (location === '') throw new Error(`The provider stopped at ${next}: ${text.slice(0, 500)}`);
        next = new URL(location, issuer).href;
      }
      const code = new URL(next).searchParams.get('code') ?? '';
      const form = new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: redirectUri });
      const answer = JSON.parse((await step(`${issuer}/token`, form.toString())).text) as {
        id_token?: string;
      };
      if (answer.id_token === undefined)
        throw new Error(`The provider gave no token: ${JSON.stringify(answer)}`);
      return answer.id_token;
    },
    async rotate() {
      await stop();
      await start();
    },
    close: stop,
  };
}
