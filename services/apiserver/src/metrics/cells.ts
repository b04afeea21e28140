import type { Registry } from 'prom-client';

/** What metrics are added to. */
export type MetricTaker = Pick<Registry, 'registerMetric'>;

/** One value of a metric as prom-client writes it. */
export interface MetricValue {
  readonly labels: Record<string, string | number>;
  readonly value: number;
  readonly metricName?: string;
}

/** Adds a metric that tells its values when asked. The registry asks no more of a metric than its name and `get`. */
export function registerSource(
  registry: MetricTaker,
  name: string,
  help: string,
  type: 'counter' | 'gauge' | 'histogram',
  values: () => MetricValue[],
): void {
  const get = (): Promise<object> =>
    Promise.resolve({ name, help, type, values: values(), aggregator: 'sum' });
  registry.registerMetric({ name, help, type, get } as never);
}

/** A counter or gauge with its labels fixed: changing it is one addition. */
export class Cell {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }

  dec(by = 1): void {
    this.value -= by;
  }

  set(value: number): void {
    this.value = value;
  }
}

/**
 * A counter or gauge whose users keep the cells of their labels. prom-client's own classes check and hash the labels at each change, which
 * costs more than the rest of a small request.
 */
export class CellFamily {
  readonly #labelNames: readonly string[];
  readonly #cells = new Map<string, { labels: Record<string, string>; cell: Cell }>();

  constructor(
    registry: MetricTaker,
    options: { name: string; help: string; type: 'counter' | 'gauge'; labelNames: readonly string[] },
  ) {
    this.#labelNames = options.labelNames;
    registerSource(registry, options.name, options.help, options.type, () =>
      Array.from(this.#cells.values(), ({ labels, cell }) => ({ labels, value: cell.value })),
    );
  }

  /** Values of the labels in the order of their names. */
  cell(...values: readonly string[]): Cell {
    const key = values.join('\0');
    let found = this.#cells.get(key);
    if (found === undefined) {
      found = { labels: labelsOf(this.#labelNames, values), cell: new Cell() };
      this.#cells.set(key, found);
    }
    return found.cell;
  }
}

/** The buckets of one series of a histogram. */
export class Distribution {
  readonly #bounds: readonly number[];
  /** Not cumulative; one more than there are bounds. */
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** `weight`: so many observations of the value at once. */
  observe(value: number, weight = 1): void {
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] as number)) index++;
    this.#counts[index] = (this.#counts[index] ?? 0) + weight;
    this.#sum += value * weight;
  }

  get count(): number {
    return this.#counts.reduce((sum, each) => sum + each, 0);
  }

  values(name: string, labels: Record<string, string>): MetricValue[] {
    const values: MetricValue[] = [];
    let total = 0;
    for (const [index, count] of this.#counts.entries()) {
      total += count;
      const le = this.#bounds[index] ?? '+Inf';
      values.push({ labels: { le, ...labels }, value: total, metricName: `${name}_bucket` });
    }
    values.push({ labels, value: this.#sum, metricName: `${name}_sum` });
    values.push({ labels, value: total, metricName: `${name}_count` });
    return values;
  }
}

/** A histogram whose users keep the series of their labels. */
export class DistributionFamily {
  readonly #labelNames: readonly string[];
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, { labels: Record<string, string>; series: Distribution }>();

  constructor(
    registry: MetricTaker,
    options: {
      name: string;
      help: string;
      labelNames: readonly string[];
      buckets: readonly number[];
      /** Called whenever the metric is read. */
      beforeRead?(): void;
    },
  ) {
    this.#labelNames = options.labelNames;
    this.#bounds = options.buckets;
    registerSource(registry, options.name, options.help, 'histogram', () => {
      options.beforeRead?.();
      return [...this.#series.values()].flatMap(({ labels, series }) => series.values(options.name, labels));
    });
  }

  series(...values: readonly string[]): Distribution {
    const key = values.join('\0');
    let found = this.#series.get(key);
    if (found === undefined) {
      found = { labels: labelsOf(this.#labelNames, values), series: new Distribution(this.#bounds) };
      this.#series.set(key, found);
    }
    return found.series;
  }
}

function labelsOf(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
}
