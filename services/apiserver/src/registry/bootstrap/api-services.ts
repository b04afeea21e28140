import type { KubeObject } from '@pilothouse/apimachinery';
import { builtinGroupVersions } from '@pilothouse/api';
import { deepClone } from '../../storage/deep.ts';
import type { InternalClient } from '../rest/rest-storage.ts';
import { ensureObject } from './ensure.ts';

/** An APIService for each group-version that this server answers itself. */
export async function ensureApiServices(
  client: InternalClient,
  isServed: (group: string, version: string) => boolean,
  now: string,
): Promise<void> {
  const ensure = async ({
    group,
    version,
    groupPriority,
    versionPriority,
  }: (typeof builtinGroupVersions)[number]) => {
    const spec = {
      ...(group === '' ? {} : { group }),
      version,
      groupPriorityMinimum: groupPriority,
      versionPriority,
    };
    const wanted: KubeObject = {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: {
        name: `${version}.${group}`,
        labels: { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' },
      },
      spec,
    };
    const object = await ensureObject(client, 'apiservices', wanted);
    const conditions = (object['status']?.conditions ?? []) as { type: string; status: string }[];
    if (conditions.some((condition) => condition.type === 'Available' && condition.status === 'True')) return;
    const available = {
      type: 'Available',
      status: 'True',
      lastTransitionTime: now,
      reason: 'Local',
      message: 'Local APIServices are always available',
    };
    const next = deepClone(object);
    next['status'] = { conditions: [available] };
    await client.update('apiregistration.k8s.io', 'v1', 'apiservices', next, 'status');
  };
  for (const groupVersion of builtinGroupVersions) {
    // The aggregation layer's own group is not aggregated: it has no APIService upstream either.
    if (groupVersion.group === 'apiregistration.k8s.io') continue;
    // The group of APIServices itself has none.
    if (groupVersion.group === 'apiregistration.k8s.io') continue;
    if (isServed(groupVersion.group, groupVersion.version)) await ensure(groupVersion);
  }
}
