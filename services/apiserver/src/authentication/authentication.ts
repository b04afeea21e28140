import { statusErrors } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import { AccountTokens } from './account-tokens.ts';
import { anonymousAuthenticator } from './anonymous.ts';
import { authenticateBearerToken, bearerToken, webSocketToken } from './bearer-token.ts';
import { bootstrapTokenAuthenticator } from './bootstrap-token.ts';
import { clientCertificateAuthenticator } from './client-certificate.ts';
import type { Authentication, AuthenticationConfig, AuthenticationDependencies } from './config.ts';
import type { AuthenticationResult, Authenticator, TokenAuthenticator } from './interface.ts';
import { anonymousUser, authenticatedGroup } from './interface.ts';
import type { OpenIdDocuments } from './openid.ts';
import { openIdDocuments } from './openid.ts';
import { StructuredTokens } from './jwt/structured-tokens.ts';
import { requestHeaderAuthenticator } from './request-header.ts';
import { reviewSelf, reviewToken } from './reviews.ts';
import { tokenFileAuthenticator } from './token-file.ts';
import { TokenCache } from './token-cache.ts';
import { fulfilTokenRequest } from './token-issuer.ts';
import { webhookTokenAuthenticator } from './webhook-token.ts';
import { WebhookEndpoint } from '../security/webhook-endpoint.ts';

/**
 * Puts the configured methods together in upstream's order: front proxy, client certificate, bearer tokens (file,
 * ServiceAccount, bootstrap, OpenID providers, webhook), anonymous. Throws an Error on a key, certificate, token
 * file or configuration that cannot be used.
 */
export function createAuthentication(
  config: AuthenticationConfig,
  dependencies: AuthenticationDependencies,
): Authentication {
  const { clock, random, objects, logger, series } = dependencies;
  const accounts = config.serviceAccounts;
  const issuers = accounts?.issuers ?? [];
  const apiAudiences = accounts?.apiAudiences ?? issuers;
  const connection: Authenticator[] = [];
  const frontProxies = config.requestHeader && requestHeaderAuthenticator(config.requestHeader, clock);
  if (frontProxies) connection.push(frontProxies);
  const clients =
    config.clientCaPem === undefined ? undefined : clientCertificateAuthenticator(config.clientCaPem, clock);
  if (clients) connection.push(clients);
  const tokens: TokenAuthenticator[] = [];
  if (config.tokenFile !== undefined) tokens.push(tokenFileAuthenticator(config.tokenFile, apiAudiences));
  const accountTokens = accounts && new AccountTokens({ ...accounts, apiAudiences }, dependencies);
  if (accountTokens && (accounts.keyPems.length > 0 || dependencies.signer)) tokens.push(accountTokens);
  if (config.bootstrapTokens === true) {
    tokens.push(bootstrapTokenAuthenticator(objects, clock, apiAudiences));
  }
  const tokenCache = new TokenCache(clock, series);
  const structured = new StructuredTokens(
    {
      ...(config.structured === undefined ? {} : { file: config.structured }),
      ...(config.oidc === undefined ? {} : { flags: config.oidc }),
      serviceAccountIssuers: issuers,
      apiAudiences,
    },
    { clock, logger, series, onChange: () => tokenCache.clear() },
  );
  tokens.push(structured);
  const closers: (() => void)[] = [];
  if (config.tokenWebhook !== undefined) {
    const { kubeconfig, version, cacheTtlMs } = config.tokenWebhook;
    const endpoint = new WebhookEndpoint(kubeconfig, { clock, random, logger });
    closers.push(() => endpoint.close());
    const { decisions } = dependencies;
    const scope = `token ${version} ${endpoint.url} ${apiAudiences.join(' ')}`;
    const shared = decisions && { decisions, scope };
    tokens.push(webhookTokenAuthenticator({ endpoint, version, cacheTtlMs, apiAudiences, clock, shared }));
  }
  const openTo = structured.anonymous ?? config.anonymous;
  const anonymous = openTo?.enabled === false ? undefined : anonymousAuthenticator(openTo?.paths);

  const authenticator: Authenticator = {
    async authenticate(request) {
      const findings: string[] = [];
      for (const method of connection) {
        try {
          const result = await method.authenticate(request);
          if (result !== undefined) return withAuthenticatedGroup(result);
        } catch (error) {
          findings.push(errorMessage(error));
        }
      }
      const byToken = async (token: string): Promise<AuthenticationResult> =>
        withAuthenticatedGroup(
          await tokenCache.result(token, () => authenticateBearerToken(tokens, token, apiAudiences)),
        );
      try {
        const token = bearerToken(request);
        if (token !== '') return await byToken(token);
        const carried = webSocketToken(request);
        if (carried !== undefined)
          return { ...(await byToken(carried.token)), webSocketProtocols: carried.protocols };
      } catch (error) {
        findings.push(errorMessage(error));
      }
      if (findings.length > 0) {
        logger.warn('Unable to authenticate the request', { error: findings.join(', ') });
        throw statusErrors.unauthorized();
      }
      return anonymous?.authenticate(request);
    },
  };

  const openId = (): OpenIdDocuments =>
    (documents ??= openIdDocuments(
      issuers,
      accountTokens?.keys ?? [],
      accounts?.jwksUri ?? `https://${config.externalAddress ?? 'localhost'}/openid/v1/jwks`,
    ));
  let documents: OpenIdDocuments | undefined;
  if (accountTokens)
    accountTokens.onChange = () => {
      documents = undefined;
      tokenCache.clear();
    };
  openId();
  return {
    authenticator,
    apiAudiences,
    start() {
      const end = structured.start();
      return () => {
        end();
        for (const close of closers) close();
      };
    },
    renew({ clientCa, requestHeaderCa, serviceAccountKeys, serviceAccountSigningKey }) {
      if (clientCa !== undefined) clients?.trust(clientCa.pem, clientCa.revocations);
      if (requestHeaderCa !== undefined) frontProxies?.trust(requestHeaderCa);
      if (serviceAccountKeys === undefined && serviceAccountSigningKey === undefined) return;
      accountTokens?.renew(serviceAccountKeys, serviceAccountSigningKey);
      documents = undefined;
      tokenCache.clear();
    },
    async issueToken(serviceAccount, request) {
      const issuer = accountTokens?.issuer;
      if (issuer === undefined) {
        throw statusErrors.methodNotSupported({ group: '', resource: 'serviceaccounts/token' }, 'create');
      }
      return fulfilTokenRequest(issuer, serviceAccount, request);
    },
    reviewToken: (review) =>
      reviewToken(review, apiAudiences, async (token, audiences) =>
        withAuthenticatedGroup(await authenticateBearerToken(tokens, token, audiences)),
      ),
    reviewSelf: (review, user) =>
      reviewSelf(review, user, new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z')),
    openIdConfiguration: () => openId().configuration,
    jsonWebKeySet: () => openId().keySet,
    openIdMaxAgeSeconds: () => dependencies.signer?.maxAgeSeconds ?? 3600,
  };
}

const withGroup = new WeakMap<AuthenticationResult, AuthenticationResult>();

/** The same result for the same argument, so that what is known of a user can be kept by its identity. */
function withAuthenticatedGroup(result: AuthenticationResult): AuthenticationResult {
  const { user } = result;
  if (user.name === anonymousUser || user.groups.includes(authenticatedGroup)) return result;
  let extended = withGroup.get(result);
  if (extended === undefined) {
    extended = { ...result, user: { ...user, groups: [...user.groups, authenticatedGroup] } };
    withGroup.set(result, extended);
  }
  return extended;
}
