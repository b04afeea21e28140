import type { Registry } from 'prom-client';

/** Takes metrics of parts that are made before the server and its registry are, and hands them over once it is there. */
export class StagedMetrics {
  #staged: Parameters<Registry['registerMetric']>[0][] = [];
  #registry: Pick<Registry, 'registerMetric'> | undefined;

  registerMetric(metric: Parameters<Registry['registerMetric']>[0]): void {
    if (this.#registry === undefined) this.#staged.push(metric);
    else this.#registry.registerMetric(metric);
  }

  attach(registry: Pick<Registry, 'registerMetric'>): void {
    this.#registry = registry;
    for (const metric of this.#staged) registry.registerMetric(metric);
    this.#staged = [];
  }
}
