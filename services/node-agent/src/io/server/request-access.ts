import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { RestClient } from '@pilothouse/client';
import { requestAttributes } from '../../core/server/request-attributes.ts';
import { limits } from '../../limits.ts';

interface User {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Undefined: go on. */
export interface Refusal {
  readonly status: 401 | 403 | 500;
  readonly text: string;
}

const cacheMax = 1000;

class ExpiringCache<T> {
  readonly #clock: Clock;
  readonly #entries = new Map<string, { value: T; untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry && this.#clock.monotonic() < entry.untilMs ? entry.value : undefined;
  }

  set(key: string, value: T, forMs: number): void {
    if (this.#entries.size >= cacheMax) this.#entries.delete(this.#entries.keys().next().value as string);
    this.#entries.set(key, { value, untilMs: this.#clock.monotonic() + forMs });
  }
}

/**
 * Who may ask a node for what: a client certificate of the cluster's CA or a bearer token (TokenReview) says who it is, the API server's
 * authorizers (SubjectAccessReview) say whether it may. There is no anonymous access.
 */
export class RequestAccess {
  readonly #client: RestClient;
  readonly #nodeName: string;
  readonly #tokens: ExpiringCache<User | 'nobody'>;
  readonly #decisions: ExpiringCache<boolean>;

  constructor(client: RestClient, clock: Clock, nodeName: string) {
    this.#client = client;
    this.#nodeName = nodeName;
    this.#tokens = new ExpiringCache(clock);
    this.#decisions = new ExpiringCache(clock);
  }

  async check(request: IncomingMessage, path: string): Promise<Refusal | undefined> {
    let user: User | undefined;
    try {
      user = certificateUser(request) ?? (await this.#tokenUser(request));
    } catch {
      user = undefined;
    }
    if (!user) return { status: 401, text: 'Unauthorized' };
    const { verb, subresources } = requestAttributes(request.method ?? 'GET', path);
    try {
      for (const subresource of subresources)
        if (await this.#allowed(user, verb, subresource)) return undefined;
    } catch {
      return {
        status: 500,
        text: `Authorization error (user=${user.name}, verb=${verb}, resource=nodes, subresource=${subresources[0]})`,
      };
    }
    return {
      status: 403,
      text: `Forbidden (user=${user.name}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(' ')}])\n`,
    };
  }

  async #tokenUser(request: IncomingMessage): Promise<User | undefined> {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) return undefined;
    const key = createHash('sha256').update(token).digest('hex');
    const cached = this.#tokens.get(key);
    if (cached !== undefined) return cached === 'nobody' ? undefined : cached;
    const review = await this.#client.create(
      { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews' },
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', metadata: {}, spec: { token } },
    );
    const status = review['status'] as {
      authenticated?: boolean;
      user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
    };
    const name = status.user?.username;
    const user: User | 'nobody' =
      status.authenticated === true && name !== undefined
        ? {
            name,
            groups: status.user?.groups ?? [],
            ...(status.user?.uid === undefined ? {} : { uid: status.user.uid }),
            ...(status.user?.extra === undefined ? {} : { extra: status.user.extra }),
          }
        : 'nobody';
    this.#tokens.set(key, user, limits.tokenCacheMs);
    return user === 'nobody' ? undefined : user;
  }

  async #allowed(user: User, verb: string, subresource: string): Promise<boolean> {
    const spec = {
      user: user.name,
      groups: user.groups,
      ...(user.uid === undefined ? {} : { uid: user.uid }),
      ...(user.extra === undefined ? {} : { extra: user.extra }),
      resourceAttributes: {
        verb,
        group: '',
        version: 'v1',
        resource: 'nodes',
        subresource,
        name: this.#nodeName,
      },
    };
    const key = JSON.stringify(spec);
    const cached = this.#decisions.get(key);
    if (cached !== undefined) return cached;
    const review: KubeObject = await this.#client.create(
      { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews' },
      { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', metadata: {}, spec },
    );
    const allowed = (review['status'] as { allowed?: boolean } | undefined)?.allowed === true;
    this.#decisions.set(key, allowed, allowed ? limits.allowedCacheMs : limits.deniedCacheMs);
    return allowed;
  }
}

/** The subject of a certificate that the server's client CA signed: CN is the name, each O a group. */
function certificateUser(request: IncomingMessage): User | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.encrypted || !socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  if (typeof subject?.CN !== 'string') return undefined;
  const organizations = subject.O as string | string[] | undefined;
  return {
    name: subject.CN,
    groups: [...(organizations === undefined ? [] : [organizations].flat()), 'system:authenticated'],
  };
}
