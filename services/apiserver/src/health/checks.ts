import type { HealthCheck, HealthChecks } from './health-checks.ts';

/** Where the conditions of the checks come from. Absent ones hold. */
export interface HealthSources {
  /** Throws while the store does not answer. */
  storage?(): Promise<void>;
  /** Rejects while a KMS plugin is not well; absent: there can be none. */
  encryption?(): Promise<void>;
  /** False until the watch caches have their first lists. */
  cachesSynced?(): boolean;
  /** False until the bootstrap work of that name is done: `rbac/bootstrap-roles` and so on. */
  hookDone?(name: string): boolean;
}

/** Start-up work that upstream reports, in its order. */
const hooks = [
  'start-apiserver-admission-initializer',
  'generic-apiserver-start-informers',
  'priority-and-fairness-config-consumer',
  'priority-and-fairness-filter',
  'storage-object-count-tracker-hook',
  'start-apiextensions-informers',
  'start-apiextensions-controllers',
  'crd-informer-synced',
  'start-system-namespaces-controller',
  'peer-endpoint-reconciler-controller',
  'start-cluster-authentication-info-controller',
  'start-kube-apiserver-identity-lease-controller',
  'start-kube-apiserver-identity-lease-garbage-collector',
  'storage-readiness',
  'start-legacy-token-tracking-controller',
  'start-service-ip-repair-controllers',
  'rbac/bootstrap-roles',
  'scheduling/bootstrap-system-priority-classes',
  'priority-and-fairness-config-producer',
  'bootstrap-controller',
  'start-kubernetes-service-cidr-controller',
  'start-kube-aggregator-informers',
  'apiservice-status-local-available-controller',
  'apiservice-status-remote-available-controller',
  'apiservice-registration-controller',
  'apiservice-discovery-controller',
  'kube-apiserver-autoregistration',
] as const;
const lateHooks = ['apiservice-openapi-controller', 'apiservice-openapiv3-controller'] as const;

/** Adds the checks that upstream reports, under their names and in their order. */
export function registerHealthChecks(
  health: HealthChecks,
  sources: HealthSources & {
    isStopping(): boolean;
    /** So shortly after the start that /livez minds no start-up work. */
    isNew(): boolean;
  },
): void {
  const ok = (name: string): HealthCheck => ({ name, check: () => undefined });
  const storage = (name: string): HealthCheck => ({ name, check: () => sources.storage?.() });
  const addHook = (hook: string): void => {
    const name = `poststarthook/${hook}`;
    const check = (): void => {
      if (sources.hookDone && !sources.hookDone(hook)) throw new Error('not finished');
    };
    health.add({ name, check }, ['healthz', 'readyz']);
    health.add({ name, check: () => (sources.isNew() ? undefined : check()) }, ['livez']);
  };
  health.add(ok('ping'));
  health.add(ok('log'));
  health.add(ok('loopback-serving-certificate'), ['healthz', 'livez']);
  health.add(storage('etcd'));
  health.add(storage('etcd-readiness'), ['readyz']);
  const { encryption } = sources;
  if (encryption) health.add({ name: 'kms-providers', check: () => encryption() });
  health.add(
    {
      name: 'informer-sync',
      check: () => {
        if (sources.cachesSynced && !sources.cachesSynced()) throw new Error('informers not started yet');
      },
    },
    ['readyz'],
  );
  for (const name of hooks) addHook(name);
  health.add({ name: 'autoregister-completion', check: () => undefined });
  for (const name of lateHooks) addHook(name);
  health.add(
    {
      name: 'shutdown',
      check: () => {
        if (sources.isStopping()) throw new Error('process is shutting down');
      },
    },
    ['readyz'],
  );
}
