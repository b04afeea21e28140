import type { Registry } from 'prom-client';
import { CellFamily, DistributionFamily } from './cells.ts';

/** What went wrong with a conversion webhook, in upstream's words; empty: nothing. */
export type ConversionFailure =
  | ''
  | 'conversion_webhook_call_failure'
  | 'conversion_webhook_malformed_response_failure'
  | 'conversion_webhook_partial_response_failure'
  | 'conversion_webhook_invalid_converted_object_failure'
  | 'conversion_webhook_no_objects_returned_failure';

/** Metrics of conversion webhooks, with upstream's names and labels. */
export class ConversionSeries {
  readonly #requests: CellFamily;
  readonly #requestSeconds: DistributionFamily;
  readonly #conversionSeconds: DistributionFamily;

  constructor(registry: Registry) {
    const labelNames = ['result', 'failure_type'];
    this.#requests = new CellFamily(registry, {
      name: 'apiserver_conversion_webhook_request_total',
      help: 'Calls of conversion webhooks by result',
      type: 'counter',
      labelNames,
    });
    this.#requestSeconds = new DistributionFamily(registry, {
      name: 'apiserver_conversion_webhook_duration_seconds',
      help: 'Time of a call of a conversion webhook, in seconds',
      labelNames,
      buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 45, 60],
    });
    this.#conversionSeconds = new DistributionFamily(registry, {
      name: 'apiserver_crd_conversion_webhook_duration_seconds',
      help: 'Time of a conversion of custom resources by webhook, in seconds',
      labelNames: ['crd_name', 'from_version', 'to_version', 'succeeded'],
      buckets: Array.from({ length: 15 }, (_, index) => 0.001 * 2 ** index),
    });
  }

  /** `versions`: from, to. */
  told(
    definition: string,
    versions: readonly [from: string, to: string],
    seconds: number,
    failure: ConversionFailure,
  ): void {
    const labels = [failure === '' ? 'success' : 'failure', failure];
    this.#requests.cell(...labels).inc();
    this.#requestSeconds.series(...labels).observe(seconds);
    this.#conversionSeconds.series(definition, ...versions, String(failure === '')).observe(seconds);
  }
}
