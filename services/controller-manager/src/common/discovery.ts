import { parseApiVersion } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { ResourceRef, RestClient } from '@pilothouse/client';

export interface DiscoveredResource {
  readonly ref: ResourceRef;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
}

interface ApiGroupList {
  groups?: {
    name: string;
    preferredVersion: { groupVersion: string };
    versions: { groupVersion: string }[];
  }[];
}

interface ApiResourceList {
  resources?: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}

/**
 * All resources that the server prefers, without subresources. A group that does not answer (a dead aggregated API) is reported in
 * `errors` and does not hide the others.
 */
export async function discoverResources(
  client: RestClient,
): Promise<{ resources: DiscoveredResource[]; errors: string[] }> {
  const groups = await client.raw<ApiGroupList>('GET', '/apis');
  const versions: [path: string, group: string, version: string][] = [['/api/v1', '', 'v1']];
  for (const group of groups.groups ?? []) {
    // Every version is asked: a resource may live in an older one only.
    const ordered = [
      group.preferredVersion,
      ...group.versions.filter((each) => each.groupVersion !== group.preferredVersion.groupVersion),
    ];
    for (const { groupVersion } of ordered)
      versions.push([`/apis/${groupVersion}`, group.name, parseApiVersion(groupVersion)?.version ?? '']);
  }
  const errors: string[] = [];
  const lists = await Promise.all(
    versions.map(async ([path, group, version]) => {
      try {
        return { group, version, list: await client.raw<ApiResourceList>('GET', path) };
      } catch (error) {
        errors.push(`${group}/${version}: ${errorMessage(error)}`);
        return { group, version, list: {} as ApiResourceList };
      }
    }),
  );
  const found = new Map<string, DiscoveredResource>();
  for (const { group, version, list } of lists) {
    for (const each of list.resources ?? []) {
      const key = `${group}/${each.name}`;
      if (each.name.includes('/') || found.has(key)) continue;
      found.set(key, {
        ref: { group, version, resource: each.name },
        kind: each.kind,
        namespaced: each.namespaced,
        verbs: each.verbs,
      });
    }
  }
  return { resources: [...found.values()], errors };
}
