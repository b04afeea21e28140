import type { KubeObject, OwnerReference } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { RestClient } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { SliceTracker } from './slice-tracker.ts';

const maxEndpointsPerSlice = 100;

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  readonly [field: string]: unknown;
}

/** Endpoints that share their ports, and so may share slices. */
export interface SliceGroup {
  readonly addressType: 'IPv4' | 'IPv6';
  readonly ports: readonly unknown[];
  readonly endpoints: readonly SliceEndpoint[];
}

export interface SliceOwner {
  /** namespace/name of the service. */
  readonly key: string;
  readonly namespace: string;
  readonly generateName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
}

const endpointKey = (endpoint: SliceEndpoint): string =>
  `${endpoint.addresses.join(',')}/${canonical(endpoint['targetRef'] ?? null)}`;
// The API answers an empty list as null.
const emptyToNull = (list: readonly unknown[] | null | undefined): unknown =>
  (list ?? []).length === 0 ? null : list;

/**
 * Brings the slices of one owner to the wanted groups with few writes: an endpoint stays in the slice it is in, new ones fill the
 * fullest slice with room, empty slices go, but one slice always stays.
 */
export async function reconcileSlices(
  client: RestClient,
  owner: SliceOwner,
  existing: readonly KubeObject[],
  groups: readonly SliceGroup[],
  tracker: SliceTracker,
): Promise<void> {
  const unused = new Set(existing);
  const writes: Promise<unknown>[] = [];
  const wrote = (slice: KubeObject): void => tracker.wrote(owner.key, slice);
  const update = (slice: KubeObject, change: Partial<SliceGroup>): Promise<void> => {
    const { annotations: _dropped, ...metadata } = slice.metadata;
    return client
      .update(resources.endpointSlices, {
        ...slice,
        metadata: {
          ...metadata,
          ...(Object.keys(owner.annotations).length === 0 ? {} : { annotations: { ...owner.annotations } }),
          labels: { ...owner.labels },
          ownerReferences: [...owner.ownerReferences],
        },
        ...change,
      })
      .then(wrote);
  };
  const missing: SliceGroup[] = [];
  const groupKey = (addressType: unknown, ports: unknown): string =>
    canonical([addressType, emptyToNull(ports as unknown[])]);
  for (const group of groups) {
    const wanted = new Map(group.endpoints.map((each) => [endpointKey(each), each]));
    const slices = [...unused].filter(
      (slice) => groupKey(slice['addressType'], slice['ports']) === groupKey(group.addressType, group.ports),
    );
    const contents = slices.map((slice) => {
      const kept: SliceEndpoint[] = [];
      for (const endpoint of (slice['endpoints'] ?? []) as SliceEndpoint[]) {
        const now = wanted.get(endpointKey(endpoint));
        if (!now) continue;
        kept.push(now);
        wanted.delete(endpointKey(endpoint));
      }
      return { slice, kept };
    });
    const rest = [...wanted.values()];
    for (const content of contents.sort((a, b) => b.kept.length - a.kept.length)) {
      while (rest.length > 0 && content.kept.length < maxEndpointsPerSlice)
        content.kept.push(rest.shift() as SliceEndpoint);
    }
    const needed = contents.filter(
      (content, index) => content.kept.length > 0 || (index === 0 && group.endpoints.length === 0),
    );
    for (const { slice, kept } of needed) {
      unused.delete(slice);
      const same =
        canonical(emptyToNull(slice['endpoints'] as unknown[])) === canonical(emptyToNull(kept)) &&
        canonical(slice.metadata.labels ?? {}) === canonical(owner.labels) &&
        canonical(slice.metadata.annotations ?? {}) === canonical(owner.annotations) &&
        canonical(slice.metadata.ownerReferences ?? []) === canonical(owner.ownerReferences);
      if (!same) writes.push(update(slice, { endpoints: kept }));
    }
    for (
      let start = 0;
      start < rest.length || (start === 0 && needed.length === 0);
      start += maxEndpointsPerSlice
    ) {
      missing.push({ ...group, endpoints: rest.slice(start, start + maxEndpointsPerSlice) });
    }
  }
  // A slice that would go takes the place of one that would come: one write instead of two, and watchers see no gap.
  for (const group of missing) {
    const spare = [...unused].find((slice) => slice['addressType'] === group.addressType);
    if (spare) {
      unused.delete(spare);
      writes.push(update(spare, { endpoints: group.endpoints, ports: [...group.ports] }));
    } else writes.push(create(client, owner, group).then(wrote));
  }
  for (const slice of unused) {
    writes.push(
      client
        .delete(resources.endpointSlices, slice.metadata.name ?? '', {
          namespace: owner.namespace,
          ...(slice.metadata.uid === undefined ? {} : { preconditions: { uid: slice.metadata.uid } }),
        })
        .catch((error: unknown) => {
          if (!hasReason(error, 'NotFound')) throw error;
        }),
    );
  }
  const results = await Promise.allSettled(writes);
  const failed = results.find((each) => each.status === 'rejected');
  if (failed) throw failed.reason;
}

function create(client: RestClient, owner: SliceOwner, group: SliceGroup): Promise<KubeObject> {
  return client.create(resources.endpointSlices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      generateName: owner.generateName,
      namespace: owner.namespace,
      labels: { ...owner.labels },
      ...(Object.keys(owner.annotations).length === 0 ? {} : { annotations: { ...owner.annotations } }),
      ownerReferences: [...owner.ownerReferences],
    },
    addressType: group.addressType,
    endpoints: [...group.endpoints],
    ports: [...group.ports],
  });
}
