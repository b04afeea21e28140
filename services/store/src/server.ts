import http from 'node:http';
import path from 'node:path';
import type { Clock, Logger, Random, Tracer } from '@pilothouse/base';
import { errorCode, errorMessage } from '@pilothouse/base';
import {
  createOtlpTracer,
  loadRevocationReader,
  nodeClock,
  nodeDisk,
  nodeRandom,
  validityProblem,
} from '@pilothouse/host';
import type { StoreConfig } from './config.ts';
import { grpcStatus, hexId, StoreError, StoreStateMachine } from './core/index.ts';
import type { ReplicaStatus } from './core/replication.ts';
import { makeBackup } from './io/backup/backup.ts';
import { LmdbBackend } from './io/backend/lmdb-backend.ts';
import { BackendError } from './io/backend/sealed-value.ts';
import {
  establishIdentity,
  peerGet,
  prepareDataDirectory,
  refuseTooOld,
  StartupError,
} from './io/bootstrap.ts';
import { promoteLearners } from './io/learner-promotion.ts';
import { handOver, publish } from './io/lifecycle.ts';
import { peerPost, servePeer } from './io/peer/peer-http.ts';
import { portError } from './io/rpc/listen-options.ts';
import { CorruptionCheck } from './io/corruption-check.ts';
import { Duties } from './io/duties.ts';
import { VersionDuty } from './io/version-duty.ts';
import { grpcCodeNames, StoreMetrics } from './io/metrics.ts';
import { peerMetrics } from './io/peer-metrics.ts';
import { snapshotMetrics } from './io/snapshot-metrics.ts';
import { TcpTransport } from './io/peer/tcp-transport.ts';
import { forceNewCluster } from './io/replica/force-new-cluster.ts';
import { createReplica } from './io/replica/index.ts';
import { registerAuth } from './io/rpc/auth-service.ts';
import { jwtTokens, simpleTokens, type AuthTokens } from './io/rpc/auth-tokens.ts';
import { registerCluster } from './io/rpc/cluster-service.ts';
import { serveGateway, type GatewayOptions, type HttpExchange } from './io/rpc/gateway.ts';
import { exchangeOfRequest, serveStream } from './io/rpc/http-exchange.ts';
import { GrpcServer, type CallHeaders } from './io/rpc/grpc-server.ts';
import { fail } from './io/rpc/grpc-wire.ts';
import { routeHttp, type HttpReply } from './io/rpc/http-routes.ts';
import { forwardingLeaderCalls } from './io/rpc/leader-calls.ts';
import { registerElection } from './io/rpc/election-service.ts';
import { registerLock } from './io/rpc/lock-service.ts';
import { hasCertificate, TlsContext, withAutoTls } from './io/tls-context.ts';
import { registerKv } from './io/rpc/kv-service.ts';
import { registerLease } from './io/rpc/lease-service.ts';
import { listen, type Listener, type ListenUrl, type PortHandlers } from './io/rpc/listener.ts';
import { registerMaintenance } from './io/rpc/maintenance-service.ts';
import { StoreService } from './io/rpc/store-service.ts';
import { registerWatch } from './io/rpc/watch-service.ts';

export interface StorePorts {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger: Logger;
  /** The process must end: storage failed, or this member was removed from the cluster. */
  readonly onFatal?: (error: Error) => void;
  /** Adds process_* and nodejs_* metrics; for a process of its own. */
  readonly processMetrics?: boolean;
}

export interface StoreStatus extends ReplicaStatus {
  readonly clusterId: bigint;
  readonly name: string;
  readonly revision: number;
}

/** A running member. */
export interface StoreServer {
  /** With the port that was taken where 0 was asked for. */
  readonly clientUrls: readonly string[];
  /** Resolves once there is a leader and the member is known to the others. */
  readonly ready: Promise<void>;
  status(): StoreStatus;
  /** Hands leadership over when it has it, then stops. */
  close(): Promise<void>;
}

/** Starts one member and resolves when its ports are open and its log is read. Rejects with StartupError and the like. */
export async function startStore(given: StoreConfig, ports: StorePorts): Promise<StoreServer> {
  const clock = ports.clock ?? nodeClock;
  const random = ports.random ?? nodeRandom;
  const { logger } = ports;
  const onFatal =
    ports.onFatal ??
    ((error: Error): void =>
      void setImmediate(() => {
        throw error;
      }));
  const memberDirectory = prepareDataDirectory(given);
  const config = await withAutoTls(given, clock.now());
  const tokens =
    config.jwt === undefined
      ? simpleTokens(clock, config.authTokenTtlSeconds * 1000)
      : jwtTokens(config.jwt, clock);
  const hasRevocations = config.clientTls.crlFile !== '' || config.peerTls.crlFile !== '';
  const revocations = hasRevocations ? await loadRevocationReader() : undefined;
  const clientTls = hasCertificate(config.clientTls)
    ? new TlsContext(config.clientTls, 'listen-client-urls', revocations)
    : undefined;
  const warnOfValidity = (flag: string, file: string, context: TlsContext | undefined): void => {
    const problem = context && validityProblem(context.certificate, clock.now());
    if (problem !== undefined) logger.warn(`the certificate of --${flag} ${problem}`, { file });
  };
  warnOfValidity('cert-file', config.clientTls.certFile, clientTls);
  const identity = await establishIdentity(config, memberDirectory, { clock, logger });
  const metrics = new StoreMetrics(ports.processMetrics ?? false);

  let service: StoreService | undefined;
  const tracer = config.tracing ? await createOtlpTracer(config.tracing) : undefined;
  const grpc = createGrpc(config, clock, logger, metrics, tokens, tracer, () => service);
  const handlersFor = (url: ListenUrl, grpcToo: boolean, gateway: boolean): PortHandlers =>
    portHandlers(grpc, metrics, () => service, config, { grpc: grpcToo, gateway, secure: url.secure });
  const hasHttpPort = config.listenClientHttpUrls.length > 0;
  const listeners: Listener[] = [];
  const openPort = async (flag: string, url: ListenUrl, portHandler: PortHandlers): Promise<Listener> => {
    try {
      const listener = await listen({
        url,
        tls: url.secure ? clientTls : undefined,
        clock,
        logger,
        maxConcurrentStreams: config.maxConcurrentStreams,
        what: 'client',
        handlers: portHandler,
        keepAlive: { intervalMs: config.keepAliveIntervalMs, timeoutMs: config.keepAliveTimeoutMs },
      });
      listeners.push(listener);
      return listener;
    } catch (error) {
      throw portError(flag, url, error);
    }
  };

  let backend: LmdbBackend | undefined;
  try {
    const clients: Listener[] = [];
    for (const url of config.listenClientUrls)
      clients.push(await openPort('listen-client-urls', url, handlersFor(url, true, !hasHttpPort)));
    for (const url of config.listenClientHttpUrls)
      await openPort('listen-client-http-urls', url, handlersFor(url, false, true));
    for (const url of config.listenMetricsUrls)
      await openPort('listen-metrics-urls', url, handlersFor(url, false, false));

    backend = openBackend(config, memberDirectory, { clock, metrics, onFatal });
    const machine = new StoreStateMachine({
      backend,
      monotonic: () => clock.monotonic(),
      leaseTtlSecondsMin: Math.ceil((3 * config.electionMs) / 2 / 1000),
    });
    backend.started();
    refuseTooOld(machine.clusterVersion);
    if (identity.isNewCluster && machine.appliedIndex === 0 && machine.members.list().length === 0) {
      // Known from the start, so that the first member list is complete.
      for (const member of identity.members) machine.members.apply({ kind: 'add', member });
    }
    machine.watchable.onDirty = () => void setImmediate(() => machine.watchable.deliver());

    const peerHttp = http.createServer((request, response) => {
      servePeer(request, identity.clusterId, service).then(
        (answer) => send(response, answer),
        (error: unknown) =>
          send(response, { status: 500, contentType: 'text/plain', body: errorMessage(error) }),
      );
    });
    const tlsContext = hasCertificate(config.peerTls)
      ? new TlsContext(config.peerTls, 'listen-peer-urls', revocations)
      : undefined;
    warnOfValidity('peer-cert-file', config.peerTls.certFile, tlsContext);
    const transport = new TcpTransport({
      memberId: identity.memberId,
      clusterId: identity.clusterId,
      listen: config.listenPeerUrls.map((url) => ({ host: url.host, port: url.port })),
      ...(tlsContext === undefined ? {} : { tlsContext }),
      clock,
      random,
      logger,
      traffic: peerMetrics(metrics.registry, clock, identity.memberId),
      onHttp: (socket) => void peerHttp.emit('connection', socket),
    });
    if (config.forceNewCluster) {
      forceNewCluster({
        disk: nodeDisk,
        walDirectory: config.walDir ?? path.join(memberDirectory, 'wal'),
        memberId: identity.memberId,
        appliedIndex: machine.appliedIndex,
        logger,
      });
    }
    let replica: Awaited<ReturnType<typeof createReplica>>;
    try {
      replica = await createReplica({
        memberId: identity.memberId,
        clusterId: identity.clusterId,
        initialMembers: identity.members,
        isNewCluster: identity.isNewCluster,
        dataDirectory: memberDirectory,
        ...(config.walDir === undefined ? {} : { walDirectory: config.walDir }),
        stateMachine: machine,
        transport,
        heartbeatMs: config.heartbeatMs,
        electionMs: config.electionMs,
        snapshotCount: config.snapshotCount,
        snapshotCatchUpEntries: config.snapshotCatchUpEntries,
        logger,
        clock,
        random,
        onFatal,
        onRemoved: () =>
          onFatal(
            new StartupError(
              'This member was removed from the cluster. Empty its data directory before it is added again',
            ),
          ),
        onSync: (seconds) => metrics.walFsync.observe(seconds),
        onLogBytes: (bytes) => (metrics.work.logBytes += bytes),
        onSnapshot: snapshotMetrics(metrics.registry, clock),
      });
    } catch (error) {
      const [url] = config.listenPeerUrls;
      throw url !== undefined && ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'].includes(errorCode(error) ?? '')
        ? portError('listen-peer-urls', url, error)
        : error;
    }

    const started = new StoreService({
      machine,
      replication: replica,
      clusterId: identity.clusterId,
      memberId: identity.memberId,
      clock,
      random,
      logger,
      electionMs: config.electionMs,
      maxRequestBytes: config.maxRequestBytes,
      maxTxnOps: config.maxTxnOps,
      quotaBytes: config.quotaBytes,
      initialClusterToken: config.initialClusterToken,
      strictReconfigCheck: config.strictReconfigCheck,
      maxLearners: config.maxLearners,
      connectedSinceMs: (peer) => transport.connectedSinceMs(peer),
      clientCertAuth: config.clientTls.clientCertAuth,
      tokens,
      metrics: metrics.work,
      onProposal: (outcome) => {
        if (outcome === 'pending') metrics.proposalsPending++;
        else metrics.proposalsPending--;
        if (outcome === 'failed') metrics.proposalsFailed.inc();
      },
    });
    metrics.observe(machine, replica, config.quotaBytes, hexId(identity.memberId));
    registerKv(grpc, started);
    const watches = registerWatch(grpc, started);
    const post = peerPost(config);
    const leader = forwardingLeaderCalls(started, post);
    registerLease(grpc, started, leader);
    registerCluster(grpc, started, leader);
    registerAuth(grpc, started, config.bcryptCost);
    registerLock(grpc);
    registerElection(grpc);
    registerMaintenance(grpc, started, { backup: () => makeBackup(machine, memberDirectory) });
    for (const info of grpc.methods) metrics.rpc(info);
    metrics.features(config.features);
    service = started;

    // Clients that asked for a leader lose their streams when there has been none for three election timeouts.
    let leaderless: { cancel(): void } | undefined;
    const stopListening = replica.onLeaderChange((leader) => {
      if (leader !== undefined) {
        metrics.leaderChanges.inc();
        leaderless?.cancel();
        leaderless = undefined;
      } else leaderless ??= clock.setTimeout(() => watches.cutLeaderless(), 3 * config.electionMs);
    });
    const duties = new Duties(started, config);
    duties.start();
    const versionDuty = new VersionDuty(started, (url, timeoutMs) => peerGet(url, config.peerTls, timeoutMs));
    versionDuty.start();
    const corruption = new CorruptionCheck(started, post);
    corruption.start(config.corruptCheckMs, config.features.CompactHashCheck ? config.compactHashCheckMs : 0);
    const promotion = config.features.LearnerAutoPromotion ? promoteLearners(started) : undefined;

    let isClosing = false;
    const clientUrls = clients.map(({ url, port }) =>
      url.socketPath === undefined && url.port === 0 ? url.text.replace(/:0\/?$/, `:${port}`) : url.text,
    );
    const ready = publish(started, config, () => isClosing).then(async () => {
      if (isClosing) return;
      if (config.features.InitialCorruptCheck) {
        const corrupt = await corruption.compare(machine.store.currentRevision);
        if (corrupt?.includes(identity.memberId)) {
          onFatal(
            new StartupError(
              'This member holds other data than the majority of its cluster. Remove it from the cluster, empty its data directory and add it again',
            ),
          );
          return;
        }
      }
      logger.info('ready to serve client requests');
      for (const { url } of listeners) {
        logger.info(
          url.secure
            ? 'serving client traffic securely'
            : 'serving client traffic insecurely; this is strongly discouraged!',
          { traffic: 'grpc+http', address: url.text },
        );
      }
    });
    return {
      clientUrls,
      ready,
      status: () => ({
        ...replica.status(),
        clusterId: identity.clusterId,
        name: config.name,
        revision: machine.store.currentRevision,
      }),
      async close() {
        if (isClosing) return;
        isClosing = true;
        await handOver(started, logger);
        stopListening();
        leaderless?.cancel();
        duties.stop();
        versionDuty.stop();
        promotion?.cancel();
        corruption.stop();
        watches.cutAll(new StoreError('stopped'));
        await Promise.all(listeners.map((listener) => listener.close(300)));
        peerHttp.close();
        await replica.stop();
        await backend?.close();
        await tracer?.close();
      },
    };
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.close(0)));
    await backend?.close();
    throw error;
  }
}

function createGrpc(
  config: StoreConfig,
  clock: Clock,
  logger: Logger,
  metrics: StoreMetrics,
  tokens: AuthTokens,
  tracer: Tracer | undefined,
  service: () => StoreService | undefined,
): GrpcServer {
  return new GrpcServer({
    clock,
    logger,
    receiveBytesMax: config.maxRequestBytes + 512 * 1024,
    ...(tracer === undefined ? {} : { tracer }),
    intercept: (info, headers) => {
      metrics.rpc(info).started++;
      const version = headers['client-api-version'];
      metrics.countClient(typeof version === 'string' ? version : 'unknown', info.responseStream);
      if (headers['hasleader'] === 'true' && service()?.hasLeader !== true) throw new StoreError('noLeader');
    },
    prepare: (headers) => {
      const header = headers['token'] ?? headers['authorization'];
      const running = service();
      return typeof header === 'string' && running?.machine.auth.isEnabled
        ? tokens.prepare(header.replace(/^Bearer /, ''), running)
        : undefined;
    },
    onHandled: (info, status, durationMs) => {
      const { handled, seconds } = metrics.rpc(info);
      handled[status] = (handled[status] ?? 0) + 1;
      if (!info.responseStream) seconds.observe(durationMs / 1000);
      if (!info.responseStream && durationMs > config.warningUnaryRequestMs) {
        logger.warn('request stats', {
          'response type': `${info.path}`,
          'time spent': `${durationMs.toFixed(3)}ms`,
          code: grpcCodeNames[status],
        });
      }
    },
    messageCounts: (info) => metrics.rpc(info).messages,
    onReceivedBytes: (bytes) => (metrics.clientReceivedBytes += bytes),
    onSentBytes: (bytes) => (metrics.clientSentBytes += bytes),
  });
}

function portHandlers(
  grpc: GrpcServer,
  metrics: StoreMetrics,
  service: () => StoreService | undefined,
  config: StoreConfig,
  serves: { readonly grpc: boolean; readonly gateway: boolean; readonly secure: boolean },
): PortHandlers {
  const gateway: GatewayOptions = {
    server: grpc,
    receiveBytesMax: 2 * (config.maxRequestBytes + 512 * 1024),
    cors: config.cors,
  };
  const allowsHost = (headers: CallHeaders): boolean => {
    if (config.hostWhitelist.length === 0 || config.hostWhitelist.includes('*')) return true;
    const authority = String(headers['host'] ?? headers[':authority'] ?? '');
    return config.hostWhitelist.includes(authority.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''));
  };
  const serve = (exchange: HttpExchange): void => {
    if (!serves.secure && !allowsHost(exchange.headers)) {
      exchange.start(421, { 'content-type': 'text/plain; charset=utf-8' });
      exchange.end('The host of the request is not in --host-whitelist\n');
      return;
    }
    if (serves.gateway && config.enableGrpcGateway && serveGateway(exchange, gateway)) return;
    routeHttp(exchange.method, exchange.path, service(), metrics)
      .catch((error: unknown): HttpReply => ({
        status: 500,
        contentType: 'text/plain',
        body: errorMessage(error),
      }))
      .then(
        (reply) => {
          const { status, contentType, body, headers } = reply ?? notFound;
          exchange.start(status, { 'content-type': contentType, ...headers });
          exchange.end(exchange.method === 'HEAD' ? '' : body);
        },
        () => {},
      );
  };
  return {
    onStream(stream, headers) {
      if (!serves.grpc || !String(headers['content-type'] ?? '').startsWith('application/grpc')) {
        serveStream(stream, headers, { bytesMax: gateway.receiveBytesMax, serve });
        return;
      }
      if (service() !== undefined) {
        grpc.handle(stream, headers);
        return;
      }
      fail(stream, grpcStatus.unavailable, 'etcdserver: server is not started');
    },
    onRequest: (request, response) => serve(exchangeOfRequest(request, response)),
  };
}

const notFound: HttpReply = {
  status: 404,
  contentType: 'text/plain; charset=utf-8',
  body: '404 page not found\n',
};

function send(response: http.ServerResponse, reply: HttpReply): void {
  response.writeHead(reply.status, { 'content-type': reply.contentType, ...reply.headers });
  response.end(reply.body);
}

function openBackend(
  config: StoreConfig,
  memberDirectory: string,
  ports: { readonly clock: Clock; readonly metrics: StoreMetrics; readonly onFatal: (error: Error) => void },
): LmdbBackend {
  const { clock, metrics, onFatal } = ports;
  const directory = path.join(memberDirectory, 'state');
  try {
    return new LmdbBackend({
      directory,
      clock,
      batchIntervalMs: config.backendBatchIntervalMs,
      batchLimit: config.backendBatchLimit,
      onCommit: (durationMs) => metrics.backendCommit.observe(durationMs / 1000),
      onDamage: onFatal,
      isProbed: true,
    });
  } catch (error) {
    if (error instanceof BackendError) throw error;
    throw new StartupError(
      `Cannot open the state in "${directory}": ${errorMessage(error)}. Check that no other process uses it`,
      { cause: error },
    );
  }
}
