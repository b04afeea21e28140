import type { Clock, Logger, Random, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { builtinCodec } from '../codecs.ts';
import type { ApiRegistry } from '../registry.ts';
import { ensureApiServices } from './api-services.ts';
import { ensureClusterAuthentication } from './cluster-authentication.ts';
import { followFlowSchemas } from './flow-schema-status.ts';
import { collectIdentityLeases, renewIdentityLease, serverIdentity } from './identity-lease.ts';
import { ensureKubernetesService, reconcileEndpoints } from './kubernetes-service.ts';
import { ensureLegacyTokenTracking } from './legacy-token-tracking.ts';
import { managedClient } from './managed-client.ts';
import { ServerLeases } from './server-leases.ts';
import { ensureServiceCidr } from './service-cidr.ts';
import { ensureFlowControl, ensureNamespaces, ensurePriorityClasses } from './system-objects.ts';

const periodMs = 10_000;
const namespacePeriodMs = 60_000;
const collectPeriodMs = 3_600_000;
const retryMs = 500;
const clusterAuthenticationHook = 'start-cluster-authentication-info-controller';
/** So many failures in a row are usual while servers start together. */
const failuresShown = 5;

export interface BootstrapOptions {
  readonly registry: ApiRegistry;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly hostname: string;
  /** IP at which clients and workloads reach this server; undefined: it is not put among the endpoints. */
  readonly advertiseAddress?: string;
  readonly port: number;
  /** Port of nodes for the kubernetes service; undefined: none. */
  readonly serviceNodePort?: number;
  /** Data of kube-system/extension-apiserver-authentication. */
  readonly clusterAuthentication?: Readonly<Record<string, string>>;
}

/** The same, when it changes while the server runs. */
type ClusterAuthentication = Readonly<Record<string, string>>;

/** What a server does besides answering: objects that must exist, its own traces in the cluster. */
export interface Bootstrap {
  /** Resolves when everything was there once, or has failed often; {@link hookDone} tells which. */
  readonly done: Promise<void>;
  /** Whether the work of this name (upstream's post-start hook) is done; names of others are. */
  hookDone(name: string): boolean;
  /** Publishes new data of kube-system/extension-apiserver-authentication, now and again until it works. */
  publishAuthentication(data: ClusterAuthentication): void;
  /** Stops, and takes this server out of the endpoints. */
  close(): Promise<void>;
}

/**
 * Starts the work after the caches are filled. All replicas do all of it, without a leader: every step looks first and loses races
 * gracefully.
 */
export function startBootstrap(options: BootstrapOptions): Bootstrap {
  const { registry, clock, logger } = options;
  const { client } = registry;
  const identity = serverIdentity(
    options.hostname,
    options.random,
    options.advertiseAddress === undefined ? undefined : `${options.advertiseAddress}:${options.port}`,
  );
  const endpointsCodec = builtinCodec('', 'v1', 'Endpoints', { version: 'v1' });
  const leases = new ServerLeases(
    registry.factory.openUncached({
      etcdPrefix: 'masterleases',
      codec: endpointsCodec,
      typeMeta: { apiVersion: 'v1', kind: 'Endpoints' },
    }),
  );
  const waiting = new Set<string>();
  const timers: Timer[] = [];
  const producer = managedClient(client, clock, 'api-priority-and-fairness-config-producer-v1');
  let endFollowers: (() => void) | undefined;
  let closed = false;
  let clusterAuthentication: ClusterAuthentication = options.clusterAuthentication ?? {};
  const iso = (): string => new Date(clock.now()).toISOString();
  const now = (): string => `${iso().slice(0, 19)}Z`;

  const endpoints = async (): Promise<void> => {
    if (options.advertiseAddress === undefined) return;
    await leases.renew(options.advertiseAddress);
    await reconcileEndpoints(client, await leases.list(), options.port);
  };
  const kubernetesService = async (): Promise<void> => {
    await ensureKubernetesService(client, {
      serviceCidrs: registry.serviceCidrs,
      port: options.port,
      nodePort: options.serviceNodePort,
    });
    await endpoints();
  };
  const legacyTokens = (): Promise<void> => ensureLegacyTokenTracking(client, iso().slice(0, 10));
  const isServed = (group: string, version: string): boolean =>
    [...registry.storages].some(({ resource }) => resource.group === group && resource.version === version);

  /** Tries until it works; the promise resolves then, or when it has failed often and goes on in the background. */
  const once = (hook: string, work: () => Promise<void>): Promise<void> => {
    waiting.add(hook);
    return new Promise((resolve) => {
      const attempt = async (failures: number): Promise<void> => {
        if (closed) {
          resolve();
          return;
        }
        try {
          await work();
          waiting.delete(hook);
          resolve();
        } catch (error) {
          const level = failures < failuresShown ? 'debug' : 'warn';
          logger[level]('Cannot do start-up work yet', { hook, error: errorMessage(error) });
          if (failures >= failuresShown) resolve();
          clock.setTimeout(() => void attempt(failures + 1), retryMs);
        }
      };
      void attempt(0);
    });
  };
  const every = (ms: number, work: () => Promise<void>): void => {
    timers.push(
      clock.setInterval(() => {
        work().catch((error: unknown) => {
          logger.warn('Cannot do periodic work', { error: errorMessage(error) });
        });
      }, ms),
    );
  };

  const run = async (): Promise<void> => {
    await once('start-system-namespaces-controller', () => ensureNamespaces(client));
    await Promise.all([
      once('scheduling/bootstrap-system-priority-classes', () => ensurePriorityClasses(client)),
      once('priority-and-fairness-config-producer', () => ensureFlowControl(producer)),
      once('start-kubernetes-service-cidr-controller', () =>
        ensureServiceCidr(client, registry.serviceCidrs, clock),
      ),
      once('bootstrap-controller', kubernetesService),
      once('kube-apiserver-autoregistration', () => ensureApiServices(client, isServed, now())),
      once(clusterAuthenticationHook, () => ensureClusterAuthentication(client, clusterAuthentication)),
      once('start-legacy-token-tracking-controller', legacyTokens),
      once('start-kube-apiserver-identity-lease-controller', () =>
        renewIdentityLease(client, identity, `${iso().slice(0, 23)}000Z`),
      ),
    ]);
    if (closed) return;
    endFollowers = followFlowSchemas(client, clock, logger);
    every(periodMs, () => renewIdentityLease(client, identity, `${iso().slice(0, 23)}000Z`));
    every(periodMs, kubernetesService);
    every(namespacePeriodMs, async () => {
      await ensureNamespaces(client);
      await ensureFlowControl(producer);
      await ensureClusterAuthentication(client, clusterAuthentication);
    });
    every(collectPeriodMs, legacyTokens);
    every(collectPeriodMs, () => collectIdentityLeases(client, clock.now()));
  };
  const done = run();

  return {
    done,
    hookDone: (name) => !waiting.has(name),
    publishAuthentication(data) {
      clusterAuthentication = { ...clusterAuthentication, ...data };
      if (!waiting.has(clusterAuthenticationHook))
        void once(clusterAuthenticationHook, () =>
          ensureClusterAuthentication(client, clusterAuthentication),
        );
    },
    async close() {
      closed = true;
      for (const timer of timers) timer.cancel();
      await done.catch(() => undefined);
      endFollowers?.();
      if (options.advertiseAddress === undefined) return;
      try {
        await leases.remove(options.advertiseAddress);
        await reconcileEndpoints(client, await leases.list(), options.port);
      } catch (error) {
        logger.warn('Cannot take this server out of the endpoints', { error: errorMessage(error) });
      }
    },
  };
}
