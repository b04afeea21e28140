import { createHash, X509Certificate } from 'node:crypto';
import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { RestClient } from './rest-client.ts';

/** Somebody who asks a component for something. */
export interface AccessRequest {
  readonly method: string;
  readonly path: string;
  /** The header Authorization; empty: none. */
  readonly authorization: string;
  /** The client certificate (DER), not verified yet. */
  readonly certificate: Uint8Array | undefined;
}

/** A Status object for who is not let in. */
export interface AccessRefusal {
  readonly code: number;
  readonly body: string;
}

export interface DelegatedAccessOptions {
  /** Makes TokenReviews; undefined: tokens are not known. */
  readonly authentication: RestClient | undefined;
  /** Makes SubjectAccessReviews; undefined: nothing but {@link alwaysAllowPaths}. */
  readonly authorization: RestClient | undefined;
  /** PEM with the authorities of client certificates; empty: there are none. */
  readonly clientAuthorities: () => Promise<string>;
  readonly clock: Clock;
  readonly alwaysAllowPaths: readonly string[];
  readonly tokenTtlMs: number;
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
}

interface User {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

interface Remembered<T> {
  readonly until: number;
  readonly value: Promise<T>;
}

const anonymous: User = { username: 'system:anonymous', groups: ['system:unauthenticated'] };
const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
/** Extended key usage of TLS clients. */
const clientAuthentication = '1.3.6.1.5.5.7.3.2';
const privileged = 'system:masters';
/** Answers that are kept; callers may make up tokens without end. */
const rememberedMax = 1024;
const tokenReviews = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews' };
const accessReviews = { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews' };

/**
 * Authentication and authorization of a component's own port, both asked of the API server (upstream's delegated ones). What cannot be asked is
 * refused: 500, never a way in.
 */
export class DelegatedAccess {
  readonly #options: DelegatedAccessOptions;
  readonly #users = new Map<string, Remembered<User | undefined>>();
  readonly #decisions = new Map<string, Remembered<{ allowed: boolean; reason: string }>>();

  constructor(options: DelegatedAccessOptions) {
    this.#options = options;
  }

  /** Undefined: may pass. */
  async check(request: AccessRequest): Promise<AccessRefusal | undefined> {
    try {
      const user = await this.#userOf(request);
      if (user === undefined) return refusal(statusErrors.unauthorized('Unauthorized'));
      return await this.#decide(user, request);
    } catch (error) {
      return refusal(statusErrors.internal(`Cannot ask who may read this: ${(error as Error).message}`));
    }
  }

  /** Undefined: credentials that are none. */
  async #userOf({ authorization, certificate }: AccessRequest): Promise<User | undefined> {
    if (certificate !== undefined) {
      const user = this.#certified(new X509Certificate(certificate), await this.#options.clientAuthorities());
      if (user !== undefined) return user;
    }
    const token = /^bearer +(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined) return authorization === '' ? anonymous : undefined;
    const { authentication, tokenTtlMs } = this.#options;
    if (authentication === undefined) return undefined;
    const key = createHash('sha256').update(token).digest('base64');
    return this.#remember(
      this.#users,
      key,
      () => tokenTtlMs,
      async () => {
        const review = await authentication.create(tokenReviews, {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          metadata: {},
          spec: { token },
        });
        const { authenticated, user } = (review['status'] ?? {}) as { authenticated?: boolean; user?: User };
        return authenticated === true && user !== undefined
          ? { ...user, groups: user.groups ?? [] }
          : undefined;
      },
    );
  }

  /** Of a certificate that one of the authorities issued itself: CN is the name, O are the groups. */
  #certified(certificate: X509Certificate, authorities: string): User | undefined {
    const now = this.#options.clock.now();
    const isValid = Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
    const usages = certificate.keyUsage as readonly string[] | undefined;
    if (!isValid || usages?.includes(clientAuthentication) === false) return undefined;
    const isIssued = (authorities.match(pemCertificate) ?? []).some((pem) => {
      const issuer = new X509Certificate(pem);
      return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
    });
    if (!isIssued) return undefined;
    const parts = certificate.subject.split('\n');
    const values = (name: string): string[] =>
      parts.filter((part) => part.startsWith(`${name}=`)).map((part) => part.slice(name.length + 1));
    const [username] = values('CN');
    if (username === undefined || username === '') return undefined;
    return { username, groups: [...values('O'), 'system:authenticated'] };
  }

  async #decide(user: User, { method, path }: AccessRequest): Promise<AccessRefusal | undefined> {
    const { alwaysAllowPaths, authorization, authorizedTtlMs, unauthorizedTtlMs } = this.#options;
    if (alwaysAllowPaths.some((each) => covers(each, path)) || user.groups.includes(privileged))
      return undefined;
    const verb = method.toLowerCase();
    const refused = (reason: string): AccessRefusal =>
      refusal(
        statusErrors.forbidden(
          { group: '', resource: '' },
          '',
          `User "${user.username}" cannot ${verb} path "${path}"${reason === '' ? '' : `: ${reason}`}`,
        ),
      );
    if (authorization === undefined) return refused('');
    const { username, uid, groups, extra } = user;
    const spec = {
      user: username,
      ...(uid === undefined ? {} : { uid }),
      groups,
      ...(extra === undefined ? {} : { extra }),
      nonResourceAttributes: { path, verb },
    };
    const { allowed, reason } = await this.#remember(
      this.#decisions,
      JSON.stringify(spec),
      (decision) => (decision.allowed ? authorizedTtlMs : unauthorizedTtlMs),
      async () => {
        const review: KubeObject = await authorization.create(accessReviews, {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          metadata: {},
          spec,
        });
        const status = (review['status'] ?? {}) as { allowed?: boolean; reason?: string };
        return { allowed: status.allowed === true, reason: status.reason ?? '' };
      },
    );
    return allowed ? undefined : refused(reason);
  }

  /** Those who ask the same at the same time wait for one answer; failures are not kept. */
  async #remember<T>(
    known: Map<string, Remembered<T>>,
    key: string,
    ttlMs: (value: T) => number,
    ask: () => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#options;
    const found = known.get(key);
    if (found !== undefined && found.until > clock.monotonic()) return found.value;
    if (known.size >= rememberedMax) known.clear();
    const value = ask();
    known.set(key, { until: Number.POSITIVE_INFINITY, value });
    try {
      const answer = await value;
      known.set(key, { until: clock.monotonic() + ttlMs(answer), value });
      return answer;
    } catch (error) {
      known.delete(key);
      throw error;
    }
  }
}

/** `/healthz` itself, or with a `*` at the end what begins so. */
function covers(pattern: string, path: string): boolean {
  const wanted = pattern.startsWith('/') ? pattern : `/${pattern}`;
  return wanted.endsWith('*') ? path.startsWith(wanted.slice(0, -1)) : path === wanted;
}

function refusal(error: { readonly httpCode: number; readonly status: object }): AccessRefusal {
  return { code: error.httpCode, body: `${JSON.stringify(error.status)}\n` };
}

/** How long the authority that the cluster publishes is taken as it was. */
const authoritiesTtlMs = 60_000;

/** The authority of client certificates as kube-system/extension-apiserver-authentication has it, read anew each minute. */
export function publishedAuthorities(client: RestClient, clock: Clock): () => Promise<string> {
  let known = { text: '', until: Number.NEGATIVE_INFINITY };
  return async () => {
    if (known.until > clock.monotonic()) return known.text;
    const map = await client.get(
      { group: '', version: 'v1', resource: 'configmaps' },
      'extension-apiserver-authentication',
      {
        namespace: 'kube-system',
      },
    );
    const data = (map['data'] ?? {}) as Readonly<Record<string, string>>;
    known = { text: data['client-ca-file'] ?? '', until: clock.monotonic() + authoritiesTtlMs };
    return known.text;
  };
}
