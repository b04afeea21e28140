import type { Registry } from 'prom-client';
import type { Cell, Distribution, MetricValue } from './cells.ts';
import { CellFamily, DistributionFamily, registerSource } from './cells.ts';
import type { VirtualProgress } from '../flow-control/fair-queue.ts';
import type { FlowController } from '../flow-control/flow-controller.ts';
import { TimedValue } from '../flow-control/level-use.ts';
import type { PriorityLevel } from '../flow-control/priority-level.ts';

const labelNames = ['priority_level', 'flow_schema'] as const;
const seconds = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];

/** The metrics of the requests of one flow schema at one level. */
export interface FlowSeries {
  readonly dispatched: Cell;
  readonly executing: Cell;
  readonly executingSeats: Cell;
  readonly inQueue: Cell;
  readonly inQueueSeats: Cell;
  readonly queueLength: Distribution;
  readonly waited: Distribution;
  readonly gaveUp: Distribution;
  readonly execution: Distribution;
  readonly seats: Distribution;
  /** Watchers of what writes change. */
  readonly watchCount: Distribution;
  /** Turns that came without enough seats. */
  readonly noRoom: Cell;
  rejected(reason: string): Cell;
}

/** Metrics of priority and fairness, with upstream's names. Gauges of the levels are read from the controller when they are asked for. */
export class FlowMetrics {
  readonly #series = new Map<string, FlowSeries>();
  readonly #make: (level: string, schema: string) => FlowSeries;

  constructor(registry: Registry) {
    const name = (rest: string): string => `apiserver_flowcontrol_${rest}`;
    const family = (
      rest: string,
      help: string,
      type: 'counter' | 'gauge',
      names: readonly string[] = labelNames,
    ) => new CellFamily(registry, { name: name(rest), help, type, labelNames: names });
    const distribution = (
      rest: string,
      help: string,
      buckets: readonly number[],
      names: readonly string[] = labelNames,
    ) => new DistributionFamily(registry, { name: name(rest), help, labelNames: names, buckets });
    const rejected = family('rejected_requests_total', 'Requests that were refused', 'counter', [
      ...labelNames,
      'reason',
    ]);
    const dispatched = family('dispatched_requests_total', 'Requests that were executed', 'counter');
    const executing = family('current_executing_requests', 'Requests that are executed', 'gauge');
    const executingSeats = family(
      'current_executing_seats',
      'Seats of the requests that are executed',
      'gauge',
    );
    const inQueue = family('current_inqueue_requests', 'Requests that wait', 'gauge');
    const inQueueSeats = family('current_inqueue_seats', 'Seats that requests wait for', 'gauge');
    const lengths = [0, 10, 25, 50, 100, 250, 500, 1000];
    const queueLength = distribution(
      'request_queue_length_after_enqueue',
      'Length of the queue that a request came to',
      lengths,
    );
    const waited = distribution('request_wait_duration_seconds', 'Time that requests waited', seconds, [
      ...labelNames,
      'execute',
    ]);
    const execution = distribution('request_execution_seconds', 'Time that requests were executed', seconds, [
      ...labelNames,
      'type',
    ]);
    const seats = distribution(
      'work_estimated_seats',
      'Seats that requests were given',
      [1, 2, 4, 8, 16, 32, 64, 100],
    );
    const watchCount = distribution(
      'watch_count_samples',
      'Watchers of what a write changes',
      [0, 1, 10, 100, 1000, 10_000],
    );
    const noRoom = family(
      'request_dispatch_no_accommodation_total',
      'Times that a request was next and the free seats did not suffice',
      'counter',
    );
    this.#make = (level, schema) => ({
      dispatched: dispatched.cell(level, schema),
      executing: executing.cell(level, schema),
      executingSeats: executingSeats.cell(level, schema),
      inQueue: inQueue.cell(level, schema),
      inQueueSeats: inQueueSeats.cell(level, schema),
      queueLength: queueLength.series(level, schema),
      waited: waited.series(level, schema, 'true'),
      gaveUp: waited.series(level, schema, 'false'),
      execution: execution.series(level, schema, 'regular'),
      seats: seats.series(level, schema),
      watchCount: watchCount.series(level, schema),
      noRoom: noRoom.cell(level, schema),
      rejected: (reason) => rejected.cell(level, schema, reason),
    });
  }

  of(level: string, schema: string): FlowSeries {
    const key = `${level} ${schema}`;
    let series = this.#series.get(key);
    if (series === undefined) this.#series.set(key, (series = this.#make(level, schema)));
    return series;
  }
}

/** Gauges of the priority levels. */
export function registerLevelMetrics(registry: Registry, controller: FlowController): void {
  const gauge = (rest: string, help: string, value: (level: PriorityLevel) => number): void => {
    registerSource(registry, `apiserver_flowcontrol_${rest}`, help, 'gauge', () =>
      Array.from(controller.levels.values(), (level): MetricValue => ({
        labels: { priority_level: level.name },
        value: value(level),
      })),
    );
  };
  gauge('request_concurrency_limit', 'Nominal seats of a level', ({ settings }) => settings.nominalSeats);
  gauge('nominal_limit_seats', 'Nominal seats of a level', ({ settings }) => settings.nominalSeats);
  gauge('lower_limit_seats', 'Seats that a level keeps', ({ settings }) => settings.minSeats);
  gauge('upper_limit_seats', 'Seats that a level may come to', ({ settings }) => settings.maxSeats);
  gauge('current_limit_seats', 'Seats of a level at the moment', ({ currentSeats }) => currentSeats);
  gauge(
    'demand_seats_high_watermark',
    'Highest demand of the last period',
    ({ demand }) => demand.highWatermark,
  );
  gauge('demand_seats_average', 'Average demand of the last period', ({ demand }) => demand.average);
  gauge('demand_seats_stdev', 'Deviation of the demand in the last period', ({ demand }) => demand.deviation);
  gauge('demand_seats_smoothed', 'Demand, falling slowly', ({ demand }) => demand.smoothed);
  gauge('target_seats', 'Seats that a level should have', ({ demand, settings }) =>
    Math.max(settings.minSeats, Math.min(settings.nominalSeats, demand.highWatermark), demand.smoothed),
  );
  registerSource(
    registry,
    'apiserver_flowcontrol_seat_fair_frac',
    'Share of the targets that all levels can have',
    'gauge',
    () => [{ labels: {}, value: controller.fairFraction }],
  );
}

/** How much of the levels was used, for how long. `now`: milliseconds of the clock that the levels go by. */
export function registerLevelUse(registry: Registry, controller: FlowController, now: () => number): void {
  const family = (
    rest: string,
    help: string,
    buckets: readonly number[],
    beforeRead?: () => void,
  ): DistributionFamily =>
    new DistributionFamily(registry, {
      name: `apiserver_flowcontrol_priority_level_${rest}`,
      help,
      labelNames: ['priority_level', 'phase'],
      buckets,
      ...(beforeRead === undefined ? {} : { beforeRead }),
    });
  const follow = (): void => {
    const nowMs = now();
    for (const level of controller.levels.values()) {
      level.use ??= {
        seats: new TimedValue(seats.series(level.name, 'executing'), nowMs),
        executing: new TimedValue(requests.series(level.name, 'executing'), nowMs),
        waiting: new TimedValue(requests.series(level.name, 'waiting'), nowMs),
      };
      level.noteDemand(nowMs);
    }
  };
  const seats = family(
    'seat_utilization',
    'Share of the seats that was in use, for each nanosecond',
    [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1],
    follow,
  );
  const requests = family(
    'request_utilization',
    'Share of the places that requests took, for each nanosecond',
    [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1],
    follow,
  );
  follow();
}

/** Virtual time of the levels that have queues. */
export function registerVirtualTime(registry: Registry, controller: FlowController): void {
  const gauge = (
    rest: string,
    help: string,
    values: (progress: VirtualProgress) => readonly (readonly [Record<string, string>, number])[],
  ): void => {
    registerSource(registry, `apiserver_flowcontrol_${rest}`, help, 'gauge', () =>
      [...controller.levels.values()]
        .filter(({ settings }) => settings.queueing !== undefined)
        .flatMap(({ name, queue }) =>
          values(queue.progress).map(([labels, value]): MetricValue => ({
            labels: { priority_level: name, ...labels },
            value,
          })),
        ),
    );
  };
  const bounds = (found: VirtualProgress['nextStarts']): (readonly [Record<string, string>, number])[] =>
    found === undefined
      ? []
      : [
          [{ bound: 'min' }, found.min],
          [{ bound: 'max' }, found.max],
        ];
  gauge('current_r', 'Virtual time now', ({ current }) => [[{}, current]]);
  gauge('dispatch_r', 'Virtual time of the last dispatch', ({ atLastDispatch }) => [[{}, atLastDispatch]]);
  gauge('latest_s', 'Virtual start of the request dispatched last', ({ latestStart }) => [[{}, latestStart]]);
  gauge('next_s_bounds', 'Virtual starts of the oldest requests that wait', ({ nextStarts }) =>
    bounds(nextStarts),
  );
  gauge('next_discounted_s_bounds', 'The same, without the work under way', ({ nextDiscountedStarts }) =>
    bounds(nextDiscountedStarts),
  );
}
