import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { compactVerify, importJWK } from 'jose';
import type { JWK } from 'jose';
import type { SecuritySeries } from '../../metrics/security-series.ts';
import { hashLabel } from '../../metrics/security-series.ts';
import { HttpsClient } from '../../security/https-json.ts';

const requestTimeoutMs = 10_000;
/** Between two questions to a provider: a flood of bad tokens must not become a flood of requests to it. */
const spacingMs = 1000;
/** Keys older than this are asked for again while they are used, so that a revoked one goes. */
const staleMs = 600_000;
/** As many keys are tried for one token at most. */
const keysMax = 64;

interface VerifierKey {
  readonly kid: string;
  readonly alg: string | undefined;
  readonly jwk: JWK;
  readonly imported: Map<string, Awaited<ReturnType<typeof importJWK>>>;
}

export interface ProviderKeysOptions {
  readonly issuerUrl: string;
  readonly discoveryUrl?: string;
  readonly caPem?: string;
  readonly algorithms: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly series?: SecuritySeries | undefined;
}

/**
 * The keys of one OpenID provider: found by its discovery document, kept, and asked for again when a token fits none of them, which is how
 * a provider's new key is learned.
 */
export class ProviderKeys {
  readonly #options: ProviderKeysOptions;
  readonly #client: HttpsClient;
  #keys: readonly VerifierKey[] | undefined;
  #jwksUri: string | undefined;
  #askedAt = -Infinity;
  #fetchedAt = -Infinity;
  #asking: Promise<void> | undefined;

  constructor(options: ProviderKeysOptions) {
    this.#options = options;
    this.#client = new HttpsClient(options.caPem === undefined ? {} : { caPem: options.caPem });
  }

  /** Asks the provider for the first time; failures are logged and tried again when a token comes. */
  prefetch(): void {
    void this.#refresh();
  }

  close(): void {
    this.#client.close();
  }

  /** The payload of a token that one of the keys signed by an allowed algorithm. Throws otherwise. */
  async verify(token: string): Promise<Uint8Array> {
    if (this.#keys === undefined) await this.#refresh();
    if (this.#keys === undefined) throw new Error('authenticator not initialized');
    const { alg, kid } = this.#header(token);
    let payload = await this.#tryKeys(token, alg, kid);
    if (payload === undefined) {
      const before = this.#keys;
      await this.#refresh();
      if (this.#keys !== before) payload = await this.#tryKeys(token, alg, kid);
    } else if (this.#options.clock.monotonic() - this.#fetchedAt > staleMs) void this.#refresh();
    if (payload === undefined)
      throw new Error('failed to verify signature: failed to verify id token signature');
    return payload;
  }

  #header(token: string): { alg: string; kid: string } {
    let header: { alg?: unknown; kid?: unknown };
    try {
      header = JSON.parse(
        Buffer.from(token.split('.', 1)[0] as string, 'base64url').toString('utf8'),
      ) as object;
    } catch {
      throw new Error('malformed jwt');
    }
    const { alg, kid } = header;
    if (typeof alg !== 'string' || !this.#options.algorithms.includes(alg)) {
      throw new Error(
        `id token signed with unsupported algorithm, expected [${this.#options.algorithms.join(' ')}]`,
      );
    }
    return { alg, kid: typeof kid === 'string' ? kid : '' };
  }

  async #tryKeys(token: string, alg: string, kid: string): Promise<Uint8Array | undefined> {
    for (const key of this.#keys ?? []) {
      if (kid !== '' && key.kid !== kid) continue;
      if (key.alg !== undefined && key.alg !== alg) continue;
      try {
        let imported = key.imported.get(alg);
        if (imported === undefined) {
          imported = await importJWK(key.jwk, alg);
          key.imported.set(alg, imported);
        }
        const { payload } = await compactVerify(token, imported, { algorithms: [alg] });
        return payload;
      } catch {
        // Another key may fit.
      }
    }
    return undefined;
  }

  #refresh(): Promise<void> {
    const { clock, logger, issuerUrl } = this.#options;
    if (this.#asking !== undefined) return this.#asking;
    const nowMs = clock.monotonic();
    if (nowMs - this.#askedAt < spacingMs) return Promise.resolve();
    this.#askedAt = nowMs;
    this.#asking = this.#ask()
      .then((keys) => {
        this.#keys = keys;
        this.#fetchedAt = nowMs;
        this.#fetched('success');
        const { series } = this.#options;
        series?.keySets.set(hashLabel(issuerUrl), hashLabel(JSON.stringify(keys.map(({ jwk }) => jwk))));
      })
      .catch((error: unknown) => {
        this.#fetched('failure');
        logger.error('Cannot get the keys of an OpenID provider', {
          issuer: issuerUrl,
          error: errorMessage(error),
        });
      })
      .finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  #fetched(result: string): void {
    const { series, clock, issuerUrl } = this.#options;
    series?.keyFetchTimes.cell(result, hashLabel(issuerUrl), series.server).set(clock.now() / 1000);
  }

  async #ask(): Promise<readonly VerifierKey[]> {
    const { issuerUrl, discoveryUrl } = this.#options;
    if (this.#jwksUri === undefined) {
      const document = await this.#get(
        discoveryUrl ?? `${issuerUrl.replace(/\/$/, '')}/.well-known/openid-configuration`,
      );
      if (document['issuer'] !== issuerUrl) {
        throw new Error(
          `oidc: issuer URL provided to client (${JSON.stringify(issuerUrl)}) did not match the issuer URL returned by provider (${JSON.stringify(document['issuer'])})`,
        );
      }
      const uri = document['jwks_uri'];
      if (typeof uri !== 'string' || !uri.startsWith('https://'))
        throw new Error('the jwks_uri of the provider is no https URL');
      this.#jwksUri = uri;
    }
    const set = await this.#get(this.#jwksUri);
    const list = Array.isArray(set['keys']) ? (set['keys'] as unknown[]) : [];
    return list
      .filter(
        (each): each is JWK =>
          typeof each === 'object' &&
          each !== null &&
          // A symmetric key in a public document is no secret, so nothing it signed counts.
          ['RSA', 'EC'].includes(String((each as JWK).kty)) &&
          ((each as JWK).use ?? 'sig') === 'sig',
      )
      .slice(0, keysMax)
      .map((jwk) => ({ kid: jwk.kid ?? '', alg: jwk.alg, jwk, imported: new Map() }));
  }

  async #get(url: string): Promise<Readonly<Record<string, unknown>>> {
    const { status, text } = await this.#client.send(url, { timeoutMs: requestTimeoutMs });
    if (status !== 200) throw new Error(`Get "${url}": status ${status}`);
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null) throw new Error(`Get "${url}": no JSON object`);
    return parsed as Record<string, unknown>;
  }
}
