import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import type { Clock, Logger, Random } from '@pilothouse/base';
import { errorCode } from '@pilothouse/base';
import {
  createLogger,
  createOtlpTracer,
  FileWatcher,
  FlagError,
  nodeClock,
  nodeRandom,
  validityProblem,
} from '@pilothouse/host';
import { builtinResources, featureGates } from '@pilothouse/api';
import type { CustomResourceServing } from './apiextensions/start.ts';
import { customResources } from './apiextensions/start.ts';
import { Aggregator } from './aggregator/aggregator.ts';
import { openSigner } from './authentication/open-signer.ts';
import type { ApiServerConfig } from './config.ts';
import { checkCredentials, followCredentials } from './credential-files.ts';
import type { ResourceTable } from './endpoints/resource-table.ts';
import { registerOpenIdPaths } from './endpoints/openid-paths.ts';
import { probeLocal } from './node/probe-local.ts';
import { nodeDialer } from './node/node-dialer.ts';
import type { Bootstrap } from './registry/bootstrap/bootstrap.ts';
import { startBootstrap } from './registry/bootstrap/bootstrap.ts';
import { policyBased, policyBasedResources } from './registry/rbac/policy-based.ts';
import type { ApiRegistry } from './registry/registry.ts';
import { createRegistry } from './registry/registry.ts';
import { createSecurity } from './security/security.ts';
import type { ApiServer } from './server.ts';
import { createApiServer } from './server.ts';
import { given } from './flag-values.ts';
import { registerFileMetric } from './metrics/file-metric.ts';
import { SecuritySeries } from './metrics/security-series.ts';
import { serverName } from './registry/bootstrap/identity-lease.ts';
import { featureGateOverrides } from './feature-gates.ts';
import { servedBy } from './served-resources.ts';
import { EncryptedKeyValueStore } from './storage/encryption/encrypted-store.ts';
import { registerEncryptionMetrics, TransformationCounts } from './storage/encryption/encryption-metrics.ts';
import { Encryption } from './storage/encryption/encryption.ts';
import { EncryptionError } from './storage/encryption/transformer.ts';
import { registerResourceMetrics } from './metrics/resource-metrics.ts';
import type { KeyValueStore } from './storage/key-value-store.ts';
import { ActiveExchange } from './request/active-exchange.ts';
import { openShared } from './shared/shared-config.ts';
import { StartupWork } from './startup-work.ts';
import { readTlsFiles, selfSignedTls } from './tls-files.ts';
import { openStore, waitForStore } from './storage/open-store.ts';

/** The world around a server; what is absent is the real one. */
export interface ApiServerPorts {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
  /** Instead of the store of the configuration: for one process or a test. The caller closes it. */
  readonly store?: KeyValueStore;
}

/** A server that answers. */
export interface RunningApiServer {
  readonly address: { readonly host: string; readonly port: number };
  readonly url: string;
  readonly server: ApiServer;
  readonly registry: ApiRegistry;
  /** Graceful; idempotent. */
  close(): Promise<void>;
}

/**
 * Gates that upstream does not have. LoopbackPods: pods and nodes may have loopback addresses, in Endpoints and as targets of the proxy
 * paths, since they are processes of this host.
 */
const ownFeatureGates: ReadonlySet<string> = new Set(['LoopbackPods']);

/** Puts store, registry, security and HTTP edge together and listens. Resolves when it answers; `/readyz` tells when the default objects are there too. */
export async function startApiServer(
  config: ApiServerConfig,
  ports: ApiServerPorts = {},
): Promise<RunningApiServer> {
  const clock = ports.clock ?? nodeClock;
  const random = ports.random ?? nodeRandom;
  const logger = ports.logger ?? createLogger({ level: config.logLevel, component: 'apiserver' });
  const gates = featureGateOverrides(config.featureGates, ownFeatureGates, config.release);
  const enabled = (gate: string): boolean => gates[gate] ?? featureGates[gate]?.default ?? false;
  const isServed = servedBy(config.runtimeConfig, enabled, config.release);
  // Before anything waits: a wrong flag or file is told at once.
  const fileTls = config.tls && config.tls !== 'plain' ? await readTlsFiles(config.tls) : undefined;
  const closers: (() => void | Promise<void>)[] = [];
  const readRevocations = await checkCredentials(config.credentialFiles);
  const watcher = new FileWatcher({ clock, logger });
  closers.push(() => watcher.close());
  const series = new SecuritySeries(serverName(hostname()), clock);
  const encryption = config.encryption
    ? await Encryption.open({ ...config.encryption, clock, random, logger, series: series.encryption }).catch(
        flagErrorOf,
      )
    : undefined;
  if (encryption) closers.push(() => encryption.close());
  const transformations = new TransformationCounts({ series: series.encryption, clock });
  const tracer = config.tracing
    ? await createOtlpTracer({
        ...config.tracing,
        serviceName: 'apiserver',
        instanceId: `${hostname()}:${config.securePort}`,
      })
    : undefined;
  const tracing = tracer ? { tracer, active: new ActiveExchange() } : undefined;
  if (tracer) closers.push(() => tracer.close());
  const {
    store: plainStore,
    compact,
    metrics: storeMetrics,
    problem: storeProblem,
  } = openStore(config, ports.store, { clock, random, logger, closers, watcher, active: tracing?.active });
  const store = encryption ? new EncryptedKeyValueStore(plainStore, encryption, transformations) : plainStore;
  warnOfValidity(config, fileTls?.certPem, clock, logger);
  await waitForStore(store, config.store.endpoints, storeProblem, clock, logger);

  const registry = createRegistry({
    store,
    clock,
    random,
    logger,
    isServed,
    featureGates: gates,
    serviceCidrs: config.serviceClusterIpRange.split(','),
    nodePorts: portRange(config.serviceNodePortRange),
    etcdRoot: config.store.prefix === '/' ? '/' : `${config.store.prefix}/`,
    allowPrivileged: config.allowPrivileged,
    eventTtlSeconds: Math.round(config.eventTtlMs / 1000),
  });
  closers.push(() => registry.close());
  const advertised = config.advertiseAddress ?? defaultAddress(config.bindAddress);
  let table: ResourceTable | undefined;
  const shared = openShared(config.redis, { clock, logger });
  if (shared) closers.push(() => shared.link.close());
  const signer = await openSigner(config.authentication.serviceAccounts, { clock, logger, series });
  if (signer) closers.push(() => signer.close());
  const security = createSecurity(
    {
      authentication: {
        ...config.authentication,
        externalAddress: `${config.externalHostname ?? advertised}:${config.securePort}`,
      },
      authorization: config.authorization,
      admission: config.admission,
    },
    {
      isEnabled: enabled,
      emulatedMinor: config.release?.minor,
      signer,
      series,
      client: registry.client,
      decisions: shared?.decisions,
      ...(tracing === undefined ? {} : { span: () => tracing.active.span }),
      find: (group, version, resource, subresource = '') =>
        table === undefined
          ? registry.storage(group, version, resource, subresource)
          : table.find(group, version, resource, subresource),
      clock,
      random,
      logger,
    },
  );
  const { authentication, authorization } = security;
  const dialer = nodeDialer(clock, config.kubeletClient);
  Object.assign(registry.delegates, {
    tokenIssuer: {
      issueToken: (account, request) => authentication.issueToken(account, request),
    },
    identities: authentication,
    authorizer: authorization.authorizer,
    rules: authorization.ruleResolver,
    dialer,
    connectPolicy: {
      addressTypes: config.kubeletPreferredAddressTypes,
      loopback: enabled('LoopbackPods'),
    },
    probeLocal,
  } satisfies typeof registry.delegates);

  const tls =
    config.tls === 'plain'
      ? undefined
      : (fileTls ??
        (await selfSignedTls(clock, [
          ...new Set([
            'localhost',
            '127.0.0.1',
            advertised,
            'kubernetes',
            'kubernetes.default',
            'kubernetes.default.svc',
          ]),
        ])));
  let started = false;
  const policyWork = new StartupWork({ clock, logger });
  let bootstrap: Bootstrap | undefined;
  let definitions: CustomResourceServing | undefined;
  const aggregator = new Aggregator({
    client: registry.client,
    clock,
    random,
    logger,
    certificate: config.proxyClient,
    endpointsOnly: config.aggregatorRouting,
  });
  const server = await createApiServer({
    registry,
    authenticator: authentication.authenticator,
    authorizer: authorization.authorizer,
    admission: security.admission,
    servedResources: builtinResources.filter((resource) => isServed(resource)),
    release: config.release,
    security: series,
    clock,
    random,
    logger,
    ...(tls ? { tls } : {}),
    tlsPolicy: config.tlsPolicy,
    ...(config.externalHostname
      ? { externalAddress: `${config.externalHostname}:${config.securePort}` }
      : {}),
    advertiseAddress: advertised,
    logsRequests: config.logLevel === 'debug',
    requestTimeoutMs: config.requestTimeoutMs,
    minRequestTimeoutMs: config.minRequestTimeoutSeconds * 1000,
    maxReadOnlyInFlight: config.maxRequestsInFlight,
    maxMutatingInFlight: config.maxMutatingRequestsInFlight,
    shutdownDelayMs: config.shutdownDelayMs,
    shutdownSendRetryAfter: config.shutdownSendRetryAfter,
    shutdownWatchGraceMs: config.shutdownWatchGraceMs,
    goawayChance: config.goawayChance,
    priorityAndFairness: config.priorityAndFairness,
    ...given('edge', config.edge),
    ...(config.audit === undefined ? {} : { audit: config.audit }),
    ...given('tracing', tracing),
    ...(shared === undefined ? {} : { shared }),
    health: {
      storage: async () => {
        await store.get('/registry/health');
      },
      ...(encryption?.hasHealthCheck === true ? { encryption: () => encryption.check() } : {}),
      cachesSynced: () => registry.synced,
      hookDone: (name) => started && !policyWork.pending.has(name) && bootstrap?.hookDone(name) === true,
    },
    registerPaths: (paths) => registerOpenIdPaths(paths, authentication),
    settle: (info) => definitions?.settle(info) ?? Promise.resolve(),
    delegate: (exchange) => aggregator.delegate(exchange),
  });
  table = server.resources;
  registerResourceMetrics(server.metrics.registry, {
    registry,
    ...storeMetrics,
    gates: () =>
      Object.entries(featureGates).map(([name, { stage }]) => ({ name, stage, enabled: enabled(name) })),
  });
  registerFileMetric(server.metrics.registry, watcher);
  if (encryption)
    registerEncryptionMetrics(server.metrics.registry, encryption, transformations, series.server);
  for (const resource of authorization.has('RBAC') ? policyBasedResources : []) {
    const storage = registry.storage('rbac.authorization.k8s.io', 'v1', resource);
    if (storage) {
      server.resources.add(
        policyBased(storage, (object, old, user) => authorization.checkEscalation(object, old, user)),
      );
    }
  }
  followCredentials(
    config.credentialFiles,
    {
      authentication,
      dialer,
      aggregator,
      server,
      authoritiesChanged: ({ clientCa, requestHeaderCa }) =>
        bootstrap?.publishAuthentication({
          ...given('client-ca-file', clientCa),
          ...given('requestheader-client-ca-file', requestHeaderCa),
        }),
    },
    {
      watcher,
      clock,
      logger,
      tls: config.tls === 'plain' ? undefined : config.tls,
      readRevocations,
    },
  );
  const address = await server
    .listen(config.bindAddress, config.securePort)
    .catch((error: unknown) => Promise.reject(listenError(config, error)));
  await registry.start();
  definitions = customResources({ registry, server, clock, random, logger });
  closers.push(() => definitions?.stop());
  await definitions.start();
  closers.push(() => aggregator.stop());
  await aggregator.start(server);
  closers.push(authentication.start(), await authorization.start());
  started = true;
  if (authorization.has('RBAC')) {
    policyWork.run('rbac/bootstrap-roles', () => authorization.reconcileBootstrapPolicy());
    closers.push(() => policyWork.stop());
  }
  bootstrap = startBootstrap({
    registry,
    clock,
    random,
    logger,
    hostname: hostname(),
    port: address.port,
    ...(advertised === '127.0.0.1' || config.endpointReconciler === 'none'
      ? {}
      : { advertiseAddress: advertised }),
    ...given('serviceNodePort', config.kubernetesServiceNodePort),
    clusterAuthentication: clusterAuthenticationOf(config.authentication),
  });
  closers.push(() => bootstrap?.close());
  await policyWork.firstAttempts();
  compact?.start();
  logger.info('Serving', { host: address.host, port: address.port, tls: tls !== undefined });

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    compact?.stop();
    await server.close();
    for (const closer of closers.reverse()) await closer();
  };
  return {
    address,
    url: `${tls ? 'https' : 'http'}://${advertised}:${address.port}`,
    server,
    registry,
    close: () => (closing ??= close()),
  };
}

/** What is wrong with a file of a flag is told without a stack. */
function flagErrorOf(error: unknown): never {
  throw error instanceof EncryptionError ? new FlagError(error.message) : error;
}

function listenError(config: ApiServerConfig, error: unknown): unknown {
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new FlagError(
        `Port ${config.securePort} is in use: stop what listens there, or choose another with --secure-port`,
      );
    case 'EACCES':
      return new FlagError(
        `Cannot listen on port ${config.securePort}: permission denied; choose one above 1023 with --secure-port`,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new FlagError(
        `Cannot listen on "${config.bindAddress}": this host does not have that address; choose another with --bind-address`,
      );
    default:
      return error;
  }
}

/** A certificate that others will refuse, or soon, is told before somebody searches. */
function warnOfValidity(
  { store, kubeletClient, proxyClient }: ApiServerConfig,
  served: string | undefined,
  clock: Clock,
  logger: Logger,
): void {
  const certificates = {
    'tls-cert-file': served,
    'etcd-certfile': store.certPem,
    'kubelet-client-certificate': kubeletClient?.certPem,
    'proxy-client-cert-file': proxyClient?.certPem,
  };
  for (const [flag, pem] of Object.entries(certificates)) {
    const problem = pem === undefined ? undefined : validityProblem(pem, clock.now());
    if (problem !== undefined) logger.warn(`The certificate of --${flag} ${problem}`);
  }
}

/** Data of kube-system/extension-apiserver-authentication: what aggregated servers need to trust this one's front proxy. */
function clusterAuthenticationOf(config: ApiServerConfig['authentication']): Record<string, string> {
  const { clientCaPem, requestHeader } = config;
  return {
    ...(clientCaPem === undefined ? {} : { 'client-ca-file': clientCaPem }),
    ...(requestHeader === undefined
      ? {}
      : {
          'requestheader-client-ca-file': requestHeader.caPem,
          'requestheader-allowed-names': JSON.stringify(requestHeader.allowedNames),
          'requestheader-username-headers': JSON.stringify(requestHeader.usernameHeaders),
          'requestheader-group-headers': JSON.stringify(requestHeader.groupHeaders),
          'requestheader-uid-headers': JSON.stringify(requestHeader.uidHeaders),
          'requestheader-extra-headers-prefix': JSON.stringify(requestHeader.extraHeaderPrefixes),
        }),
  };
}

/** `30000-32767` or `30000+2768`. Throws FlagError. */
function portRange(text: string): { base: number; size: number } {
  const match = /^(\d+)([-+])(\d+)$/.exec(text);
  const base = Number(match?.[1]);
  const size = match?.[2] === '+' ? Number(match[3]) : Number(match?.[3]) - base + 1;
  if (!match || size < 1 || base + size - 1 > 65_535) {
    throw new FlagError(`Invalid --service-node-port-range "${text}": want first-last or first+count`);
  }
  return { base, size };
}

/** Where clients reach a server that listens everywhere: the first address of this host that is not loopback. */
function defaultAddress(bindAddress: string): string {
  if (isIP(bindAddress) !== 0 && bindAddress !== '0.0.0.0' && bindAddress !== '::') return bindAddress;
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? []) {
      if (!address.internal && address.family === 'IPv4') return address.address;
    }
  }
  return '127.0.0.1';
}
