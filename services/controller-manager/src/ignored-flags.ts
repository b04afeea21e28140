import type { FlagSpec, FlagSpecs } from '@pilothouse/host';

const ignored = (type: FlagSpec['type'], help: string): FlagSpec => ({
  type,
  default: type === 'strings' ? [] : type === 'duration' ? '0s' : type === 'boolean' ? false : '',
  help,
  ignored: true,
});

const workers = ['cron-job', 'daemonset', 'deployment', 'endpoint', 'ephemeralvolume', 'gc'].concat(
  ['horizontal-pod-autoscaler', 'job', 'namespace', 'rc', 'replicaset', 'resource-quota'],
  ['service-endpoint', 'service', 'serviceaccount-token', 'statefulset', 'ttl-after-finished'],
  ['validating-admission-policy-status'],
);

/** Flags of upstream's manager that installers pass and that change nothing here. */
export const ignoredFlags: FlagSpecs = {
  ...Object.fromEntries(
    workers.map((name) => [`concurrent-${name}-syncs`, ignored('string', 'Workers of a controller')]),
  ),
  'attach-detach-reconcile-sync-period': ignored('duration', 'Period of attaching and detaching'),
  'cert-dir': ignored('string', 'Where certificates are kept'),
  'cloud-provider': ignored('string', 'Cloud provider'),
  'contention-profiling': ignored('boolean', 'Lock profiling'),
  'enable-dynamic-provisioning': ignored('boolean', 'Dynamic provisioning'),
  'enable-garbage-collector': ignored('boolean', 'Garbage collection'),
  'enable-leader-migration': ignored('boolean', 'Leader migration'),
  'flex-volume-plugin-dir': ignored('string', 'Flex volume plugins'),
  'kube-api-content-type': ignored('string', 'Encoding of requests'),
  'logging-format': ignored('string', 'Form of log lines'),
  'min-resync-period': ignored('duration', 'Resync of informers'),
  'namespace-sync-period': ignored('duration', 'Resync of namespaces'),
  'pvclaimbinder-sync-period': ignored('duration', 'Resync of claims'),
  'requestheader-allowed-names': ignored('strings', 'Names of front proxies'),
  'requestheader-extra-headers-prefix': ignored('strings', 'Header of extras'),
  'requestheader-group-headers': ignored('strings', 'Header of groups'),
  'requestheader-username-headers': ignored('strings', 'Header of the user'),
  vmodule: ignored('string', 'Log verbosity by file'),
};
