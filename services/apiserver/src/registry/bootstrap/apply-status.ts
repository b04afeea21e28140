import type { Clock } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { apiVersionOf } from '@pilothouse/apimachinery';
import type { FieldTracker } from '../generic/field-tracker.ts';
import { internalContext } from '../internal-client.ts';
import type { InternalClient, RestStorage } from '../rest/rest-storage.ts';
import { noAdmission } from '../rest/rest-storage.ts';

/** The object whose status is written. */
export interface StatusTarget {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Plural name of a cluster-scoped resource. */
  readonly resource: string;
  readonly name: string;
}

/**
 * Applies conditions to the status of an object, by force, as `manager`: the server's own controllers write so. Conditions without a
 * lastTransitionTime get the time of the write. Does nothing where the resource is not served; throws StatusError NotFound and the like.
 */
export async function applyConditions(
  client: Pick<InternalClient, 'storage'>,
  clock: Clock,
  target: StatusTarget,
  manager: string,
  conditions: readonly object[],
): Promise<void> {
  const { group, version, kind, resource, name } = target;
  const storage = client.storage(group, version, resource, 'status') as
    (RestStorage & { readonly tracker?: FieldTracker }) | undefined;
  if (storage?.update === undefined || storage.tracker === undefined) return;
  const { tracker } = storage;
  const context = { ...internalContext(clock, ''), fieldManager: manager };
  const patch: KubeObject = {
    apiVersion: apiVersionOf(group, version),
    kind,
    metadata: { name },
    status: {
      conditions: conditions.map((condition) => ({ lastTransitionTime: context.now, ...condition })),
    },
  };
  await storage.update(
    context,
    name,
    {
      updatedObject: (_context, existing) =>
        tracker.apply(existing, structuredClone(patch), {
          manager,
          force: true,
          now: context.now,
          subresource: 'status',
          resetFields: [],
        }),
    },
    { fieldManager: manager, fieldTracking: 'none' },
    noAdmission,
  );
}
