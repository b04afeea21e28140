import fs from 'node:fs';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { collectDefaultMetrics } from 'prom-client';
import type { MethodInfo } from '@pilothouse/proto';
import { grpcStatus, type StoreStateMachine } from '../core/index.ts';
import type { Replication } from '../core/replication.ts';
import { Durations, scrapedHistogram } from './durations.ts';
import { versions } from './rpc/store-service.ts';
import { WorkMetrics } from './work-metrics.ts';

export const grpcCodeNames = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

/** Bounds of grpc_server_handling_seconds, as the Go library has them. */
const grpcBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface RpcCounts {
  readonly labels: {
    readonly grpc_type: string;
    readonly grpc_service: string;
    readonly grpc_method: string;
  };
  started: number;
  /** By gRPC status. */
  readonly handled: number[];
  /** How long calls took; streams are not measured. */
  readonly seconds: Durations;
  /** Of streams. */
  readonly messages: { received: number; sent: number };
}

/** What "unlimited" is to upstream's collector. */
const unlimited = 2 ** 64;

function addressSpaceMax(): number {
  const limit = /^Max address space\s+(\S+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === 'unlimited' ? unlimited : Number(limit ?? 0);
}

const clientVersionsMax = 20;

/** etcd's metric names, so that its dashboards and alerts work. */
export class StoreMetrics {
  readonly registry = new Registry();
  readonly work = new WorkMetrics(this.registry);
  /** Counted in plain numbers on the hot path and handed over at scrape time. */
  readonly rpcs = new Map<string, RpcCounts>();
  readonly clientRequests = new Map<string, { unary: number; stream: number }>();
  clientReceivedBytes = 0;
  clientSentBytes = 0;
  readonly leaderChanges: Counter;
  readonly proposalsFailed: Counter;
  proposalsPending = 0;
  readonly walFsync: Histogram;
  readonly backendCommit: Histogram;
  readonly slowRequests: Counter;
  readonly healthSuccess: Counter;
  readonly healthFailure: Counter;
  readonly #checks: { readonly last: Gauge; readonly total: Counter };
  readonly #scrapes: { readonly inFlight: Gauge; readonly total: Counter };

  constructor(withProcess: boolean) {
    const registers = [this.registry];
    if (withProcess) collectDefaultMetrics({ register: this.registry });
    const grpcLabels = ['grpc_type', 'grpc_service', 'grpc_method'];
    const { rpcs } = this;
    new Counter({
      name: 'grpc_server_started_total',
      help: 'RPCs started on the server.',
      labelNames: grpcLabels,
      registers,
      collect() {
        this.reset();
        for (const { labels, started } of rpcs.values()) this.inc(labels, started);
      },
    });
    new Counter({
      name: 'grpc_server_handled_total',
      help: 'RPCs completed on the server, by status.',
      labelNames: [...grpcLabels, 'grpc_code'],
      registers,
      collect() {
        this.reset();
        for (const { labels, handled } of rpcs.values()) {
          handled.forEach((count, status) => {
            if (count > 0) this.inc({ ...labels, grpc_code: grpcCodeNames[status] ?? 'Unknown' }, count);
          });
        }
      },
    });
    const handling = 'grpc_server_handling_seconds';
    this.registry.registerMetric(
      scrapedHistogram(handling, 'How long unary RPCs took.', () =>
        Array.from(rpcs.values())
          .filter(({ labels, started }) => labels.grpc_type === 'unary' && started > 0)
          .flatMap(({ labels, seconds }) => seconds.values(handling, { ...labels })),
      ),
    );
    const messages = (name: string, help: string, read: (counts: RpcCounts) => number): void => {
      new Counter({
        name,
        help,
        labelNames: grpcLabels,
        registers,
        collect() {
          this.reset();
          for (const counts of rpcs.values()) this.inc(counts.labels, read(counts));
        },
      });
    };
    messages('grpc_server_msg_received_total', 'Messages received in RPCs.', (counts) =>
      counts.labels.grpc_type === 'unary' ? counts.started : counts.messages.received,
    );
    messages('grpc_server_msg_sent_total', 'Messages sent in RPCs.', (counts) =>
      counts.labels.grpc_type === 'unary' ? (counts.handled[grpcStatus.ok] ?? 0) : counts.messages.sent,
    );
    this.#total(
      'etcd_network_client_grpc_received_bytes_total',
      'Bytes received from gRPC clients.',
      () => this.clientReceivedBytes,
    );
    this.#total(
      'etcd_network_client_grpc_sent_bytes_total',
      'Bytes sent to gRPC clients.',
      () => this.clientSentBytes,
    );
    const { clientRequests } = this;
    new Counter({
      name: 'etcd_server_client_requests_total',
      help: 'Requests by the version that the client tells, and by kind.',
      labelNames: ['client_api_version', 'type'],
      registers,
      collect() {
        this.reset();
        for (const [version, counts] of clientRequests) {
          if (counts.unary > 0) this.inc({ client_api_version: version, type: 'unary' }, counts.unary);
          if (counts.stream > 0) this.inc({ client_api_version: version, type: 'stream' }, counts.stream);
        }
      },
    });
    if (withProcess) {
      this.#descriptors('process_virtual_memory_max_bytes', 'Most virtual memory, bytes.', addressSpaceMax);
      this.#descriptors('os_fd_used', 'Open file descriptors.', () => fs.readdirSync('/proc/self/fd').length);
      this.#descriptors('os_fd_limit', 'Most file descriptors.', () =>
        Number(/^Max open files\s+(\d+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 0),
      );
    }
    const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
    this.leaderChanges = counter('etcd_server_leader_changes_seen_total', 'Leader changes seen.');
    this.proposalsFailed = counter('etcd_server_proposals_failed_total', 'Failed proposals.');
    const pending = (): number => this.proposalsPending;
    new Gauge({
      name: 'etcd_server_proposals_pending',
      help: 'Proposals waiting to commit.',
      registers,
      collect() {
        this.set(pending());
      },
    });
    this.slowRequests = counter('etcd_server_slow_apply_total', 'Slow requests.');
    this.healthSuccess = counter('etcd_server_health_success', 'Successful health checks.');
    this.healthFailure = counter('etcd_server_health_failures', 'Failed health checks.');
    this.#checks = {
      last: new Gauge({
        name: 'etcd_server_healthcheck',
        help: 'Result of the last check of each kind: 1 success.',
        labelNames: ['type', 'name'],
        registers,
      }),
      total: new Counter({
        name: 'etcd_server_healthchecks_total',
        help: 'Checks of each kind.',
        labelNames: ['type', 'name', 'status'],
        registers,
      }),
    };
    this.#scrapes = {
      inFlight: new Gauge({
        name: 'promhttp_metric_handler_requests_in_flight',
        help: 'Scrapes being served.',
        registers,
      }),
      total: new Counter({
        name: 'promhttp_metric_handler_requests_total',
        help: 'Scrapes by HTTP status.',
        labelNames: ['code'],
        registers,
      }),
    };
    for (const code of ['200', '500', '503']) this.#scrapes.total.inc({ code }, 0);
    const buckets = [
      0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024,
      2.048, 4.096, 8.192,
    ];
    this.walFsync = new Histogram({
      name: 'etcd_disk_wal_fsync_duration_seconds',
      help: 'Latency of WAL syncs.',
      buckets,
      registers,
    });
    this.backendCommit = new Histogram({
      name: 'etcd_disk_backend_commit_duration_seconds',
      help: 'Latency of backend commits.',
      buckets,
      registers,
    });
    new Gauge({
      name: 'etcd_server_version',
      help: 'Which version is running.',
      labelNames: ['server_version'],
      registers,
    }).set({ server_version: versions.server }, 1);
  }

  /** One check of /livez or /readyz. */
  checked(type: string, name: string, isOk: boolean): void {
    this.#checks.last.set({ type, name }, isOk ? 1 : 0);
    this.#checks.total.inc({ type, name, status: isOk ? 'success' : 'error' });
  }

  /** Everything, for one scrape. */
  async scrape(): Promise<string> {
    this.#scrapes.inFlight.inc();
    try {
      return await this.registry.metrics();
    } finally {
      this.#scrapes.inFlight.dec();
      this.#scrapes.total.inc({ code: '200' });
    }
  }

  /** What only Linux tells; left out elsewhere. */
  #descriptors(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        try {
          this.set(read());
        } catch {
          this.reset();
        }
      },
    });
  }

  /** Counts a request by what its client tells of itself. A client cannot make the list grow without end. */
  countClient(version: string, isStream: boolean): void {
    let counts = this.clientRequests.get(version);
    if (counts === undefined) {
      const known = this.clientRequests.size < clientVersionsMax ? version : 'other';
      counts = this.clientRequests.get(known) ?? { unary: 0, stream: 0 };
      this.clientRequests.set(known, counts);
    }
    if (isStream) counts.stream++;
    else counts.unary++;
  }

  /** A counter that is read from a plain number at scrape time. */
  #total(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** The counts of one method. */
  rpc(info: MethodInfo<unknown, unknown>): RpcCounts {
    let counts = this.rpcs.get(info.path);
    if (counts === undefined) {
      const type = info.requestStream ? 'bidi_stream' : info.responseStream ? 'server_stream' : 'unary';
      counts = {
        labels: { grpc_type: type, grpc_service: info.service, grpc_method: info.method },
        started: 0,
        handled: Array.from({ length: grpcCodeNames.length }, () => 0),
        seconds: new Durations(grpcBuckets),
        messages: { received: 0, sent: 0 },
      };
      this.rpcs.set(info.path, counts);
    }
    return counts;
  }

  /** Feature gates. */
  features(gates: Readonly<Record<string, boolean>>): void {
    const gauge = new Gauge({
      name: 'etcd_server_feature_enabled',
      help: 'Feature gates: 1 on, 0 off.',
      labelNames: ['name', 'stage'],
      registers: [this.registry],
    });
    // Every gate that can be set here is off by default, as upstream's alpha ones are.
    for (const [name, isOn] of Object.entries(gates)) gauge.set({ name, stage: 'ALPHA' }, isOn ? 1 : 0);
  }

  /** Adds what is read from the running parts at scrape time. */
  observe(machine: StoreStateMachine, replication: Replication, quotaBytes: number, id: string): void {
    const registers = [this.registry];
    const live = (name: string, help: string, read: () => number): void => {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    };
    const flag = (value: boolean): number => (value ? 1 : 0);
    live('etcd_server_has_leader', 'Whether a leader exists.', () =>
      flag(replication.status().leader !== undefined),
    );
    live('etcd_server_is_leader', 'Whether this member leads.', () =>
      flag(replication.status().role === 'leader'),
    );
    live('etcd_server_is_learner', 'Whether this member is a learner.', () =>
      flag(replication.status().role === 'learner'),
    );
    live(
      'etcd_server_proposals_committed_total',
      'Committed proposals.',
      () => replication.status().commitIndex,
    );
    live(
      'etcd_server_proposals_applied_total',
      'Applied proposals.',
      () => replication.status().appliedIndex,
    );
    live('etcd_server_quota_backend_bytes', 'Backend quota in bytes.', () => quotaBytes);
    live('etcd_mvcc_db_total_size_in_bytes', 'Allocated size of the data.', () =>
      machine.backend.sizeAllocated(),
    );
    live(
      'etcd_mvcc_db_total_size_in_use_in_bytes',
      'Size of the data in use.',
      () => machine.store.liveBytes,
    );
    live('etcd_debugging_mvcc_keys_total', 'Keys.', () => machine.store.liveKeys);
    live('etcd_debugging_mvcc_current_revision', 'Current revision.', () => machine.store.currentRevision);
    live('etcd_debugging_mvcc_compact_revision', 'Last compacted revision.', () =>
      Math.max(0, machine.store.compactRevision),
    );
    live('etcd_debugging_mvcc_watcher_total', 'Watchers.', () => machine.watchable.watcherCount);
    live('etcd_debugging_mvcc_watch_stream_total', 'Watch streams.', () => machine.watchable.streamCount);
    this.work.watch(machine);
    const { counts } = machine.store;
    this.#total('etcd_mvcc_put_total', 'Puts seen by this member.', () => counts.put);
    this.#total('etcd_mvcc_delete_total', 'Deletes seen by this member.', () => counts.delete);
    this.#total('etcd_mvcc_range_total', 'Ranges seen by this member.', () => counts.range);
    this.#total('etcd_debugging_mvcc_range_total', 'Ranges seen by this member.', () => counts.range);
    this.#total('etcd_mvcc_txn_total', 'Write transactions seen by this member.', () => counts.txn);
    live('etcd_debugging_auth_revision', 'Revision of users and roles.', () => machine.auth.revision);
    new Gauge({ name: 'etcd_server_id', help: 'Server ID.', labelNames: ['server_id'], registers }).set(
      { server_id: id },
      1,
    );
    new Gauge({
      name: 'etcd_cluster_version',
      help: 'Which cluster version is running.',
      labelNames: ['cluster_version'],
      registers,
      collect() {
        const version = machine.clusterVersion;
        this.reset();
        if (version !== undefined) this.set({ cluster_version: version.split('.').slice(0, 2).join('.') }, 1);
      },
    });
  }
}
