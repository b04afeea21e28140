import type { Registry as Metrics } from 'prom-client';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Registry } from '../registry/rest/rest-storage.ts';
import { registerSource } from './cells.ts';
import type { StoreCalls } from './store-calls.ts';

export interface MetricSources {
  readonly registry: Registry;
  /** Absent: the store is not an etcd. */
  readonly calls?: StoreCalls;
  /** Bytes of the store's database; undefined: it did not answer. */
  readonly storeBytes?: () => Promise<number | undefined>;
  /** Feature gates with their stages and whether they are on. */
  readonly gates: () => Iterable<{
    readonly name: string;
    readonly stage: string;
    readonly enabled: boolean;
  }>;
}

/** Names that a folder of the store and a resource do not share, as upstream stores them. */
const resourceOfFolder: Readonly<Record<string, string>> = {
  minions: 'nodes',
  controllers: 'replicationcontrollers',
  ingress: 'ingresses',
  'services/specs': 'services',
  'services/endpoints': 'endpoints',
};

/** Metrics of what is stored and served, with upstream's names; all are read at scrape time. */
export function registerResourceMetrics(metrics: Metrics, sources: MetricSources): void {
  const { registry, calls, storeBytes } = sources;
  const stats = (): { group: string; resource: string; count: number; bytes: number }[] => {
    const seen = new Set<string>();
    const found = [];
    const all = [
      ...[...registry.storages].map(({ resource }) => resource),
      ...(registry.cached?.values() ?? []),
    ];
    for (const { group, resource } of all) {
      const id = `${group}/${resource}`;
      if (seen.has(id)) continue;
      seen.add(id);
      const cache = registry.cached?.get(id)?.view ?? registry.client.watchCache(group, resource);
      const known = cache?.synced === true ? cache.stats?.() : undefined;
      if (known !== undefined)
        found.push({ group, resource, count: known.count, bytes: known.count * known.averageBytes });
    }
    return found;
  };
  registerSource(metrics, 'apiserver_resource_objects', 'Stored objects by resource', 'gauge', () =>
    stats().map(({ group, resource, count }) => ({ labels: { group, resource }, value: count })),
  );
  registerSource(
    metrics,
    'apiserver_resource_size_estimate_bytes',
    'Estimated bytes of the stored objects by resource',
    'gauge',
    () =>
      stats().map(({ group, resource, bytes }) => ({
        labels: { group, resource },
        value: Math.round(bytes),
      })),
  );
  registerSource(
    metrics,
    'apiserver_storage_objects',
    'Stored objects, by the resource with its group',
    'gauge',
    () =>
      stats().map(({ group, resource, count }) => ({
        labels: { resource: group === '' ? resource : `${resource}.${group}` },
        value: count,
      })),
  );
  if (calls !== undefined) registerStoreCalls(metrics, registry, calls);
  if (storeBytes !== undefined) {
    const name = 'apiserver_storage_size_bytes';
    metrics.registerMetric({
      name,
      get: async () => {
        const value = await storeBytes().catch(() => undefined);
        return {
          name,
          help: 'Bytes of the database of the store',
          type: 'gauge',
          aggregator: 'sum',
          values: value === undefined ? [] : [{ labels: { storage_cluster_id: 'etcd-0' }, value }],
        };
      },
    } as never);
  }
  registerSource(
    metrics,
    'aggregator_unavailable_apiservice',
    'Whether the server behind an APIService cannot be reached',
    'gauge',
    () =>
      Array.from(
        registry.client.watchCache('apiregistration.k8s.io', 'apiservices')?.list() ?? [],
        (each) => ({
          labels: { name: each.metadata.name ?? '' },
          value: isAvailable(each) ? 0 : 1,
        }),
      ),
  );
  registerSource(metrics, 'kubernetes_feature_enabled', 'Whether a feature gate is on', 'gauge', () =>
    Array.from(sources.gates(), ({ name, stage, enabled }) => ({
      labels: { name, stage: stage === 'GA' ? '' : stage.toUpperCase() },
      value: enabled ? 1 : 0,
    })),
  );
}

function registerStoreCalls(metrics: Metrics, registry: Registry, calls: StoreCalls): void {
  const labelsOf = (folder: string): { group: string; resource: string } => {
    const slash = folder.includes('.') ? folder.indexOf('/') : -1;
    if (slash > 0) return { group: folder.slice(0, slash), resource: folder.slice(slash + 1) };
    const resource = resourceOfFolder[folder] ?? folder;
    for (const { resource: each } of registry.storages)
      if (each.resource === resource) return { group: each.group, resource };
    return { group: '', resource };
  };
  const duration = 'etcd_request_duration_seconds';
  registerSource(metrics, duration, 'Time of requests to the store, in seconds', 'histogram', () =>
    Array.from(calls.series).flatMap(({ operation, folder, seconds }) =>
      seconds.values(duration, { operation, ...labelsOf(folder) }),
    ),
  );
  registerSource(metrics, 'etcd_requests_total', 'Requests to the store', 'counter', () =>
    Array.from(calls.series, ({ operation, folder, seconds }) => ({
      labels: { operation, ...labelsOf(folder) },
      value: seconds.count,
    })),
  );
  registerSource(metrics, 'etcd_request_errors_total', 'Requests to the store that failed', 'counter', () =>
    Array.from(calls.series, ({ operation, folder, errors }) => ({
      labels: { operation, ...labelsOf(folder) },
      value: errors,
    })),
  );
}

function isAvailable(service: KubeObject): boolean {
  const conditions = (service['status'] as { conditions?: { type: string; status: string }[] } | undefined)
    ?.conditions;
  return conditions?.some(({ type, status }) => type === 'Available' && status === 'True') ?? false;
}
