import { isDeepStrictEqual } from 'node:util';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { FlagError } from '@pilothouse/host';
import { watchFile } from '../../security/file-watcher.ts';
import type { SecuritySeries } from '../../metrics/security-series.ts';
import { withApiAudiences } from '../audiences.ts';
import type { ConfigFile } from '../config.ts';
import type { AuthenticationResult, TokenAuthenticator } from '../interface.ts';
import type { AnonymousSection, OidcFlags, StructuredAuthentication } from './configuration.ts';
import { authenticatorOfFlags, parseAuthenticationConfiguration } from './configuration.ts';
import type { JwtAuthenticator } from './jwt-authenticator.ts';
import { jwtAuthenticator } from './jwt-authenticator.ts';

export interface StructuredTokensConfig {
  readonly file?: ConfigFile;
  readonly flags?: OidcFlags;
  readonly serviceAccountIssuers: readonly string[];
  readonly apiAudiences: readonly string[];
}

export interface StructuredTokensPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly series?: SecuritySeries | undefined;
  /** Called when other providers are in force. */
  onChange(): void;
}

/** Tokens of all configured OpenID providers. */
export class StructuredTokens implements TokenAuthenticator {
  /** What the file says of anonymous requests at start; it cannot change later. */
  readonly anonymous: AnonymousSection | undefined;
  readonly #config: StructuredTokensConfig;
  readonly #ports: StructuredTokensPorts;
  #providers: readonly JwtAuthenticator[] = [];

  /** Throws FlagError on a configuration that is not valid. */
  constructor(config: StructuredTokensConfig, ports: StructuredTokensPorts) {
    this.#config = config;
    this.#ports = ports;
    if (config.file !== undefined) {
      const { file, text } = config.file;
      try {
        const parsed = parseAuthenticationConfiguration(text, config.serviceAccountIssuers);
        this.anonymous = parsed.anonymous;
        this.#providers = this.#providersOf(parsed.jwt);
      } catch (error) {
        throw new FlagError(`Cannot use authentication configuration "${file}": ${errorMessage(error)}`);
      }
    } else if (config.flags !== undefined) {
      this.#providers = this.#providersOf([authenticatorOfFlags(config.flags, config.serviceAccountIssuers)]);
    }
  }

  /** Asks the providers for their keys and follows the file. */
  start(): () => void {
    for (const provider of this.#providers) provider.prefetch();
    const { file } = this.#config;
    const reloads = this.#ports.series?.authenticationReloads;
    if (file !== undefined) reloads?.started(file.text);
    const end =
      file === undefined
        ? undefined
        : watchFile(
            { ...file, what: 'authentication configuration', apply: (text) => this.#reload(text), reloads },
            this.#ports,
          );
    return () => {
      end?.();
      for (const provider of this.#providers) provider.close();
    };
  }

  async authenticateToken(
    token: string,
    audiences: readonly string[],
  ): Promise<AuthenticationResult | undefined> {
    // Issuers are unique, so at most one provider knows the token.
    for (const provider of this.#providers) {
      const result = await provider.authenticateToken(token, audiences);
      if (result !== undefined) return withApiAudiences(result, audiences, this.#config.apiAudiences);
    }
    return undefined;
  }

  #reload(text: string): void {
    const next = parseAuthenticationConfiguration(text, this.#config.serviceAccountIssuers);
    if (!isDeepStrictEqual(next.anonymous, this.anonymous))
      throw new Error('changes to the anonymous configuration need a restart of the server');
    const old = this.#providers;
    this.#providers = this.#providersOf(next.jwt);
    this.#ports.onChange();
    for (const provider of this.#providers) provider.prefetch();
    for (const provider of old) provider.close();
  }

  #providersOf(jwt: StructuredAuthentication['jwt']): readonly JwtAuthenticator[] {
    return jwt.map(({ config, programs }) => jwtAuthenticator(config, programs, this.#ports));
  }
}
