import type { SecuritySeries } from '../metrics/security-series.ts';
import type { DecisionCache } from '../shared/decision-cache.ts';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock, Logger, Random } from '@pilothouse/base';
import type { Revocations } from '@pilothouse/host';
import type { ObjectAccess } from '../security/object-access.ts';
import type { ExternalSigner } from './external-signer.ts';
import type { Authenticator, UserInfo } from './interface.ts';
import type { OidcFlags } from './jwt/configuration.ts';

/** Front proxy: a client certificate of its own CA vouches for the headers. */
export interface RequestHeaderConfig {
  readonly caPem: string;
  /** Common names that may act as the proxy; empty: every certificate of the CA. */
  readonly allowedNames: readonly string[];
  /** Header names, tried in order; default X-Remote-User, X-Remote-Group, X-Remote-Uid; prefix X-Remote-Extra-. */
  readonly usernameHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly extraHeaderPrefixes: readonly string[];
}

export interface ServiceAccountConfig {
  /** The first one signs new tokens; all are accepted. At least one. */
  readonly issuers: readonly string[];
  /** PEM of public or private keys (RSA or ECDSA) that verify tokens. */
  readonly keyPems: readonly string[];
  /** PEM of the private key that signs; without it no token is issued. */
  readonly signingKeyPem?: string;
  /** Socket of an external signer, instead of keys. */
  readonly signingEndpoint?: string;
  /** Whether the ServiceAccount, Secret, Pod and Node of a token must still exist. Default true. */
  readonly lookup?: boolean;
  /** --api-audiences; default: the issuers. */
  readonly apiAudiences?: readonly string[];
  /** Tokens of kube-api-access volumes live a year and warn after an hour. Default true. */
  readonly extendExpiration?: boolean;
  /** Upper limit of an asked lifetime in seconds. Default none (2^32). */
  readonly maxExpirationSeconds?: number;
  /** --service-account-jwks-uri; default `<issuer>/openid/v1/jwks` of the external address. */
  readonly jwksUri?: string;
}

/** A file of configuration as it was when the server started. */
export interface ConfigFile {
  readonly file: string;
  readonly text: string;
}

export interface AuthenticationConfig {
  /** PEM bundle of --client-ca-file. */
  readonly clientCaPem?: string;
  readonly requestHeader?: RequestHeaderConfig;
  /** Text of --token-auth-file: `token,user,uid,"group1,group2"` a line. */
  readonly tokenFile?: string;
  readonly serviceAccounts?: ServiceAccountConfig;
  /** --enable-bootstrap-token-auth. */
  readonly bootstrapTokens?: boolean;
  /** --authentication-config: OpenID providers and who may be anonymous. Read again when it changes. */
  readonly structured?: ConfigFile;
  /** --oidc-*: one provider; not together with `structured`. */
  readonly oidc?: OidcFlags;
  /** --authentication-token-webhook-*. `kubeconfig` is the file's name. */
  readonly tokenWebhook?: {
    readonly kubeconfig: string;
    readonly version: 'v1' | 'v1beta1';
    readonly cacheTtlMs: number;
  };
  /** --anonymous-auth, default on; the file of `structured` goes before it. With `paths` only those paths (exact) are open to anonymous requests. */
  readonly anonymous?: { readonly enabled: boolean; readonly paths?: readonly string[] };
  /** `host:port` that clients use, for the default jwks_uri. */
  readonly externalAddress?: string;
}

/** Ports of {@link createAuthentication}. */
export interface AuthenticationDependencies {
  readonly clock: Clock;
  readonly random: Random;
  readonly objects: ObjectAccess;
  readonly logger: Logger;
  /** Of --service-account-signing-endpoint, ready: signs and verifies instead of keys of our own. */
  readonly signer?: ExternalSigner | undefined;
  /** Decisions that all servers share; absent: each keeps its own. */
  readonly decisions?: DecisionCache | undefined;
  readonly series?: SecuritySeries | undefined;
}

/** New contents of files, as {@link AuthenticationConfig} had them at the start; what is absent stays. */
export interface RenewedCredentials {
  readonly clientCa?: { readonly pem: string; readonly revocations?: Revocations | undefined };
  readonly requestHeaderCa?: string;
  /** PEM texts that verify tokens. */
  readonly serviceAccountKeys?: readonly string[];
  readonly serviceAccountSigningKey?: string;
}

/** Everything the server needs that has to do with who a client is. */
export interface Authentication {
  readonly authenticator: Authenticator;
  readonly apiAudiences: readonly string[];
  /** Puts new credentials in force, on open connections too. Throws an Error, and changes nothing, when one cannot be used. */
  renew(credentials: RenewedCredentials): void;
  /** Asks OpenID providers for their keys and follows the file of configuration; the returned function ends it. */
  start(): () => void;
  /**
   * serviceaccounts/token: checks `request` (a TokenRequest) for `serviceAccount` and returns the TokenRequest with its status.
   * Throws StatusError (422 bad spec, 404 bound object, 409 uid mismatch).
   */
  issueToken(serviceAccount: KubeObject, request: KubeObject): Promise<KubeObject>;
  /** TokenReview: returns it with its status; throws StatusError 400 without a token. */
  reviewToken(review: KubeObject): Promise<KubeObject>;
  /** SelfSubjectReview of authentication.k8s.io/v1. */
  reviewSelf(review: KubeObject, user: UserInfo): KubeObject;
  /** GET /.well-known/openid-configuration (application/json); undefined when no issuer is an https URL. */
  openIdConfiguration(): string | undefined;
  /** GET /openid/v1/jwks (application/jwk-set+json). */
  jsonWebKeySet(): string;
  /** How long the two documents count, seconds. */
  openIdMaxAgeSeconds(): number;
}
