import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

/** Requests or events of one kind in one second. */
export interface Slice {
  readonly second: number;
  readonly count: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Series {
  /** `GET configmaps` for requests, a metric's name for events. */
  readonly name: string;
  readonly slices: readonly Slice[];
}

interface Pile {
  readonly values: number[];
  failed: number;
}

const eventMetrics = new Set(['watch_event_delay', 'pod_start', 'deployment_ready', 'informer_sync']);

/** Reads k6's CSV of all samples; milliseconds by series and second. Preparations are left out. */
export async function readSamples(file: string): Promise<Series[]> {
  const piles = new Map<string, Map<number, Pile>>();
  let columns: Map<string, number> | undefined;
  let first = Infinity;
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const cells = line.split(',');
    if (columns === undefined) {
      columns = new Map(cells.map((name, index) => [name, index]));
      continue;
    }
    const cell = (name: string): string => cells[columns?.get(name) ?? -1] ?? '';
    const metric = cell('metric_name');
    const isRequest = metric === 'http_req_duration';
    if (!isRequest && !eventMetrics.has(metric)) continue;
    const name = isRequest ? cell('name') : metric;
    if (name === 'setup' || name === '') continue;
    const second = Number(cell('timestamp'));
    first = Math.min(first, second);
    let bySecond = piles.get(name);
    if (bySecond === undefined) piles.set(name, (bySecond = new Map<number, Pile>()));
    let pile = bySecond.get(second);
    if (pile === undefined) bySecond.set(second, (pile = { values: [], failed: 0 }));
    pile.values.push(Number(cell('metric_value')));
    if (isRequest && cell('expected_response') === 'false') pile.failed++;
  }
  return Array.from(piles, ([name, bySecond]) => ({
    name,
    slices: [...bySecond]
      .sort(([a], [b]) => a - b)
      .map(([second, { values, failed }]) => {
        values.sort((a, b) => a - b);
        return {
          second: second - first,
          count: values.length,
          failed,
          p50: quantile(values, 0.5),
          p99: quantile(values, 0.99),
          max: values.at(-1) ?? 0,
        };
      }),
  })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Nearest rank, of sorted values. */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * q) - 1)] ?? 0;
}
