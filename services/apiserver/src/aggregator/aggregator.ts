import type { Clock, Logger, Random, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { InternalClient } from '../registry/rest/rest-storage.ts';
import type { Exchange } from '../request/exchange.ts';
import { splitPath } from '../request/request-info.ts';
import { objectAccess } from '../security/internal-object-access.ts';
import type { ObjectListener } from '../security/object-access.ts';
import { resources } from '../security/object-access.ts';
import type { ApiServer } from '../server.ts';
import { localAvailability, remoteAvailability, writeAvailability } from './availability.ts';
import { proxyExchange } from './proxy.ts';
import type { RemoteApi } from './remote-api.ts';
import { isSameServer, remoteApiOf } from './remote-api.ts';
import type { ProxyClientCertificate } from './remote-connections.ts';
import { RemoteConnections } from './remote-connections.ts';
import { remoteDiscovery } from './remote-discovery.ts';
import { RemoteOpenApi } from './remote-openapi.ts';
import type { ServiceLookup } from './service-address.ts';

const group = 'apiregistration.k8s.io';
const serviceNameLabel = 'kubernetes.io/service-name';
const firstRetryMs = 250;
const checkMs = 30_000;
const documentsMs = 60_000;

/** What this server does about one APIService of another server. */
interface Follower {
  api: RemoteApi;
  timer: Timer | undefined;
  busy: boolean;
  /** Something changed while it was busy. */
  again: boolean;
  failures: number;
  /** Wall time at which the documents were asked for last and came. */
  documentsMs: number;
}

/**
 * Makes group-versions of extension API servers part of this one: keeps the condition Available, passes requests on, and merges discovery
 * and OpenAPI documents. Every replica does this for itself; the condition is what they share.
 */
export class Aggregator {
  readonly #client: InternalClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #lookup: ServiceLookup;
  readonly #connections: RemoteConnections;
  /** By name of the APIService. */
  readonly #followers = new Map<string, Follower>();
  /** By `group/version`. */
  readonly #routes = new Map<string, RemoteApi>();
  #server: Pick<ApiServer, 'discovery' | 'openApi'> | undefined;
  #openApi: RemoteOpenApi | undefined;
  #ends: (() => void)[] = [];
  #stopped = false;

  constructor(options: {
    readonly client: InternalClient;
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
    readonly certificate: ProxyClientCertificate | undefined;
    readonly endpointsOnly: boolean;
  }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#lookup = {
      service: (namespace, name) => options.client.watchCache('', 'services')?.get(namespace, name),
      endpointSlices: (namespace, service) =>
        [...(options.client.watchCache('discovery.k8s.io', 'endpointslices')?.list(namespace) ?? [])].filter(
          ({ metadata }) => metadata.labels?.[serviceNameLabel] === service,
        ),
    };
    this.#connections = new RemoteConnections({
      certificate: options.certificate,
      lookup: this.#lookup,
      random: options.random,
      endpointsOnly: options.endpointsOnly,
    });
  }

  /** Shows this certificate to other servers from now on. */
  renew(certificate: ProxyClientCertificate): void {
    this.#connections.renew(certificate);
  }

  /** Passes the exchange on when its group-version is another server's; undefined: it is this server's. */
  delegate(exchange: Exchange): Promise<void> | undefined {
    if (this.#routes.size === 0) return undefined;
    const api = this.#routes.get(groupVersionOf(exchange));
    return api && proxyExchange(exchange, api, this.#connections, this.#logger);
  }

  /** Resolves when the APIServices that exist are known; whether their servers answer is found out afterwards. */
  start(server: Pick<ApiServer, 'discovery' | 'openApi'>): Promise<void> {
    this.#server = server;
    this.#openApi = new RemoteOpenApi(server.openApi, this.#connections);
    const objects = objectAccess(this.#client, { clock: this.#clock, logger: this.#logger });
    return new Promise((resolve) => {
      let seen = new Set<string>();
      let listing = true;
      const follow: ObjectListener = {
        reset: () => {
          seen = new Set();
          listing = true;
        },
        changed: (type, object) => {
          const name = object.metadata.name ?? '';
          if (type === 'DELETED') {
            this.#forget(name);
            return;
          }
          if (listing) seen.add(name);
          const api = remoteApiOf(object);
          if (api !== undefined) {
            this.#follow(api);
            return;
          }
          this.#forget(name);
          this.#keepLocal(name);
        },
        synced: () => {
          listing = false;
          for (const name of this.#followers.keys()) if (!seen.has(name)) this.#forget(name);
          resolve();
        },
      };
      const touch = (namespace: string | undefined, service: string | undefined): void => {
        for (const follower of this.#followers.values()) {
          const { service: of } = follower.api;
          if (of.namespace === namespace && of.name === service) this.#soon(follower, 0);
        }
      };
      this.#ends = [
        objects.cached({ group, version: 'v1', resource: 'apiservices' }).subscribe(follow),
        objects.cached(resources.services).subscribe({
          reset: () => undefined,
          synced: () => undefined,
          changed: (_type, { metadata }) => touch(metadata.namespace, metadata.name),
        }),
        objects.cached({ group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' }).subscribe({
          reset: () => undefined,
          synced: () => undefined,
          changed: (_type, { metadata }) => touch(metadata.namespace, metadata.labels?.[serviceNameLabel]),
        }),
      ];
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const end of this.#ends) end();
    for (const { timer } of this.#followers.values()) timer?.cancel();
    this.#connections.close();
  }

  #follow(api: RemoteApi): void {
    this.#routes.set(`${api.group}/${api.version}`, api);
    const known = this.#followers.get(api.name);
    if (known === undefined) {
      const follower: Follower = {
        api,
        timer: undefined,
        busy: false,
        again: false,
        failures: 0,
        documentsMs: 0,
      };
      this.#followers.set(api.name, follower);
      this.#publish(api, undefined);
      this.#soon(follower, 0);
      return;
    }
    const before = known.api;
    known.api = api;
    if (
      isSameServer(before, api) &&
      before.available === api.available &&
      before.groupPriority === api.groupPriority &&
      before.versionPriority === api.versionPriority
    ) {
      return;
    }
    known.documentsMs = 0;
    this.#soon(known, 0);
  }

  #forget(name: string): void {
    const follower = this.#followers.get(name);
    if (follower === undefined) return;
    this.#followers.delete(name);
    follower.timer?.cancel();
    const { api } = follower;
    this.#routes.delete(`${api.group}/${api.version}`);
    this.#server?.discovery.removeRemote(api.group, api.version);
    this.#openApi?.forget(name);
  }

  #keepLocal(name: string): void {
    const object = this.#client.watchCache(group, 'apiservices')?.get('', name);
    if (object === undefined) return;
    writeAvailability(this.#client, object, localAvailability, this.#clock).catch((error: unknown) =>
      this.#warn('Cannot write the status of an APIService', name, error),
    );
  }

  #soon(follower: Follower, ms: number): void {
    if (this.#stopped) return;
    if (follower.busy) {
      follower.again = true;
      return;
    }
    follower.timer?.cancel();
    follower.timer = this.#clock.setTimeout(() => void this.#run(follower), ms);
  }

  async #run(follower: Follower): Promise<void> {
    follower.timer = undefined;
    follower.busy = true;
    follower.again = false;
    let wait = checkMs;
    try {
      const isDone = await this.#settle(follower);
      follower.failures = isDone ? 0 : follower.failures + 1;
    } catch (error) {
      follower.failures++;
      this.#warn('Cannot follow an APIService', follower.api.name, error);
    }
    if (follower.failures > 0) wait = Math.min(checkMs, firstRetryMs * 2 ** (follower.failures - 1));
    follower.busy = false;
    if (this.#stopped || this.#followers.get(follower.api.name) !== follower) return;
    this.#soon(follower, follower.again ? 0 : wait);
  }

  /** One round: condition, then documents. False: try again soon. */
  async #settle(follower: Follower): Promise<boolean> {
    const { name } = follower.api;
    const object = this.#client.watchCache(group, 'apiservices')?.get('', name);
    const api = object === undefined ? undefined : remoteApiOf(object);
    if (object === undefined || api === undefined) return true;
    const availability = await remoteAvailability(api, this.#lookup, this.#connections);
    if (this.#stopped || this.#followers.get(name) !== follower) return true;
    await writeAvailability(this.#client, object, availability, this.#clock);
    if (availability.status === 'False') {
      follower.documentsMs = 0;
      this.#publish(api, undefined);
      return false;
    }
    const now = this.#clock.now();
    if (now - follower.documentsMs < documentsMs) return true;
    this.#publish(api, await remoteDiscovery(api, this.#connections, this.#clock));
    await this.#openApi?.refresh(api);
    if (this.#followers.get(name) !== follower) {
      // It went away meanwhile, and must not come back by what was just published.
      if (!this.#routes.has(`${api.group}/${api.version}`)) {
        this.#server?.discovery.removeRemote(api.group, api.version);
      }
      this.#openApi?.forget(name);
      return true;
    }
    follower.documentsMs = now;
    return true;
  }

  #publish(api: RemoteApi, remote: Awaited<ReturnType<typeof remoteDiscovery>> | undefined): void {
    if (!this.#routes.has(`${api.group}/${api.version}`)) return;
    const { group: ofGroup, version, groupPriority, versionPriority } = api;
    this.#server?.discovery.addRemote({
      group: ofGroup,
      version,
      groupPriority,
      versionPriority,
      resources: [],
      remote: remote ?? [],
      freshness: remote === undefined ? 'Stale' : 'Current',
    });
  }

  #warn(message: string, name: string, error: unknown): void {
    if (!this.#stopped) this.#logger.warn(message, { name, error: errorMessage(error) });
  }
}

/** `group/version` of the path, also for the resource list; empty group for /api/v1. Anything else gives a key that nobody has. */
function groupVersionOf(exchange: Exchange): string {
  const { info, path } = exchange;
  if (info.isResourceRequest) return `${info.apiGroup}/${info.apiVersion}`;
  const parts = splitPath(path);
  if (parts[0] === 'apis' && parts.length >= 3) return `${parts[1]}/${parts[2]}`;
  if (parts[0] === 'api' && parts.length >= 2) return `/${parts[1]}`;
  return '';
}
