import { errorMessage } from '@pilothouse/base';
import type { Clock, Logger } from '@pilothouse/base';
import type { SecuritySeries } from '../../metrics/security-series.ts';
import { hashLabel } from '../../metrics/security-series.ts';
import type { AuthenticationResult, TokenAuthenticator, UserInfo } from '../interface.ts';
import { peekIssuer } from '../service-account-claims.ts';
import type { ClaimPrograms } from './claim-programs.ts';
import { checkClaimRules, checkUserRules, claimTexts, claimValue } from './claim-programs.ts';
import type { JwtAuthenticatorConfig } from './configuration.ts';
import type { Claims } from './distributed-claims.ts';
import { DistributedClaims } from './distributed-claims.ts';
import { ProviderKeys } from './provider-keys.ts';

const defaultAlgorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];
/** How far a provider's clock may be ahead in `nbf`. */
const notBeforeLeewayMs = 300_000;
const credentialIdKey = 'authentication.kubernetes.io/credential-id';

/** Tokens of one OpenID provider. */
export interface JwtAuthenticator extends TokenAuthenticator {
  prefetch(): void;
  close(): void;
}

export function jwtAuthenticator(
  config: JwtAuthenticatorConfig,
  programs: ClaimPrograms,
  ports: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly series?: SecuritySeries | undefined;
  },
): JwtAuthenticator {
  const { issuer } = config;
  const source = {
    ...((issuer.certificateAuthority ?? '') === '' ? {} : { caPem: issuer.certificateAuthority as string }),
    algorithms: config.signingAlgorithms ?? defaultAlgorithms,
    ...ports,
  };
  const keys = new ProviderKeys({
    issuerUrl: issuer.url,
    ...((issuer.discoveryURL ?? '') === '' ? {} : { discoveryUrl: issuer.discoveryURL as string }),
    ...source,
  });
  const groupsClaim = config.claimMappings.groups?.claim ?? '';
  const elsewhere =
    groupsClaim === ''
      ? undefined
      : new DistributedClaims({
          claim: groupsClaim,
          ...source,
          parse: parseClaims,
          check: (claims, from) => checkToken(claims, from, issuer.audiences, ports.clock.now()),
        });
  const { clock, series } = ports;
  const issuerHash = hashLabel(issuer.url);
  const check = async (token: string): Promise<AuthenticationResult> => {
    let claims: Claims;
    try {
      claims = parseClaims(await keys.verify(token));
      checkToken(claims, issuer.url, issuer.audiences, clock.now());
    } catch (error) {
      throw new Error(`oidc: verify token: ${errorMessage(error)}`, { cause: error });
    }
    try {
      claims = (await elsewhere?.expand(claims)) ?? claims;
    } catch (error) {
      throw new Error(`oidc: could not expand distributed claims: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    return { user: userOf(claims, config, programs) };
  };
  return {
    prefetch: () => keys.prefetch(),
    close: () => {
      keys.close();
      elsewhere?.close();
    },
    async authenticateToken(token) {
      if (peekIssuer(token) !== issuer.url) return undefined;
      const startedMs = clock.monotonic();
      let result = 'failure';
      try {
        const answer = await check(token);
        result = 'success';
        return answer;
      } finally {
        series?.jwtSeconds.series(result, issuerHash).observe((clock.monotonic() - startedMs) / 1000);
      }
    },
  };
}

function parseClaims(payload: Uint8Array): Claims {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch {
    throw new Error('failed to unmarshal claims');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new Error('failed to unmarshal claims');
  return parsed as Claims;
}

function checkToken(claims: Claims, issuer: string, audiences: readonly string[], nowMs: number): void {
  if (claims['iss'] !== issuer) {
    throw new Error(
      `id token issued by a different provider, expected ${JSON.stringify(issuer)} got ${JSON.stringify(claims['iss'])}`,
    );
  }
  const { exp, nbf, aud } = claims;
  const expiresMs = typeof exp === 'number' ? exp * 1000 : -Infinity;
  if (!(expiresMs > nowMs)) {
    const shown = Number.isFinite(expiresMs) ? new Date(expiresMs).toISOString() : 'none';
    throw new Error(`token is expired (Token Expiry: ${shown})`);
  }
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf * 1000 <= nowMs + notBeforeLeewayMs)) {
    throw new Error(`current time ${new Date(nowMs).toISOString()} before the nbf (not before) time`);
  }
  const own: unknown[] = Array.isArray(aud) ? (aud as unknown[]) : [aud];
  if (!audiences.some((audience) => own.includes(audience))) {
    const list = (values: readonly unknown[]): string =>
      `[${values.map((value) => JSON.stringify(value ?? '')).join(' ')}]`;
    throw new Error(`oidc: expected audience in ${list([...audiences].sort())} got ${list(own)}`);
  }
}

function userOf(claims: Claims, config: JwtAuthenticatorConfig, programs: ClaimPrograms): UserInfo {
  const name = usernameOf(claims, config, programs);
  const groups = groupsOf(claims, config, programs);
  const uid = uidOf(claims, config, programs);
  const extra = extraOf(claims, programs);
  for (const { claim = '', requiredValue = '' } of config.claimValidationRules ?? []) {
    if (claim === '') continue;
    if (!Object.hasOwn(claims, claim))
      throw new Error(`oidc: required claim ${claim} not present in ID token`);
    if (typeof claims[claim] !== 'string') throw new Error(`oidc: parse claim ${claim}: it is no string`);
    if (claims[claim] !== requiredValue) {
      throw new Error(
        `oidc: required claim ${claim} value does not match. Got = ${claims[claim]}, want = ${requiredValue}`,
      );
    }
  }
  attempt('oidc: error evaluating claim validation expression', () =>
    checkClaimRules(programs.claimRules, claims),
  );
  const user: UserInfo = {
    name,
    ...(uid === '' ? {} : { uid }),
    groups,
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  attempt('oidc: error evaluating user info validation rule', () => checkUserRules(programs.userRules, user));
  return user;
}

function attempt<T>(what: string, evaluate: () => T): T {
  try {
    return evaluate();
  } catch (error) {
    throw new Error(`${what}: ${errorMessage(error)}`, { cause: error });
  }
}

function usernameOf(claims: Claims, config: JwtAuthenticatorConfig, programs: ClaimPrograms): string {
  const program = programs.username;
  if (program !== undefined) {
    const name = attempt('oidc: error evaluating username claim expression', () => {
      const value = claimValue(program, claims);
      if (typeof value !== 'string') throw new Error('username claim expression must return a string');
      return value;
    });
    if (name === '') throw new Error('oidc: empty username via CEL expression is not allowed');
    return name;
  }
  const { claim = '', prefix = '' } = config.claimMappings.username;
  const name = textClaim(claims, claim, `oidc: parse username claims "${claim}"`);
  if (claim === 'email' && Object.hasOwn(claims, 'email_verified')) {
    if (typeof claims['email_verified'] !== 'boolean')
      throw new Error("oidc: parse 'email_verified' claim: it is no boolean");
    if (!claims['email_verified']) throw new Error('oidc: email not verified');
  }
  return prefix + name;
}

function groupsOf(claims: Claims, config: JwtAuthenticatorConfig, programs: ClaimPrograms): string[] {
  const { claim = '', prefix = '' } = config.claimMappings.groups ?? {};
  if (claim !== '') {
    if (!Object.hasOwn(claims, claim)) return [];
    const value = claims[claim];
    const list: unknown[] = Array.isArray(value) ? (value as unknown[]) : [value];
    if (!list.every((each): each is string => typeof each === 'string'))
      throw new Error(`oidc: parse groups claim "${claim}": it is neither a string nor a list of strings`);
    return list.map((group) => prefix + group);
  }
  const program = programs.groups;
  if (program === undefined) return [];
  return attempt('oidc: error evaluating group claim expression', () => claimTexts(program, claims));
}

function uidOf(claims: Claims, config: JwtAuthenticatorConfig, programs: ClaimPrograms): string {
  const claim = config.claimMappings.uid?.claim ?? '';
  if (claim !== '') return textClaim(claims, claim, `oidc: parse uid claim "${claim}"`);
  const program = programs.uid;
  if (program === undefined) return '';
  return attempt('oidc: error evaluating uid claim expression', () => {
    const value = claimValue(program, claims);
    if (typeof value !== 'string') throw new Error('uid claim expression must return a string');
    return value;
  });
}

function extraOf(claims: Claims, programs: ClaimPrograms): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  const id = claims['jti'];
  if (typeof id === 'string' && id !== '') extra[credentialIdKey] = [`JTI=${id}`];
  for (const { key, program } of programs.extra) {
    const values = attempt('oidc: error evaluating extra claim expression', () =>
      claimTexts(program, claims),
    );
    if (values.length > 0) extra[key] = values;
  }
  return extra;
}

function textClaim(claims: Claims, claim: string, what: string): string {
  if (!Object.hasOwn(claims, claim)) throw new Error(`${what}: claim not present`);
  const value = claims[claim];
  if (typeof value !== 'string') throw new Error(`${what}: it is no string`);
  return value;
}
