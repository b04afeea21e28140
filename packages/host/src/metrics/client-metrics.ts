import type { Clock } from '@pilothouse/base';
import type { Metrics } from './metrics.ts';

const requestBuckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
const sizeBuckets = [64, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216];
const queueBuckets = [1e-8, 1e-7, 1e-6, 9.999999999999999e-6, 9.999999999999999e-5, 0.001, 0.01, 0.1, 1, 10];

/** Told of every request that a client makes. */
export interface RequestObserver {
  /** `code` is the HTTP status, or `<error>` when there was no answer. Times in seconds, sizes in bytes. */
  request(request: {
    readonly host: string;
    readonly method: string;
    readonly code: string;
    readonly seconds: number;
    readonly bytes: number;
  }): void;
}

/** rest_client_* with upstream's names and labels. */
export function clientMetrics(metrics: Metrics): RequestObserver {
  const total = metrics.counter('rest_client_requests_total', 'Requests to the API by answer code');
  const duration = metrics.histogram(
    'rest_client_request_duration_seconds',
    'Time until an answer began, in seconds',
    requestBuckets,
  );
  const size = metrics.histogram('rest_client_request_size_bytes', 'Bytes of request bodies', sizeBuckets);
  return {
    request({ host, method, code, seconds, bytes }) {
      total({ code, host, method });
      duration(seconds, { host, verb: method });
      size(bytes, { host, verb: method });
    },
  };
}

/** Told what happens to the keys of one work queue. */
export interface QueueObserver {
  added(key: string): void;
  taken(key: string): void;
  done(key: string): void;
  retried(): void;
}

/** workqueue_* with upstream's names and labels, for any number of queues. */
export function queueMetrics(metrics: Metrics, clock: Clock): (name: string) => QueueObserver {
  const adds = metrics.counter('workqueue_adds_total', 'Keys that were added');
  const retries = metrics.counter('workqueue_retries_total', 'Keys that were added again after a failure');
  const waited = metrics.histogram(
    'workqueue_queue_duration_seconds',
    'Time that keys waited, in seconds',
    queueBuckets,
  );
  const worked = metrics.histogram(
    'workqueue_work_duration_seconds',
    'Time that keys were worked on, in seconds',
    queueBuckets,
  );
  const queues = new Map<string, { waiting: Map<string, number>; working: Map<string, number> }>();
  const each = (
    name: string,
    help: string,
    read: (queue: { waiting: Map<string, number>; working: Map<string, number> }) => number,
  ): void =>
    metrics.gauge(name, help, () => Array.from(queues, ([queue, state]) => [{ name: queue }, read(state)]));
  const ages = ({ working }: { working: Map<string, number> }): number[] => {
    const now = clock.monotonic();
    return Array.from(working.values(), (since) => (now - since) / 1000);
  };
  each('workqueue_depth', 'Keys that wait', ({ waiting }) => waiting.size);
  each('workqueue_unfinished_work_seconds', 'Age of all work that goes on, in seconds', (queue) =>
    ages(queue).reduce((sum, age) => sum + age, 0),
  );
  each('workqueue_longest_running_processor_seconds', 'Age of the oldest work that goes on', (queue) =>
    Math.max(0, ...ages(queue)),
  );
  return (name) => {
    // After a term as leader the queues begin anew under the same names.
    const state = { waiting: new Map<string, number>(), working: new Map<string, number>() };
    queues.set(name, state);
    const labels = { name };
    adds(labels, 0);
    retries(labels, 0);
    return {
      added(key) {
        adds(labels);
        state.waiting.set(key, clock.monotonic());
      },
      taken(key) {
        const now = clock.monotonic();
        const since = state.waiting.get(key);
        state.waiting.delete(key);
        state.working.set(key, now);
        if (since !== undefined) waited((now - since) / 1000, labels);
      },
      done(key) {
        const since = state.working.get(key);
        state.working.delete(key);
        if (since !== undefined) worked((clock.monotonic() - since) / 1000, labels);
      },
      retried: () => retries(labels),
    };
  };
}
