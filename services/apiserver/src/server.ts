import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { setMaxListeners } from 'node:events';
import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock, Logger, Random, Tracer } from '@pilothouse/base';
import { deferred, sleep } from '@pilothouse/base';
import { statusErrors } from '@pilothouse/apimachinery';
import type { BuiltinResource } from '@pilothouse/api';
import type { AdmissionChain } from './admission/interface.ts';
import type { AuditConfig } from './audit/audit-config.ts';
import { openAudit } from './audit/audit-config.ts';
import type { Authenticator } from './authentication/interface.ts';
import type { Authorizer } from './authorization/interface.ts';
import type { EndpointServices } from './endpoints/call.ts';
import { DiscoveryManager } from './endpoints/discovery/discovery-manager.ts';
import { registerDiscovery } from './endpoints/discovery/discovery-handlers.ts';
import { OpenApiDocuments } from './endpoints/openapi-documents.ts';
import { registerOpenApiPaths } from './endpoints/openapi-paths.ts';
import type { EmulatedRelease } from './emulated-release.ts';
import { registerServerPaths } from './endpoints/server-paths.ts';
import { dispatchResource } from './endpoints/dispatch.ts';
import { BuiltinObjectCodec } from './endpoints/object-codec.ts';
import { PathTable, respondPathNotFound } from './endpoints/path-table.ts';
import { ResourceTable } from './endpoints/resource-table.ts';
import { given } from './flag-values.ts';
import { auditIdFilter } from './filters/audit-id.ts';
import { authenticationFilter } from './filters/authentication.ts';
import { authorizationFilter } from './filters/authorization.ts';
import { deadlineFilter } from './filters/deadline.ts';
import type { Filter } from './filters/filter.ts';
import { goawayFilter } from './filters/goaway.ts';
import { impersonationFilter } from './filters/impersonation.ts';
import { createFlowFilter } from './flow-filter.ts';
import { shuttingDownFilter } from './filters/shutting-down.ts';
import { tracingFilter } from './filters/tracing.ts';
import { rateLimitFilter } from './shared/rate-limits.ts';
import { redisAuditStream } from './shared/redis-audit-stream.ts';
import type { SharedState } from './shared/shared-config.ts';
import { HealthChecks } from './health/health-checks.ts';
import { registerHealthChecks } from './health/checks.ts';
import type { HealthSources } from './health/checks.ts';
import { HttpServer } from './http-server.ts';
import type { RequestHandler, TlsMaterial } from './http-server.ts';
import { limits } from './limits.ts';
import type { SecuritySeries } from './metrics/security-series.ts';
import { ServerMetrics } from './metrics/server-metrics.ts';
import { Pipeline } from './pipeline.ts';
import type { Registry } from './registry/rest/rest-storage.ts';
import type { ActiveExchange } from './request/active-exchange.ts';
import type { EdgeConfig } from './edge-config.ts';
import { edgeHeaders } from './edge-headers.ts';
import { Exchange } from './request/exchange.ts';
import type { TlsPolicy } from './tls-policy.ts';
import { buildVersion } from './version.ts';

/** Ports and settings of {@link createApiServer}. Times in milliseconds. */
export interface ApiServerOptions {
  readonly registry: Registry;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly admission: AdmissionChain;
  /** Built-in resources that are served, for OpenAPI; none: no documents. */
  readonly servedResources?: readonly BuiltinResource[];
  /** Told with the other metrics. */
  readonly security?: SecuritySeries;
  /** What `/version` and metrics tell to be emulated. Default: the release of the program. */
  readonly release?: EmulatedRelease | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Absent: plain HTTP/1.1. */
  readonly tls?: TlsMaterial;
  /** Default: TLS 1.2 and later, suites with forward secrecy. */
  readonly tlsPolicy?: TlsPolicy;
  /** `host:port` for clients; default: the advertised address with the port that is listened on. */
  readonly externalAddress?: string;
  /** Default: the address that is listened on. */
  readonly advertiseAddress?: string;
  /** A line of level debug for each request. Default: none. */
  readonly logsRequests?: boolean;
  readonly requestTimeoutMs?: number;
  readonly minRequestTimeoutMs?: number;
  /** False: only the two limits below. Default: true. */
  readonly priorityAndFairness?: boolean;
  readonly maxReadOnlyInFlight?: number;
  readonly maxMutatingInFlight?: number;
  readonly shutdownDelayMs?: number;
  /** Keep answering (429, elsewhere) while requests in flight end, instead of closing the port at once. */
  readonly shutdownSendRetryAfter?: boolean;
  /** Watches end one after the other over this time at shutdown, so that their clients do not all come back at once. */
  readonly shutdownWatchGraceMs?: number;
  /** Chance of a request to end its HTTP/2 connection, 0 to 0.02. */
  readonly goawayChance?: number;
  /** Default: nothing for browsers, HTTP/2. */
  readonly edge?: EdgeConfig;
  readonly audit?: AuditConfig;
  /** Absent: nothing is traced. */
  readonly tracing?: { readonly tracer: Tracer; readonly active: ActiveExchange };
  /** What all servers share; absent: each decides and counts by itself. */
  readonly shared?: SharedState;
  readonly health?: HealthSources;
  /** Adds paths of other parts (OpenID documents, debugging). */
  registerPaths?(paths: PathTable): void;
  /** Asked before a path of a custom resource counts as missing: gives what is on its way the time to come. */
  settle?(info: Exchange['info']): Promise<void>;
  /** Answers instead of the storages, for group-versions of other servers (API aggregation). Gives undefined to decline. */
  delegate?(exchange: Exchange): Promise<void> | undefined;
}

/** A running or ready server. */
export interface ApiServer {
  /** Resources that come and go while the server runs. */
  readonly resources: ResourceTable;
  readonly discovery: DiscoveryManager;
  readonly openApi: OpenApiDocuments;
  readonly paths: PathTable;
  readonly health: HealthChecks;
  readonly metrics: ServerMetrics;
  /** For requests without sockets (`inject`). */
  readonly app: FastifyInstance;
  readonly address: { readonly host: string; readonly port: number } | undefined;
  listen(host: string, port: number): Promise<{ host: string; port: number }>;
  /** New connections use this certificate. */
  setTls(tls: TlsMaterial): void;
  /** As {@link HttpServer.setSni}. */
  setSni(index: number, names: readonly string[], tls: TlsMaterial): void;
  /** As {@link HttpServer.cut}. */
  cut(isRefused: (certificate: Buffer) => boolean): void;
  /** Graceful: not ready at once, then watches end, then connections drain. Idempotent. */
  close(): Promise<void>;
}

export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { clock, logger, random } = options;
  const metrics = new ServerMetrics(buildVersion.labels, options.release);
  options.security?.attach(metrics.registry);
  options.admission.measure?.(metrics.admission, clock);
  const codec = new BuiltinObjectCodec();
  const shutdown = new AbortController();
  // Every open watch listens.
  setMaxListeners(0, shutdown.signal);
  let stopping = false;
  /** The delay of the shutdown is over. */
  let ending = false;
  let address: { host: string; port: number } | undefined;

  const resources = new ResourceTable(options.registry);
  const discovery = new DiscoveryManager();
  discovery.addStorages(options.registry.storages);
  const paths = new PathTable();
  const health = new HealthChecks(logger);
  const serverAddress = (): string =>
    options.externalAddress ?? (address ? `${options.advertiseAddress ?? address.host}:${address.port}` : '');
  registerDiscovery(paths, { manager: discovery, codec, serverAddress });
  const startedMs = clock.monotonic();
  registerHealthChecks(health, {
    ...options.health,
    isStopping: () => stopping,
    isNew: () => clock.monotonic() - startedMs < (options.edge?.livezGraceMs ?? 0),
  });
  health.register(paths);
  const { release } = options;
  registerServerPaths(paths, { codec, metrics, release, apiPaths: () => discovery.paths() });
  const openApi = new OpenApiDocuments(options.servedResources ?? [], {
    monotonic: () => clock.monotonic(),
    giveWay: () => new Promise((resolve) => setImmediate(resolve)),
  });
  registerOpenApiPaths(paths, openApi);
  options.registerPaths?.(paths);

  const services: EndpointServices = {
    codec,
    admission: options.admission,
    clock,
    random,
    logger,
    metrics,
    minRequestTimeoutMs: options.minRequestTimeoutMs ?? 1_800_000,
    shutdown: shutdown.signal,
    shutdownWatchGraceMs: options.shutdownWatchGraceMs ?? 0,
  };
  const { shared } = options;
  shared?.link.register(metrics.registry);
  const auditPorts = { clock, random, logger, metrics };
  const stream =
    shared?.auditStream === true ? [{ sink: redisAuditStream(shared.link, auditPorts), strict: false }] : [];
  const audit =
    options.audit || stream.length > 0 ? openAudit(options.audit ?? {}, auditPorts, stream) : undefined;
  const flowFilter = createFlowFilter(options, { metrics, paths });
  const goawayChance = options.goawayChance ?? 0;
  const authenticate = authenticationFilter(options.authenticator, metrics, clock);
  const filters: Filter[] = [
    ...(options.shutdownSendRetryAfter === true ? [shuttingDownFilter(() => ending)] : []),
    ...(goawayChance > 0 ? [goawayFilter(random, goawayChance)] : []),
    auditIdFilter(random),
    deadlineFilter(clock, options.requestTimeoutMs ?? 60_000),
    audit ? audit.authentication(authenticate) : authenticate,
    ...(audit ? [audit.filter] : []),
    ...(options.tracing ? [tracingFilter(options.tracing.tracer)] : []),
    impersonationFilter(options.authorizer, clock, options.security?.impersonation),
    flowFilter,
    ...(shared && shared.rateLimits.size > 0
      ? [
          rateLimitFilter({
            limits: shared.rateLimits,
            link: shared.link,
            clock,
            refused: (level) => metrics.rateLimited.cell(level),
          }),
        ]
      : []),
    authorizationFilter(options.authorizer, metrics, clock),
  ];
  const builtIn = new Set(Array.from(options.registry.storages, ({ resource }) => resource.group));
  /** Groups of custom resources have no paths but those of what is served. */
  const hasPath = (info: Exchange['info']): boolean => {
    if (builtIn.has(info.apiGroup)) return true;
    const storage = resources.find(info.apiGroup, info.apiVersion, info.resource, info.subresource);
    return storage !== undefined && (storage.resource.namespaced || info.namespace === '');
  };
  const endpoint: Filter = async (exchange) => {
    const delegated = options.delegate?.(exchange);
    if (delegated !== undefined) {
      await delegated;
      return;
    }
    if (!exchange.info.isResourceRequest) {
      const handler = paths.find(exchange.path);
      if (handler) await handler(exchange);
      else respondPathNotFound(exchange);
      return;
    }
    const { info } = exchange;
    if (info.apiPrefix === 'apis' && !hasPath(info)) {
      await options.settle?.(info);
      if (!hasPath(info)) {
        respondPathNotFound(exchange);
        return;
      }
    }
    // Only of what is there: clients could name others without end, and each would be a series.
    if (
      exchange.longRunning &&
      resources.find(info.apiGroup, info.apiVersion, info.resource, info.subresource) !== undefined
    )
      metrics.countLongRunning(exchange);
    await dispatchResource(exchange, resources, services);
  };
  const pipeline = new Pipeline({
    filters,
    endpoint,
    codec,
    clock,
    logger,
    metrics,
    logsRequests: options.logsRequests ?? false,
    ...given('active', options.tracing?.active),
  });
  const times = (): { startedMs: number; receivedMs: number } => ({
    startedMs: clock.monotonic(),
    receivedMs: clock.now(),
  });

  const { edge } = options;
  const isForBrowsers =
    edge !== undefined && (edge.corsOrigins.length > 0 || edge.strictTransportSecurity !== '');
  const isAnswered = isForBrowsers ? edgeHeaders(edge) : () => false;
  const run = async (exchange: Exchange): Promise<void> => {
    if (!isAnswered(exchange)) await pipeline.serve(exchange);
  };
  const serve: RequestHandler = (request, response) => void run(new Exchange(request, response, times()));
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as never);
    response.once('finish', () => socket.end());
    socket.once('close', () => response.emit('close'));
    void run(new Exchange(request, response, times(), { socket, head }));
  };

  let http: HttpServer | undefined;
  const app: FastifyInstance = fastify({
    logger: false,
    return503OnClosing: false,
    forceCloseConnections: false,
    exposeHeadRoutes: false,
    // Requests of sockets go straight to the pipeline: Fastify's router and hooks would run for each of them and decide nothing.
    serverFactory: (_handler) => {
      http = new HttpServer(serve, {
        clock,
        ...(options.tls ? { tls: options.tls } : {}),
        ...(options.tlsPolicy ? { tlsPolicy: options.tlsPolicy } : {}),
        ...(edge === undefined ? {} : { http2: edge }),
        onUpgrade,
        onTlsError: () => metrics.tlsHandshakeErrors.inc(),
      });
      return http.server as never;
    },
    frameworkErrors: (_error, request, reply) => {
      reply.hijack();
      void run(new Exchange(request.raw, reply.raw as never, times()));
    },
  });
  // The whole path of a request runs here, before routing and body parsing: which storage answers is known only at this moment,
  // and bodies must not be read for clients that may not send them.
  app.addHook('onRequest', async (request, reply) => {
    reply.hijack();
    await run(new Exchange(request.raw, reply.raw as never, times()));
  });
  await app.ready();

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stopping = true;
    if ((options.shutdownDelayMs ?? 0) > 0 && address) await sleep(clock, options.shutdownDelayMs ?? 0);
    shutdown.abort(statusErrors.serviceUnavailable('The server is shutting down'));
    ending = true;
    // With it, whoever comes during the drain is answered that it should go elsewhere; without it, finds the port closed.
    const isOpen = options.shutdownSendRetryAfter === true;
    const late = deferred<void>();
    const timer = clock.setTimeout(() => late.resolve(), limits.drainMs);
    if (!isOpen) http?.stopListening();
    await Promise.race([pipeline.drained(), late.promise]);
    timer.cancel();
    if (isOpen) http?.stopListening();
    await http?.disconnected(clock, limits.goawayNoticeMs);
    http?.destroyConnections();
    await app.close();
    await audit?.close();
  };

  return {
    resources,
    discovery,
    openApi,
    paths,
    health,
    metrics,
    app,
    get address() {
      return address;
    },
    async listen(host, port) {
      address = await (http as HttpServer).listen(host, port);
      return address;
    },
    setTls: (tls) => http?.setTls(tls),
    setSni: (index, names, tls) => http?.setSni(index, names, tls),
    cut: (isRefused) => http?.cut(isRefused),
    close: () => (closing ??= close()),
  };
}
