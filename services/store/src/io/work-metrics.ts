import type { Registry } from 'prom-client';
import { Counter, Gauge, Histogram } from 'prom-client';
import { hexId, type StoreStateMachine } from '../core/index.ts';
import { ApplyMetrics } from './apply-metrics.ts';
import { doubling } from './durations.ts';

/** By number. */
const alarmNames = ['NONE', 'NOSPACE', 'CORRUPT'];

/** Work beside requests whose time is measured. */
export type Work =
  'compactionPause' | 'indexPause' | 'compaction' | 'defragment' | 'snapshot' | 'hash' | 'hashRevision';

/** Bounds as etcd has them; milliseconds where the name says so. */
const histograms: Readonly<Record<Work, readonly [name: string, help: string, buckets: number[]]>> = {
  compactionPause: [
    'etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds',
    'How long one step of a compaction took the event loop.',
    doubling(1, 13),
  ],
  indexPause: [
    'etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds',
    'How long one step of a compaction, which works on index and data together, took the event loop.',
    doubling(0.5, 14),
  ],
  compaction: [
    'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds',
    'How long compactions took from beginning to end.',
    doubling(100, 14),
  ],
  defragment: [
    'etcd_disk_backend_defrag_duration_seconds',
    'How long defragmentations took.',
    doubling(0.1, 13),
  ],
  snapshot: [
    'etcd_disk_backend_snapshot_duration_seconds',
    'How long snapshots for clients took to be written and sent.',
    doubling(0.01, 17),
  ],
  hash: ['etcd_mvcc_hash_duration_seconds', 'How long hashes of everything took.', doubling(0.01, 15)],
  hashRevision: [
    'etcd_mvcc_hash_rev_duration_seconds',
    'How long hashes of the keys at a revision took.',
    doubling(0.01, 15),
  ],
};

/** etcd's metrics of what the store does beside answering requests, and of leases, watchers and the log. */
export class WorkMetrics {
  readonly #registry: Registry;
  readonly #histograms = new Map<Work, Histogram>();
  readonly leasesExpired: Counter;
  readonly readIndexesFailed: Counter;
  readonly readIndexesSlow: Counter;
  readonly learnersPromoted: Counter;
  readonly learnersNotPromoted: Counter;
  /** Bytes of records that were given to the log. */
  logBytes = 0;
  #lastCompactionSeconds = 0;
  #defragmentsUnderWay = 0;

  constructor(registry: Registry) {
    this.#registry = registry;
    const registers = [registry];
    for (const [work, [name, help, buckets]] of Object.entries(histograms))
      this.#histograms.set(work as Work, new Histogram({ name, help, buckets, registers }));
    const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
    this.leasesExpired = counter('etcd_debugging_server_lease_expired_total', 'Leases that expired.');
    this.readIndexesFailed = counter('etcd_server_read_indexes_failed_total', 'Failed read index rounds.');
    this.readIndexesSlow = counter(
      'etcd_server_slow_read_indexes_total',
      'Reads whose round with the quorum was not answered in time.',
    );
    this.#live('etcd_debugging_mvcc_db_compaction_last', 'When the last compaction ended, Unix time.', () =>
      Math.floor(this.#lastCompactionSeconds),
    );
    this.#live('etcd_disk_defrag_inflight', 'Whether a defragmentation is under way.', () =>
      this.#defragmentsUnderWay > 0 ? 1 : 0,
    );
    this.#live('etcd_disk_wal_write_bytes_total', 'Bytes written to the log.', () => this.logBytes);
    this.learnersPromoted = counter(
      'etcd_server_learner_promote_successes',
      'Learners that this member promoted as leader.',
    );
    this.learnersNotPromoted = new Counter({
      name: 'etcd_server_learner_promote_failures',
      help: 'Promotions that this member refused as leader, by reason.',
      labelNames: ['Reason'],
      registers,
    });
  }

  /** `durationMs` of a piece of work that is done. */
  observe(work: Work, durationMs: number): void {
    const isMilliseconds = ['compaction', 'compactionPause', 'indexPause'].includes(work);
    this.#histograms.get(work)?.observe(isMilliseconds ? durationMs : durationMs / 1000);
  }

  compactionEnded(nowMs: number): void {
    this.#lastCompactionSeconds = nowMs / 1000;
  }

  defragmenting(count: 1 | -1): void {
    this.#defragmentsUnderWay += count;
  }

  /** Adds what is read from the state machine at scrape time. */
  watch(machine: StoreStateMachine): void {
    const { store, lessor, watchable } = machine;
    new ApplyMetrics(this.#registry, machine);
    const registers = [this.#registry];
    const { counts } = store;
    this.#total(
      'etcd_debugging_mvcc_db_compaction_keys_total',
      'Revisions that compactions removed.',
      () => counts.compacted,
    );
    this.#live(
      'etcd_debugging_mvcc_total_put_size_in_bytes',
      'Bytes of all puts seen by this member.',
      () => counts.putBytes,
    );
    this.#total(
      'etcd_debugging_mvcc_events_total',
      'Events sent by this member.',
      () => watchable.sentEvents,
    );
    this.#live(
      'etcd_debugging_mvcc_slow_watcher_total',
      'Watchers that are behind.',
      () => watchable.slowCount,
    );
    this.#live(
      'etcd_debugging_mvcc_pending_events_total',
      'Revisions that watchers which are behind have still to look through.',
      () => watchable.pendingCount,
    );
    this.#live(
      'etcd_mvcc_db_open_read_transactions',
      'Views of the stored data that are open.',
      () => machine.backend.openImages,
    );
    new Gauge({
      name: 'etcd_debugging_server_alarms',
      help: 'Alarms that are on.',
      labelNames: ['server_id', 'alarm_type'],
      registers,
      collect() {
        this.reset();
        for (const { memberId, type } of machine.alarms)
          this.set({ server_id: hexId(memberId), alarm_type: alarmNames[type] ?? String(type) }, 1);
      },
    });
    const leases = lessor.counts;
    this.#total('etcd_debugging_lease_granted_total', 'Leases granted.', () => leases.granted);
    this.#total('etcd_debugging_lease_revoked_total', 'Leases revoked.', () => leases.revoked);
    this.#total(
      'etcd_debugging_lease_renewed_total',
      'Leases renewed by this member as leader.',
      () => leases.renewed,
    );
    const ttls = new Histogram({
      name: 'etcd_debugging_lease_ttl_total',
      help: 'TTLs of granted leases, seconds.',
      buckets: doubling(1, 24),
      registers,
    });
    lessor.onGranted = (ttlSeconds) => ttls.observe(ttlSeconds);
  }

  #live(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  #total(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }
}
