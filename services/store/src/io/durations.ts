/** Counts of a histogram for one set of labels, not cumulative: adding one is cheap enough for every call. */
export class Durations {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /** `bounds`: upper ends of the buckets, ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    let index = 0;
    while (index < this.#bounds.length && value > (this.#bounds[index] as number)) index++;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  /** As the registry of metrics wants them. */
  values(name: string, labels: Record<string, string>): object[] {
    let total = 0;
    const buckets = this.#counts.map((count, index) => {
      total += count;
      return {
        metricName: `${name}_bucket`,
        labels: { ...labels, le: this.#bounds[index] ?? '+Inf' },
        value: total,
      };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: total },
    ];
  }
}

/** Bounds that double. */
export const doubling = (start: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => start * 2 ** index);

/** A histogram that is made of {@link Durations} at scrape time. The registry asks no more of a metric than its name and `get`. */
export function scrapedHistogram(name: string, help: string, values: () => object[]): never {
  const get = (): Promise<object> =>
    Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values: values() });
  return { name, get } as never;
}
