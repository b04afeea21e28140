/** One sample of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Samples of the wanted metrics (0.0.4 text format); lines that are none are passed over. */
export function parseMetrics(text: string, wanted: ReadonlySet<string>): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (!match || !wanted.has(match[1] as string)) continue;
    const labels: Record<string, string> = {};
    for (const label of (match[2] ?? '').matchAll(/([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g))
      labels[label[1] as string] = (label[2] as string).replaceAll(/\\(.)/g, (_, each: string) =>
        each === 'n' ? '\n' : each,
      );
    const number = match[3] === '+Inf' ? Infinity : Number(match[3]);
    samples.push({ name: match[1] as string, labels, value: number });
  }
  return samples;
}

/** The value of a metric without regard to labels; undefined when there is none. */
export function valueOf(samples: readonly Sample[], name: string): number | undefined {
  return samples.find((each) => each.name === name)?.value;
}

/** Counts of a histogram's buckets by upper bound, in order, for a quantile of what came between two looks. */
export function bucketsOf(samples: readonly Sample[], name: string): [bound: number, count: number][] {
  return samples
    .filter((each) => each.name === `${name}_bucket`)
    .map((each): [number, number] => [
      each.labels['le'] === '+Inf' ? Infinity : Number(each.labels['le']),
      each.value,
    ])
    .sort(([a], [b]) => a - b);
}

/** A quantile as Prometheus' histogram_quantile estimates it, in the histogram's unit; undefined without observations. */
export function quantileOf(
  buckets: readonly (readonly [number, number])[],
  quantile: number,
): number | undefined {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0) return undefined;
  const rank = quantile * total;
  let [lowerBound, lowerCount] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= rank) {
      if (bound === Infinity) return lowerBound;
      return lowerBound + ((bound - lowerBound) * (rank - lowerCount)) / Math.max(1, count - lowerCount);
    }
    [lowerBound, lowerCount] = [bound, count];
  }
  return lowerBound;
}
