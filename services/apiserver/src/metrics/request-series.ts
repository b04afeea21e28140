import type { Registry } from 'prom-client';
import type { MetricValue } from './cells.ts';
import { Cell, Distribution, registerSource } from './cells.ts';

/** Labels of a request in the order of the metrics' labels. */
export type RequestLabels = Readonly<
  Record<'verb' | 'group' | 'version' | 'resource' | 'subresource' | 'scope' | 'component', string>
>;

interface Series {
  readonly labels: RequestLabels;
  readonly dryRun: string;
  readonly codes: Map<number, Cell>;
  readonly duration: Distribution;
  readonly sli: Distribution;
}

const total = 'apiserver_request_total';
const duration = 'apiserver_request_duration_seconds';
const sliDuration = 'apiserver_request_sli_duration_seconds';

/** What every request is counted by: total, duration and SLI duration. One look-up finds all three. */
export class RequestSeries {
  readonly #bounds: readonly number[];
  readonly #sliBounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** Bounds of the buckets in seconds. */
  constructor(registry: Registry, bounds: readonly number[], sliBounds: readonly number[]) {
    this.#bounds = bounds;
    this.#sliBounds = sliBounds;
    const each = (values: (series: Series) => MetricValue[]) => () =>
      [...this.#series.values()].flatMap(values);
    registerSource(
      registry,
      total,
      'Requests by verb, resource and answer code',
      'counter',
      each((series) =>
        Array.from(series.codes, ([code, { value }]) => ({
          labels: { ...withDryRun(series), code: String(code) },
          value,
        })),
      ),
    );
    registerSource(
      registry,
      duration,
      'Time to answer a request, in seconds',
      'histogram',
      each((series) => series.duration.values(duration, withDryRun(series))),
    );
    registerSource(
      registry,
      sliDuration,
      'Time to answer a request without waiting in queues and for webhooks, in seconds',
      'histogram',
      each((series) => series.sli.values(sliDuration, { ...series.labels })),
    );
  }

  /** `seconds` undefined: only counted, as long-running requests are. */
  observe(labels: RequestLabels, dryRun: string, code: number, seconds: number | undefined): void {
    const series = this.#find(labels, dryRun);
    let cell = series.codes.get(code);
    if (cell === undefined) series.codes.set(code, (cell = new Cell()));
    cell.inc();
    if (seconds === undefined) return;
    series.duration.observe(seconds);
    series.sli.observe(seconds);
  }

  #find(labels: RequestLabels, dryRun: string): Series {
    const { verb, group, version, resource, subresource, scope } = labels;
    const key = `${verb} ${group} ${version} ${resource} ${subresource} ${scope} ${dryRun}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = {
        labels,
        dryRun,
        codes: new Map(),
        duration: new Distribution(this.#bounds),
        sli: new Distribution(this.#sliBounds),
      };
      this.#series.set(key, series);
    }
    return series;
  }
}

function withDryRun({ labels, dryRun }: Series): Record<string, string> {
  const { verb, ...rest } = labels;
  return { verb, dry_run: dryRun, ...rest };
}
