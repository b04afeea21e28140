import type { AuthenticationDependencies, ServiceAccountConfig } from './config.ts';
import type { AuthenticationResult, TokenAuthenticator } from './interface.ts';
import { legacyTokenAuthenticator } from './legacy-token.ts';
import type { VerificationKey } from './service-account-keys.ts';
import { readSigningKey, readVerificationKeys } from './service-account-keys.ts';
import { serviceAccountTokenAuthenticator } from './service-account-token.ts';
import type { TokenIssuerOptions } from './token-issuer.ts';

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
  }

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
    const { issuers, apiAudiences, extendExpiration = true, maxExpirationSeconds = 2 ** 32 } = this.#options;
    const { objects, clock, random, logger } = this.#dependencies;
    const keys = keyPems?.flatMap(readVerificationKeys);
    if (signingKeyPem !== undefined) {
      const signingKey = readSigningKey(signingKeyPem);
      this.#issuer = {
        issuer: issuers[0] as string,
        signingKey,
        apiAudiences,
        extendExpiration,
        maxExpirationSeconds,
        objects,
        clock,
        random,
      };
    }
    if (keys === undefined) return;
    this.#keys = keys;
    const lookup = this.#options.lookup ?? true;
    // New ones, so that nothing is remembered of tokens whose key is gone.
    this.#methods =
      keys.length === 0
        ? []
        : [
            legacyTokenAuthenticator({ keys, apiAudiences, lookup, objects, clock, logger }),
            serviceAccountTokenAuthenticator({ issuers, keys, apiAudiences, lookup, objects, clock }),
          ];
  }

  async authenticateToken(
    token: string,
    audiences: readonly string[],
  ): Promise<AuthenticationResult | undefined> {
    for (const method of this.#methods) {
      const result = await method.authenticateToken(token, audiences);
      if (result !== undefined) return result;
    }
    return undefined;
  }
}
