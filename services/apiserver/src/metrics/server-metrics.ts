import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { releaseVersion } from '@pilothouse/host';
import type { EmulatedRelease } from '../emulated-release.ts';
import type { Exchange } from '../request/exchange.ts';
import { AdmissionSeries } from './admission-series.ts';
import { CellFamily, DistributionFamily } from './cells.ts';
import { ConversionSeries } from './conversion-series.ts';
import { RequestSeries } from './request-series.ts';

const seconds = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];
const requestLabels = ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'component'] as const;

const doubling = Array.from({ length: 15 }, (_, index) => 0.001 * 2 ** index);
const certificateSeconds = [
  0, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 345_600, 604_800, 2_592_000, 7_776_000, 15_552_000,
  31_104_000,
];

/** Metrics of the HTTP edge, with upstream's names and labels. */
export class ServerMetrics {
  readonly registry = new Registry();
  /** apiserver_request_total, apiserver_request_duration_seconds and apiserver_request_sli_duration_seconds. */
  readonly requests = new RequestSeries(this.registry, seconds, seconds.slice(2));
  readonly responseSizes = new Histogram({
    name: 'apiserver_response_sizes',
    help: 'Bytes of answers to read requests',
    labelNames: requestLabels,
    buckets: [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
    registers: [this.registry],
  });
  readonly longRunning = new Gauge({
    name: 'apiserver_longrunning_requests',
    help: 'Long-running requests (watches and streams) that are open',
    labelNames: requestLabels,
    registers: [this.registry],
  });
  readonly inFlight = new CellFamily(this.registry, {
    name: 'apiserver_current_inflight_requests',
    help: 'Requests in flight, by kind',
    type: 'gauge',
    labelNames: ['request_kind'],
  });
  readonly watchEvents = new CellFamily(this.registry, {
    name: 'apiserver_watch_events_total',
    help: 'Events sent to watchers',
    type: 'counter',
    labelNames: ['group', 'version', 'resource'],
  });
  readonly watchEventSizes = new DistributionFamily(this.registry, {
    name: 'apiserver_watch_events_sizes',
    help: 'Bytes of events sent to watchers',
    labelNames: ['group', 'version', 'resource'],
    buckets: [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072],
  });
  readonly bodySizes = new Histogram({
    name: 'apiserver_request_body_size_bytes',
    help: 'Bytes of request bodies',
    labelNames: ['resource', 'group', 'verb'],
    buckets: Array.from({ length: 31 }, (_, index) => 50_000 + index * 100_000),
    registers: [this.registry],
  });
  readonly authenticationAttempts = new CellFamily(this.registry, {
    name: 'authentication_attempts',
    help: 'Authentications by result',
    type: 'counter',
    labelNames: ['result'],
  });
  readonly authenticatedRequests = new CellFamily(this.registry, {
    name: 'authenticated_user_requests',
    help: 'Authenticated requests by user; names of people are grouped as other',
    type: 'counter',
    labelNames: ['username'],
  });
  readonly authorizationAttempts = new CellFamily(this.registry, {
    name: 'authorization_attempts_total',
    help: 'Authorizations by result',
    type: 'counter',
    labelNames: ['result'],
  });
  readonly authenticationSeconds = new DistributionFamily(this.registry, {
    name: 'authentication_duration_seconds',
    help: 'Time to authenticate a request, in seconds',
    labelNames: ['result'],
    buckets: doubling,
  });
  readonly authorizationSeconds = new DistributionFamily(this.registry, {
    name: 'authorization_duration_seconds',
    help: 'Time to authorize a request, in seconds',
    labelNames: ['result'],
    buckets: doubling,
  });
  readonly clientCertificateSeconds = new DistributionFamily(this.registry, {
    name: 'apiserver_client_certificate_expiration_seconds',
    help: 'Time that client certificates are still good for, in seconds',
    labelNames: [],
    buckets: certificateSeconds,
  });
  readonly rateLimited = new CellFamily(this.registry, {
    name: 'pilothouse_rate_limited_requests_total',
    help: 'Requests refused by the rate limits of users',
    type: 'counter',
    labelNames: ['priority_level'],
  });
  /** Requests that this server ended by itself: too many at once, or out of time. */
  readonly terminations = new CellFamily(this.registry, {
    name: 'apiserver_request_terminations_total',
    help: 'Requests that were ended by the server itself',
    type: 'counter',
    labelNames: [...requestLabels, 'code'],
  });
  readonly admission = new AdmissionSeries(this.registry);
  readonly conversions = new ConversionSeries(this.registry);
  readonly audits = new Counter({
    name: 'apiserver_audit_event_total',
    help: 'Audit events written',
    registers: [this.registry],
  });
  readonly auditErrors = new CellFamily(this.registry, {
    name: 'apiserver_audit_error_total',
    help: 'Audit events that were lost, by backend',
    type: 'counter',
    labelNames: ['plugin'],
  });
  readonly auditLevels = new CellFamily(this.registry, {
    name: 'apiserver_audit_level_total',
    help: 'Requests by the level that the audit policy gave them',
    type: 'counter',
    labelNames: ['level'],
  });
  readonly auditRejected = new Counter({
    name: 'apiserver_audit_requests_rejected_total',
    help: 'Requests refused because their first audit event was lost',
    registers: [this.registry],
  });
  readonly tlsHandshakeErrors = new Counter({
    name: 'apiserver_tls_handshake_errors_total',
    help: 'TLS handshakes that failed',
    registers: [this.registry],
  });
  readonly deprecated = new Gauge({
    name: 'apiserver_requested_deprecated_apis',
    help: 'Deprecated APIs that were asked for',
    labelNames: ['group', 'version', 'resource', 'subresource', 'removed_release'],
    registers: [this.registry],
  });

  constructor(build: Readonly<Record<string, string>>, release?: EmulatedRelease) {
    collectDefaultMetrics({ register: this.registry });
    const [binary] = releaseVersion;
    const emulation = release === undefined ? releaseVersion[1] : `1.${release.minor}`;
    const minCompatibility = release === undefined ? releaseVersion[2] : `1.${release.minCompatibility}`;
    new Gauge({
      name: 'version_info',
      help: 'Constant 1, labelled with the versions of the component',
      labelNames: ['binary', 'component', 'emulation', 'min_compat'],
      registers: [this.registry],
    }).set({ binary, component: 'kube-apiserver', emulation, min_compat: minCompatibility }, 1);
    new Gauge({
      name: 'kubernetes_build_info',
      help: 'Constant 1, labelled with the version of the build',
      labelNames: Object.keys(build),
      registers: [this.registry],
    }).set(build, 1);
  }

  /** The verb as metrics and dashboards write it. */
  static verbOf(exchange: Exchange): string {
    const { info, method } = exchange;
    if (!info.isResourceRequest) return method;
    switch (info.verb) {
      case 'list':
      case 'watch':
        return info.verb.toUpperCase();
      case 'get':
        return info.subresource === 'log' ? 'CONNECT' : 'GET';
      case 'patch':
        return exchange.header('content-type').startsWith('application/apply-patch') ? 'APPLY' : 'PATCH';
      case 'create':
        return 'POST';
      case 'update':
        return 'PUT';
      case 'deletecollection':
        return 'DELETECOLLECTION';
      case 'delete':
        return 'DELETE';
      default:
        return method;
    }
  }

  /** A watch or stream is open until the exchange is over. */
  countLongRunning(exchange: Exchange): void {
    const labels = ServerMetrics.labelsOf(exchange);
    this.longRunning.inc(labels);
    exchange.onClose(() => this.longRunning.dec(labels));
  }

  static labelsOf(exchange: Exchange): Record<(typeof requestLabels)[number], string> {
    const { info } = exchange;
    return {
      verb: ServerMetrics.verbOf(exchange),
      group: info.apiGroup,
      version: info.apiVersion,
      resource: info.resource,
      subresource: info.isResourceRequest ? info.subresource : info.path,
      scope: scopeOf(exchange),
      component: 'apiserver',
    };
  }

  /** Counts a request that has been answered. `unknown`: its path was made up by the client and must not become a label. */
  observe(exchange: Exchange, code: number, durationMs: number, unknown: boolean): void {
    const labels = ServerMetrics.labelsOf(exchange);
    if (unknown) {
      labels.resource = '';
      labels.subresource = '';
      labels.group = '';
      labels.version = '';
    }
    this.requests.observe(
      labels,
      exchange.dryRun,
      code,
      exchange.longRunning ? undefined : durationMs / 1000,
    );
  }

  /** Counts a request that this server refused or gave up, in addition to {@link observe}. */
  terminated(exchange: Exchange, code: number): void {
    const labels = ServerMetrics.labelsOf(exchange);
    this.terminations.cell(...requestLabels.map((name) => labels[name]), String(code)).inc();
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }
}

function scopeOf(exchange: Exchange): string {
  const { info } = exchange;
  if (!info.isResourceRequest) return '';
  if (info.name !== '' && info.verb !== 'list' && info.verb !== 'watch') return 'resource';
  return info.namespace !== '' ? 'namespace' : 'cluster';
}
