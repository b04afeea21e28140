import type { Metrics } from '@pilothouse/host';

const attemptBuckets = [
  0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
];

/** Where the gauges are read. */
export interface MetricSources {
  queue(): {
    readonly active: number;
    readonly backoff: number;
    readonly unschedulable: number;
    readonly gated: number;
  };
  /** Counts by type. */
  cache(): Readonly<Record<string, number>>;
  /** Name of the lease; absent: no election. */
  readonly lease?: string;
  isLeader?(): boolean;
}

/** Metrics of scheduling, with upstream's names and labels. */
export class SchedulerMetrics {
  readonly countAttempt;
  readonly observeAttempt;
  readonly observeAlgorithm;
  readonly observeAttempts;
  readonly observeScheduled;
  readonly countPreemption;
  readonly observeVictims;
  readonly #metrics: Metrics;

  constructor(metrics: Metrics, sources: MetricSources) {
    this.#metrics = metrics;
    const { lease } = sources;
    this.countAttempt = metrics.counter(
      'scheduler_schedule_attempts_total',
      'Number of attempts to schedule pods, by the result.',
    );
    this.observeAttempt = metrics.histogram(
      'scheduler_scheduling_attempt_duration_seconds',
      'Scheduling attempt latency in seconds (scheduling algorithm + binding)',
      attemptBuckets,
    );
    this.observeAlgorithm = metrics.histogram(
      'scheduler_scheduling_algorithm_duration_seconds',
      'Scheduling algorithm latency in seconds',
      attemptBuckets,
    );
    this.observeAttempts = metrics.histogram(
      'scheduler_pod_scheduling_attempts',
      'Number of attempts to successfully schedule a pod.',
      [1, 2, 4, 8, 16],
    );
    this.countPreemption = metrics.counter(
      'scheduler_preemption_attempts_total',
      'Total preemption attempts in the cluster till now',
    );
    this.observeVictims = metrics.histogram(
      'scheduler_preemption_victims',
      'Number of selected preemption victims',
      [1, 2, 4, 8, 16, 32, 64],
    );
    metrics.gauge('scheduler_pending_pods', 'Number of pending pods, by the queue type.', () => {
      const { active, backoff, unschedulable, gated } = sources.queue();
      return [
        [{ queue: 'active' }, active],
        [{ queue: 'backoff' }, backoff],
        [{ queue: 'gated' }, gated],
        [{ queue: 'unschedulable' }, unschedulable],
      ];
    });
    metrics.gauge(
      'scheduler_cache_size',
      'Number of nodes, pods, and assumed (bound) pods in the scheduler cache.',
      () => Object.entries(sources.cache()).map(([type, count]) => [{ type }, count]),
    );
    metrics.gauge(
      'leader_election_master_status',
      'Gauge of if the reporting system is master of the relevant lease',
      () => (lease === undefined ? [] : [[{ name: lease }, sources.isLeader?.() === true ? 1 : 0]]),
    );
    this.observeScheduled = metrics.histogram(
      'scheduler_pod_scheduling_sli_duration_seconds',
      'Time from the first look at a pod until it was bound, in seconds',
      Array.from({ length: 20 }, (_, index) => 0.01 * 2 ** index),
    );
  }

  render(): string {
    return this.#metrics.render();
  }
}
