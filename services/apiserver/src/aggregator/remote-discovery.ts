import type { Clock } from '@pilothouse/base';
import type { RemoteResource } from '../endpoints/discovery/discovery-manager.ts';
import type { RemoteApi } from './remote-api.ts';
import { pathOf } from './remote-api.ts';
import type { RemoteConnections } from './remote-connections.ts';

/** For all that is asked of one server. */
const timeoutMs = 5000;
const aggregatedTypes = ['v2', 'v2beta1'].map(
  (version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
);

interface OldResource {
  readonly name: string;
  readonly singularName?: string;
  readonly namespaced?: boolean;
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

/**
 * The resources of one group-version as its server tells them: aggregated discovery where it is spoken, else the old resource list.
 * Rejects with an Error.
 */
export async function remoteDiscovery(
  api: RemoteApi,
  connections: Pick<RemoteConnections, 'get'>,
  clock: Clock,
): Promise<readonly RemoteResource[]> {
  const endMs = clock.monotonic() + timeoutMs;
  const answer = await connections.get(api, '/apis', {
    timeoutMs,
    headers: { accept: aggregatedTypes.join(',') },
  });
  if (answer.status === 503) throw new Error('service returned non-success response code: 503');
  const type = answer.headers['content-type'] ?? '';
  if (answer.status === 200 && /g=apidiscovery\.k8s\.io/.test(type)) {
    const list = JSON.parse(answer.body.toString()) as {
      items?: {
        metadata?: { name?: string };
        versions?: { version: string; resources?: RemoteResource[] }[];
      }[];
    };
    const group = list.items?.find((item) => (item.metadata?.name ?? '') === api.group);
    const found = group?.versions?.find(({ version }) => version === api.version);
    // Clients of some versions cannot read a missing kind.
    const emptyKind = { group: '', version: '', kind: '' };
    return (found?.resources ?? []).map((resource) => ({ responseKind: emptyKind, ...resource }));
  }
  const old = await connections.get(api, pathOf(api), {
    timeoutMs: Math.max(1, Math.round(endMs - clock.monotonic())),
    headers: { accept: 'application/json' },
  });
  if (old.status !== 200)
    throw new Error(`failed to download legacy discovery for ${pathOf(api)}: ${old.status}`);
  const list = JSON.parse(old.body.toString()) as { resources?: OldResource[] };
  return fromResourceList(list.resources ?? []);
}

/** A resource list of old form in the form of aggregated discovery. */
export function fromResourceList(list: readonly OldResource[]): RemoteResource[] {
  const result = new Map<string, RemoteResource & { subresources?: object[] }>();
  const kindOf = ({ group = '', version = '', kind }: OldResource): object => ({ group, version, kind });
  for (const each of list) {
    if (each.name.includes('/')) continue;
    result.set(each.name, {
      resource: each.name,
      responseKind: kindOf(each),
      scope: each.namespaced === true ? 'Namespaced' : 'Cluster',
      singularResource: each.singularName ?? '',
      verbs: each.verbs ?? [],
      ...(each.shortNames === undefined ? {} : { shortNames: each.shortNames }),
      ...(each.categories === undefined ? {} : { categories: each.categories }),
    });
  }
  for (const each of list) {
    const [resource = '', subresource] = each.name.split('/');
    if (subresource === undefined) continue;
    let parent = result.get(resource);
    if (parent === undefined) {
      // A subresource may stand alone.
      parent = {
        resource,
        responseKind: { group: '', version: '', kind: '' },
        scope: each.namespaced === true ? 'Namespaced' : 'Cluster',
        singularResource: '',
        verbs: [],
      };
      result.set(resource, parent);
    }
    (parent.subresources ??= []).push({ subresource, responseKind: kindOf(each), verbs: each.verbs ?? [] });
  }
  return [...result.values()];
}
