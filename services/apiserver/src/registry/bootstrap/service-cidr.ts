import type { InternalClient } from '../rest/rest-storage.ts';
import { ensureObject } from './ensure.ts';

/** The ServiceCIDR of the server's own flag, marked as ready to be used. */
export async function ensureServiceCidr(
  client: InternalClient,
  cidrs: readonly string[],
  now: string,
): Promise<void> {
  const object = await ensureObject(client, 'servicecidrs', {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'kubernetes' },
    spec: { cidrs: [...cidrs] },
  });
  const conditions = (object['status']?.conditions ?? []) as { type: string }[];
  if (conditions.some((condition) => condition.type === 'Ready')) return;
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: '',
    message: 'Kubernetes Service CIDR is ready',
    lastTransitionTime: now,
  };
  const status = { conditions: [...conditions, ready] };
  await client.update('networking.k8s.io', 'v1', 'servicecidrs', { ...object, status }, 'status');
}
