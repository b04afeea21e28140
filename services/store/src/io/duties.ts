import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { hexId } from '../core/index.ts';
import type { StoreConfig } from '../config.ts';
import { QuotaWatch } from './quota-watch.ts';
import { versions, type StoreService } from './rpc/store-service.ts';

const leaseCheckMs = 500;
const expiredBatch = 1000;
const checkpointBatch = 500;
const compactionSliceMs = 5;
/** Revisions between two looks at the clock. */
const compactionPiece = 50;

/** What a member does by the clock: expiring leases and setting the cluster version while it leads, compacting, notifying. */
export class Duties {
  readonly #service: StoreService;
  readonly #config: StoreConfig;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timers: Timer[] = [];
  readonly #quota: QuotaWatch;
  readonly #revoking = new Set<bigint>();
  #compaction: Timer | undefined;
  /** The term in which this member counts lease time. */
  #leadTerm = 0;
  #isExpiring = false;
  #compactionStarted = 0;
  #unsubscribe: (() => void) | undefined;
  #isStopped = false;

  constructor(service: StoreService, config: StoreConfig) {
    this.#service = service;
    this.#quota = new QuotaWatch(service);
    this.#config = config;
    this.#clock = service.options.clock;
    this.#logger = service.options.logger;
  }

  start(): void {
    const { machine, replication, options } = this.#service;
    const lead = (): void => {
      const { role, term } = replication.status();
      const leads = role === 'leader';
      if (leads && (!machine.lessor.isPrimary || term !== this.#leadTerm)) {
        this.#leadTerm = term;
        machine.lessor.promote(this.#clock.monotonic(), options.electionMs);
        void this.#setClusterVersion();
      } else if (!leads && machine.lessor.isPrimary) machine.lessor.demote();
    };
    this.#unsubscribe = replication.onLeaderChange(lead);
    lead();
    this.#timers.push(
      this.#clock.setInterval(() => {
        lead();
        void this.#expireLeases();
        this.#checkpointLeases();
        this.#quota.check();
      }, leaseCheckMs),
      this.#clock.setInterval(
        () => machine.watchable.notifyProgress(),
        this.#config.watchProgressNotifyIntervalMs,
      ),
    );
    machine.onCompact = () => this.#compact();
    this.#compact();
    this.#startAutoCompaction();
  }

  stop(): void {
    this.#isStopped = true;
    this.#unsubscribe?.();
    this.#compaction?.cancel();
    for (const timer of this.#timers) timer.cancel();
  }

  /**
   * Revokes what has expired, after a round with the quorum: a leader that was paused has not noticed yet that another one renews
   * its leases. The revocations count only in this term.
   */
  async #expireLeases(): Promise<void> {
    const { machine, replication } = this.#service;
    const { lessor } = machine;
    if (this.#isExpiring || lessor.expired(this.#clock.monotonic(), 1).length === 0) return;
    const term = this.#leadTerm;
    this.#isExpiring = true;
    try {
      await this.#service.readBarrier();
    } catch {
      return;
    } finally {
      this.#isExpiring = false;
    }
    const status = replication.status();
    if (this.#isStopped || status.role !== 'leader' || status.term !== term || !lessor.isPrimary) return;
    for (const id of lessor.expired(this.#clock.monotonic(), expiredBatch)) {
      if (this.#revoking.has(id)) continue;
      this.#revoking.add(id);
      this.#service
        .propose({ leaseRevoke: { ID: id } }, undefined, term)
        .then(() => this.#service.options.metrics?.leasesExpired.inc())
        .catch((error: unknown) => {
          this.#logger.debug('failed to revoke an expired lease; will retry', {
            'lease-id': hexId(id),
            error: errorMessage(error),
          });
        })
        .finally(() => this.#revoking.delete(id));
    }
  }

  /** Writes down what is left of long leases now and then, so that a new leader does not give them their whole TTL again. */
  #checkpointLeases(): void {
    const { features, leaseCheckpointMs } = this.#config;
    if (!features.LeaseCheckpoint) return;
    const { lessor } = this.#service.machine;
    const due = lessor.dueCheckpoints(this.#clock.monotonic(), leaseCheckpointMs, checkpointBatch);
    if (due.length === 0) return;
    const checkpoints = due.map(({ id, remainingSeconds }) => ({ ID: id, remainingTTL: remainingSeconds }));
    this.#service
      .propose({ leaseCheckpoint: { checkpoints } }, undefined, this.#leadTerm)
      .catch((error: unknown) => {
        this.#logger.debug('failed to checkpoint leases', { error: errorMessage(error) });
      });
  }

  async #setClusterVersion(): Promise<void> {
    const { machine } = this.#service;
    while (!this.#isStopped && machine.lessor.isPrimary && machine.clusterVersion === undefined) {
      try {
        await this.#service.propose({ clusterVersionSet: { ver: versions.cluster } });
        this.#logger.info('set initial cluster version', { 'cluster-version': versions.cluster });
      } catch {
        await new Promise<void>((resolve) => void this.#clock.setTimeout(resolve, 200));
      }
    }
  }

  /** Removes what the last compaction made unreadable, a batch at a time. */
  #compact(): void {
    const { store } = this.#service.machine;
    if (this.#compaction !== undefined || this.#isStopped) return;
    this.#compactionStarted = this.#clock.monotonic();
    const step = (): void => {
      this.#compaction = undefined;
      if (this.#isStopped) return;
      // A batch, or as much of it as the time for one allows.
      const { metrics } = this.#service.options;
      const began = this.#clock.monotonic();
      const end = began + compactionSliceMs;
      let left = this.#config.compactionBatchLimit;
      let hasMore = true;
      while (hasMore && left > 0 && this.#clock.monotonic() < end) {
        hasMore = store.compactStep(Math.min(left, compactionPiece));
        left -= compactionPiece;
      }
      const tookMs = this.#clock.monotonic() - began;
      metrics?.observe('compactionPause', tookMs);
      metrics?.observe('indexPause', tookMs);
      if (hasMore) {
        this.#compaction = this.#clock.setTimeout(step, this.#config.compactionSleepMs);
        return;
      }
      if (store.compactRevision > 0) {
        metrics?.observe('compaction', this.#clock.monotonic() - this.#compactionStarted);
        metrics?.compactionEnded(this.#clock.now());
        this.#logger.info('finished scheduled compaction', {
          'compact-revision': store.compactRevision,
          took: `${(this.#clock.monotonic() - this.#compactionStarted).toFixed(3)}ms`,
        });
      }
    };
    this.#compaction = this.#clock.setTimeout(step, 0);
  }

  #startAutoCompaction(): void {
    const { autoCompactionMode: mode, autoCompactionRetention: retention } = this.#config;
    if (retention <= 0) return;
    const { machine, replication } = this.#service;
    const compact = (revision: number): void => {
      if (replication.status().role !== 'leader' || revision <= Math.max(1, machine.store.compactRevision))
        return;
      this.#logger.info('starting auto compaction', { mode, revision });
      this.#service.propose({ compaction: { revision } }).catch((error: unknown) => {
        this.#logger.warn('failed auto compaction', { revision, error: errorMessage(error) });
      });
    };
    if (mode === 'revision') {
      this.#timers.push(
        this.#clock.setInterval(() => compact(machine.store.currentRevision - retention), 300_000),
      );
      return;
    }
    const periodMs = Math.min(retention, 3_600_000) / 10;
    const seen: { atMs: number; revision: number }[] = [];
    this.#timers.push(
      this.#clock.setInterval(() => {
        const nowMs = this.#clock.monotonic();
        seen.push({ atMs: nowMs, revision: machine.store.currentRevision });
        let revision = 0;
        while (seen.length > 0 && (seen[0] as { atMs: number }).atMs <= nowMs - retention) {
          revision = (seen.shift() as { revision: number }).revision;
        }
        if (revision > 0) compact(revision);
      }, periodMs),
    );
  }
}
