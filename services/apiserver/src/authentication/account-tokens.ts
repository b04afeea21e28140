import type { AuthenticationDependencies, ServiceAccountConfig } from './config.ts';
import type { AuthenticationResult, TokenAuthenticator } from './interface.ts';
import { legacyIssuer, legacyTokenAuthenticator } from './legacy-token.ts';
import type { VerificationKey } from './service-account-keys.ts';
import { readSigningKey, readVerificationKeys } from './service-account-keys.ts';
import { serviceAccountTokenAuthenticator } from './service-account-token.ts';
import { peekIssuer, peekKeyId } from './service-account-claims.ts';
import type { ExternalSigner } from './external-signer.ts';
import type { TokenIssuerOptions } from './token-issuer.ts';
import { signToken } from './token-issuer.ts';

type Options = ServiceAccountConfig & { readonly apiAudiences: readonly string[] };

/** Tokens of service accounts, legacy ones too: which keys verify them and which signs. The keys may be replaced. */
export class AccountTokens implements TokenAuthenticator {
  readonly #options: Options;
  readonly #dependencies: AuthenticationDependencies;
  #methods: readonly TokenAuthenticator[] = [];
  #keys: readonly VerificationKey[] = [];
  #issuer: TokenIssuerOptions | undefined;

  /** Throws an Error on a key that cannot be used. */
  constructor(options: Options, dependencies: AuthenticationDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.renew(options.keyPems, options.signingKeyPem);
    const { signer } = dependencies;
    if (signer === undefined) return;
    this.#replace(signer.keys);
    signer.onChange = () => {
      this.#replace(signer.keys);
      this.onChange();
    };
  }

  /** Told when an external signer changed its keys. */
  onChange: () => void = () => undefined;

  /** Keys that verify, in the order of their files. */
  get keys(): readonly VerificationKey[] {
    return this.#keys;
  }

  /** Undefined: no token is issued. */
  get issuer(): TokenIssuerOptions | undefined {
    return this.#issuer;
  }

  /** Replaces the keys; undefined keeps what there is. Throws an Error, and changes nothing, on one that cannot be used. */
  renew(keyPems: readonly string[] | undefined, signingKeyPem: string | undefined): void {
    const { issuers, apiAudiences, extendExpiration = true } = this.#options;
    const maxExpirationSeconds = Math.min(
      this.#options.maxExpirationSeconds ?? 2 ** 32,
      this.#dependencies.signer?.maxTokenSeconds ?? 2 ** 32,
    );
    const { objects, clock, random } = this.#dependencies;
    const keys = keyPems?.flatMap(readVerificationKeys);
    const external = this.#dependencies.signer;
    const signingKey = signingKeyPem === undefined ? undefined : readSigningKey(signingKeyPem);
    if (signingKey !== undefined || external !== undefined) {
      this.#issuer = {
        issuer: issuers[0] as string,
        sign: (claims) =>
          signingKey === undefined
            ? (external as ExternalSigner).sign(claims)
            : signToken(claims, signingKey),
        apiAudiences,
        extendExpiration,
        maxExpirationSeconds,
        objects,
        clock,
        random,
      };
    }
    if (external === undefined && keys !== undefined) this.#replace(keys);
  }

  #replace(keys: readonly VerificationKey[]): void {
    const { issuers, apiAudiences } = this.#options;
    const { objects, clock, logger, series } = this.#dependencies;
    this.#keys = keys;
    const lookup = this.#options.lookup ?? true;
    // New ones, so that nothing is remembered of tokens whose key is gone.
    this.#methods =
      keys.length === 0
        ? []
        : [
            legacyTokenAuthenticator({ keys, apiAudiences, lookup, objects, clock, logger, series }),
            serviceAccountTokenAuthenticator({ issuers, keys, apiAudiences, lookup, objects, clock, series }),
          ];
  }

  async authenticateToken(
    token: string,
    audiences: readonly string[],
  ): Promise<AuthenticationResult | undefined> {
    const { signer } = this.#dependencies;
    // A key that is not known yet is asked for; the methods are new then.
    if (signer !== undefined && this.#isOurs(token)) await signer.keysOf(peekKeyId(token));
    for (const method of this.#methods) {
      const result = await method.authenticateToken(token, audiences);
      if (result !== undefined) return result;
    }
    return undefined;
  }

  #isOurs(token: string): boolean {
    const issuer = peekIssuer(token);
    return issuer !== undefined && (issuer === legacyIssuer || this.#options.issuers.includes(issuer));
  }
}
