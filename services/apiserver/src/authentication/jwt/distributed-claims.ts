import type { Clock, Logger } from '@pilothouse/base';
import { HttpsClient } from '../../security/https-json.ts';
import { peekIssuer } from '../service-account-claims.ts';
import { ProviderKeys } from './provider-keys.ts';

export type Claims = Readonly<Record<string, unknown>>;

const requestTimeoutMs = 10_000;
/** Issuers whose keys are kept: who may name them is the provider alone. */
const issuersMax = 16;

export interface DistributedClaimsOptions {
  /** The claim that may be elsewhere. */
  readonly claim: string;
  /** Of the provider and of those who hold claims for it. */
  readonly caPem?: string;
  readonly algorithms: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Throws when a token is not of this issuer, not for this server, or not of this time. */
  check(claims: Claims, issuer: string): void;
  parse(payload: Uint8Array): Claims;
}

/**
 * Fetches a claim that a token leaves to others (OpenID Connect Core 1.0, 5.6.2): `_claim_names` tells the source, `_claim_sources` where it
 * is, and what comes from there is a token of its own, verified by the keys of its issuer.
 */
export class DistributedClaims {
  readonly #options: DistributedClaimsOptions;
  readonly #client: HttpsClient;
  readonly #keys = new Map<string, ProviderKeys>();

  constructor(options: DistributedClaimsOptions) {
    this.#options = options;
    this.#client = new HttpsClient(options.caPem === undefined ? {} : { caPem: options.caPem });
  }

  close(): void {
    this.#client.close();
    for (const keys of this.#keys.values()) keys.close();
  }

  /** The claims with the fetched one. Throws an Error that says what could not be had, never a token. */
  async expand(claims: Claims): Promise<Claims> {
    const { claim } = this.#options;
    const names = claims['_claim_names'];
    if (Object.hasOwn(claims, claim) || names === undefined) return claims;
    if (!isTextMap(names))
      throw new Error('oidc: error parsing distributed claim names: they are no map of strings');
    const sources = claims['_claim_sources'];
    if (sources === undefined) throw new Error('oidc: no claim sources');
    if (!isMap(sources)) throw new Error('oidc: could not parse claim sources: they are no map');
    if (!Object.hasOwn(names, claim)) return claims;
    const name = names[claim] as string;
    const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
    if (!isMap(source))
      throw new Error(`id token _claim_names contained a source ${name} missing in _claims_sources`);
    const { endpoint = '', access_token: accessToken = '' } = source;
    if (typeof endpoint !== 'string' || typeof accessToken !== 'string')
      throw new Error('oidc: could not parse claim sources: endpoint and access_token are strings');
    // Perhaps the source holds a JWT: an aggregated claim, which upstream passes over too.
    if (endpoint === '') return claims;
    return { ...claims, [claim]: await this.#fetched(endpoint, accessToken) };
  }

  async #fetched(endpoint: string, accessToken: string): Promise<unknown> {
    const { claim, check, parse } = this.#options;
    const token = await this.#token(endpoint, accessToken);
    const issuer = peekIssuer(token);
    if (issuer === undefined)
      throw new Error(
        `getting untrusted issuer from endpoint ${endpoint} failed for claim "${claim}": it is no token`,
      );
    let claims: Claims;
    try {
      claims = parse(await this.#keysOf(issuer).verify(token));
      check(claims, issuer);
    } catch (error) {
      throw new Error(`verify distributed claim token: ${(error as Error).message}`, { cause: error });
    }
    if (!Object.hasOwn(claims, claim))
      throw new Error(
        `jwt returned by distributed claim endpoint "${endpoint}" did not contain claim: ${claim}`,
      );
    return claims[claim];
  }

  async #token(endpoint: string, accessToken: string): Promise<string> {
    const what = `while getting distributed claim "${this.#options.claim}"`;
    if (!endpoint.startsWith('https://')) throw new Error(`${what}: its endpoint must be an https URL`);
    const headers = accessToken === '' ? {} : { authorization: `Bearer ${accessToken}` };
    const { status, text } = await this.#client
      .send(endpoint, { headers, timeoutMs: requestTimeoutMs })
      .catch((error: unknown) => Promise.reject(new Error(`${what}: ${(error as Error).message}`)));
    if (status < 200 || status > 226)
      throw new Error(`${what}: error while getting distributed claim JWT: ${status}`);
    return text.trim();
  }

  #keysOf(issuer: string): ProviderKeys {
    let keys = this.#keys.get(issuer);
    if (keys !== undefined) return keys;
    const { caPem, algorithms, clock, logger } = this.#options;
    if (!issuer.startsWith('https://')) throw new Error('the issuer is no https URL');
    keys = new ProviderKeys({
      issuerUrl: issuer,
      ...(caPem === undefined ? {} : { caPem }),
      algorithms,
      clock,
      logger,
    });
    const [oldest] = this.#keys.keys();
    if (this.#keys.size >= issuersMax && oldest !== undefined) {
      this.#keys.get(oldest)?.close();
      this.#keys.delete(oldest);
    }
    this.#keys.set(issuer, keys);
    return keys;
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isTextMap = (value: unknown): value is Record<string, string> =>
  isMap(value) && Object.values(value).every((each) => typeof each === 'string');
