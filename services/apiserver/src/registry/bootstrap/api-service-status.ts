import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, hasReason } from '@pilothouse/apimachinery';
import { objectAccess } from '../../security/internal-object-access.ts';
import { deepClone } from '../../storage/deep.ts';
import type { InternalClient } from '../rest/rest-storage.ts';

const group = 'apiregistration.k8s.io';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime?: string;
}

/**
 * Tells in the status of each APIService of another server that it is not available: its Service is missing, or this server does not
 * pass requests on. Returns a function that ends it.
 */
export function followApiServices(client: InternalClient, clock: Clock, logger: Logger): () => void {
  const objects = objectAccess(client, { clock, logger });
  const apiServices = objects.cached({ group, version: 'v1', resource: 'apiservices' });
  const services = objects.cached({ group: '', version: 'v1', resource: 'services' });
  let ended = false;
  let waiting = false;
  const synced = new Set<string>();
  const settle = async (): Promise<void> => {
    waiting = false;
    for (const apiService of apiServices.list()) {
      if (ended) return;
      const wanted = availability(
        apiService,
        (namespace, name) => services.get(namespace, name) !== undefined,
      );
      if (wanted === undefined) continue;
      const conditions = (apiService['status']?.conditions ?? []) as Condition[];
      const known = conditions.find(({ type }) => type === 'Available');
      if (known?.status === wanted.status && known.message === wanted.message) continue;
      const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
      const lastTransitionTime = known?.status === wanted.status ? (known.lastTransitionTime ?? now) : now;
      const next = deepClone(apiService);
      const others = conditions.filter(({ type }) => type !== 'Available');
      next['status'] = { conditions: [...others, { ...wanted, lastTransitionTime }] };
      try {
        await client.update(group, 'v1', 'apiservices', next, 'status');
      } catch (error) {
        if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) {
          logger.warn('Cannot write the status of an APIService', { error: errorMessage(error) });
        }
      }
    }
  };
  // Changes of one moment are settled together.
  const changed = (): void => {
    if (waiting || ended || synced.size < 2) return;
    waiting = true;
    clock.setTimeout(() => void settle(), 0);
  };
  const listener = (name: string) => ({
    reset: () => undefined,
    changed,
    synced: () => {
      synced.add(name);
      changed();
    },
  });
  const ends = [apiServices.subscribe(listener('apiservices')), services.subscribe(listener('services'))];
  return () => {
    ended = true;
    for (const end of ends) end();
  };
}

/** The condition of an APIService; undefined for those that this server answers itself. */
export function availability(
  apiService: KubeObject,
  hasService: (namespace: string, name: string) => boolean,
): Condition | undefined {
  const service = apiService['spec']?.service as { namespace?: string; name?: string } | null | undefined;
  if (service === undefined || service === null) return undefined;
  const { namespace = '', name = '' } = service;
  const failed = { type: 'Available', status: 'False' };
  return hasService(namespace, name)
    ? {
        ...failed,
        reason: 'FailedDiscoveryCheck',
        message: 'requests are not passed on to other API servers',
      }
    : {
        ...failed,
        reason: 'ServiceNotFound',
        message: `service/${name} in ${goQuote(namespace)} is not present`,
      };
}
