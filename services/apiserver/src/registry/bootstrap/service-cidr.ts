import type { Clock } from '@pilothouse/base';
import type { InternalClient } from '../rest/rest-storage.ts';
import { applyConditions } from './apply-status.ts';
import { ensureObject } from './ensure.ts';

const manager = 'kubernetes-service-cidr-controller';

/** The ServiceCIDR of the server's own flag, marked as ready to be used. */
export async function ensureServiceCidr(
  client: InternalClient,
  cidrs: readonly string[],
  clock: Clock,
): Promise<void> {
  const object = await ensureObject(client, 'servicecidrs', {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'kubernetes' },
    spec: { cidrs: [...cidrs] },
  });
  const conditions = (object['status']?.conditions ?? []) as { type: string }[];
  if (conditions.some((condition) => condition.type === 'Ready')) return;
  await applyConditions(
    client,
    clock,
    {
      group: 'networking.k8s.io',
      version: 'v1',
      kind: 'ServiceCIDR',
      resource: 'servicecidrs',
      name: 'kubernetes',
    },
    manager,
    [{ type: 'Ready', status: 'True', message: 'Kubernetes default Service CIDR is ready' }],
  );
}
