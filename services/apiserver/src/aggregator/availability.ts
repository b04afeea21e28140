import type { Clock } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { InternalClient } from '../registry/rest/rest-storage.ts';
import { deepClone } from '../storage/deep.ts';
import type { RemoteApi } from './remote-api.ts';
import { pathOf } from './remote-api.ts';
import type { RemoteConnections } from './remote-connections.ts';
import type { ServiceLookup } from './service-address.ts';
import { serviceFault } from './service-address.ts';

const attempts = 5;
const timeoutMs = 5000;

/** The condition Available without its time. */
export interface Availability {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export const localAvailability: Availability = {
  status: 'True',
  reason: 'Local',
  message: 'Local APIServices are always available',
};

/** Looks at the service of `api`, then asks the server behind it for its discovery document: one success of five is enough. */
export async function remoteAvailability(
  api: RemoteApi,
  lookup: ServiceLookup,
  connections: RemoteConnections,
): Promise<Availability> {
  const fault = serviceFault(api, lookup);
  if (fault !== undefined) return { status: 'False', ...fault };
  const passed: Availability = { status: 'True', reason: 'Passed', message: 'all checks passed' };
  try {
    await Promise.any(Array.from({ length: attempts }, () => askDiscovery(api, connections)));
    return passed;
  } catch (error) {
    const errors = (error as AggregateError).errors as unknown[];
    return { status: 'False', reason: 'FailedDiscoveryCheck', message: errorMessage(errors.at(-1)) };
  }
}

async function askDiscovery(api: RemoteApi, connections: RemoteConnections): Promise<void> {
  const { host, port } = connections.address(api);
  const url = `https://${host.includes(':') ? `[${host}]` : host}:${port}${pathOf(api)}`;
  const failed = (why: string): Error => new Error(`failing or missing response from ${url}: ${why}`);
  let status: number;
  try {
    ({ status } = await connections.get(api, pathOf(api), { timeoutMs }));
  } catch (error) {
    throw failed(`Get "${url}": ${errorMessage(error)}`);
  }
  if (status < 200 || status > 299) throw failed(`bad status from ${url}: ${status}`);
}

interface Condition extends Availability {
  readonly type: string;
  readonly lastTransitionTime?: string;
}

/** Writes the condition when it says something new. Another replica that was faster is no error. Throws other StatusErrors. */
export async function writeAvailability(
  client: InternalClient,
  apiService: KubeObject,
  wanted: Availability,
  clock: Clock,
): Promise<void> {
  const conditions = (apiService['status']?.conditions ?? []) as Condition[];
  const known = conditions.find(({ type }) => type === 'Available');
  if (known?.status === wanted.status && known.reason === wanted.reason && known.message === wanted.message) {
    return;
  }
  const now = `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
  const lastTransitionTime = known?.status === wanted.status ? (known.lastTransitionTime ?? now) : now;
  const next = deepClone(apiService);
  next['status'] = {
    conditions: [
      ...conditions.filter(({ type }) => type !== 'Available'),
      {
        type: 'Available',
        status: wanted.status,
        lastTransitionTime,
        reason: wanted.reason,
        message: wanted.message,
      },
    ],
  };
  try {
    await client.update('apiregistration.k8s.io', 'v1', 'apiservices', next, 'status');
  } catch (error) {
    if (!hasReason(error, 'Conflict') && !hasReason(error, 'NotFound')) throw error;
  }
}
