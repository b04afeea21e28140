import { createHash } from 'node:crypto';
import { builtinGroupVersions } from '@pilothouse/api';
import { apiVersionOf } from '@pilothouse/apimachinery';
import type { ResourceDescriptor, RestStorage } from '../../registry/rest/rest-storage.ts';
import { resourcePath } from '../../registry/rest/rest-storage.ts';

/** A served group-version, with the priorities that order /apis. */
export interface ServedGroupVersion {
  readonly group: string;
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  readonly resources: readonly ResourceDescriptor[];
  /** Resources as another API server gave them (aggregation), instead of {@link resources}. */
  readonly remote?: readonly RemoteResource[];
  /** Stale: the other server could not be asked. Default: Current. */
  readonly freshness?: 'Current' | 'Stale';
}

/** A resource in the form of aggregated discovery. */
export type RemoteResource = Readonly<Record<string, unknown>>;

export interface ApiGroup {
  name: string;
  versions: { groupVersion: string; version: string }[];
  preferredVersion: { groupVersion: string; version: string };
}

/** Priorities of groups that come from CustomResourceDefinitions. */
export const customGroupPriority = { groupPriority: 1000, versionPriority: 100 } as const;

/**
 * Knows what is served and makes the discovery documents of it. Group-versions are added, replaced and removed while the
 * server runs; documents are made again at the next request.
 */
export class DiscoveryManager {
  /** What this server answers. */
  readonly #local = new Map<string, ServedGroupVersion>();
  /** What other servers answer; they stand before this one. */
  readonly #remote = new Map<string, ServedGroupVersion>();
  /** Both. */
  readonly #served = new Map<string, ServedGroupVersion>();
  #aggregated: { apis: AggregatedDocument; api: AggregatedDocument } | undefined;
  /** Grows with each change. */
  revision = 0;

  /** Adds the group-versions of all storages. */
  addStorages(storages: Iterable<RestStorage>): void {
    const byVersion = new Map<string, ResourceDescriptor[]>();
    for (const { resource } of storages) {
      const key = apiVersionOf(resource.group, resource.version);
      const list = byVersion.get(key) ?? [];
      list.push(resource);
      byVersion.set(key, list);
    }
    for (const resources of byVersion.values()) {
      const { group, version } = resources[0] as ResourceDescriptor;
      const known = builtinGroupVersions.find((each) => each.group === group && each.version === version);
      this.add({
        group,
        version,
        groupPriority: known?.groupPriority ?? customGroupPriority.groupPriority,
        versionPriority: known?.versionPriority ?? customGroupPriority.versionPriority,
        resources,
      });
    }
  }

  /** Adds or replaces. */
  add(served: ServedGroupVersion): void {
    const key = apiVersionOf(served.group, served.version);
    this.#local.set(key, served);
    this.#changed(key);
  }

  remove(group: string, version: string): void {
    const key = apiVersionOf(group, version);
    if (this.#local.delete(key)) this.#changed(key);
  }

  /** Adds or replaces a group-version of another server. */
  addRemote(served: ServedGroupVersion): void {
    const key = apiVersionOf(served.group, served.version);
    this.#remote.set(key, served);
    this.#changed(key);
  }

  removeRemote(group: string, version: string): void {
    const key = apiVersionOf(group, version);
    if (this.#remote.delete(key)) this.#changed(key);
  }

  #changed(key: string): void {
    const served = this.#remote.get(key) ?? this.#local.get(key);
    if (served === undefined) this.#served.delete(key);
    else this.#served.set(key, served);
    this.#aggregated = undefined;
    this.revision++;
  }

  has(group: string, version?: string): boolean {
    for (const served of this.#served.values()) {
      if (served.group === group && (version === undefined || served.version === version)) return true;
    }
    return false;
  }

  get(group: string, version: string): ServedGroupVersion | undefined {
    return this.#served.get(apiVersionOf(group, version));
  }

  /** Paths of discovery below `/api` and `/apis`, for the index. */
  paths(): string[] {
    const paths = new Set(['/apis/']);
    for (const { group, version } of this.#served.values()) {
      if (group === '') paths.add(`/api/${version}`);
      else paths.add(`/apis/${group}`).add(`/apis/${group}/${version}`);
    }
    return [...paths];
  }

  /** Named groups in the order of /apis. */
  groups(): ApiGroup[] {
    const byGroup = new Map<string, ServedGroupVersion[]>();
    for (const served of this.#ordered()) {
      if (served.group === '') continue;
      const list = byGroup.get(served.group) ?? [];
      list.push(served);
      byGroup.set(served.group, list);
    }
    return Array.from(byGroup, ([name, list]) => {
      const versions = list.map((served) => ({
        groupVersion: apiVersionOf(name, served.version),
        version: served.version,
      }));
      return { name, versions, preferredVersion: versions[0] as ApiGroup['preferredVersion'] };
    });
  }

  group(name: string): ApiGroup | undefined {
    return this.groups().find((group) => group.name === name);
  }

  #ordered(): ServedGroupVersion[] {
    const groupPriority = new Map<string, number>();
    for (const served of this.#served.values()) {
      groupPriority.set(served.group, Math.max(served.groupPriority, groupPriority.get(served.group) ?? 0));
    }
    return [...this.#served.values()].sort((a, b) => {
      if (a.group !== b.group) {
        const difference = (groupPriority.get(b.group) as number) - (groupPriority.get(a.group) as number);
        return difference !== 0 ? difference : a.group < b.group ? -1 : 1;
      }
      if (a.versionPriority !== b.versionPriority) return b.versionPriority - a.versionPriority;
      return compareVersions(b.version, a.version);
    });
  }

  /** The resource list of /api/v1 and /apis/g/v; undefined when not served. */
  resourceList(group: string, version: string): object | undefined {
    const served = this.get(group, version);
    if (!served) return undefined;
    const resources = sorted(served.resources).map((resource) => ({
      name: resourcePath(resource),
      singularName: resource.subresource === '' ? resource.singularName : '',
      namespaced: resource.namespaced,
      ...differentKind(resource),
      kind: (resource.responseKind ?? resource).kind,
      verbs: resource.verbs,
      ...(resource.shortNames.length > 0 ? { shortNames: resource.shortNames } : {}),
      ...(resource.categories.length > 0 ? { categories: resource.categories } : {}),
      ...(resource.storageVersionHash === undefined || resource.subresource !== ''
        ? {}
        : { storageVersionHash: resource.storageVersionHash }),
    }));
    // The core group's list has no apiVersion upstream either.
    const apiVersion = group === '' ? {} : { apiVersion: 'v1' };
    return { kind: 'APIResourceList', ...apiVersion, groupVersion: apiVersionOf(group, version), resources };
  }

  /** The aggregated document of `/apis`, or of `/api` when `core`. */
  aggregated(core: boolean): AggregatedDocument {
    this.#aggregated ??= {
      api: aggregatedDocument(this.#ordered().filter((served) => served.group === '')),
      apis: aggregatedDocument(this.#ordered().filter((served) => served.group !== '')),
    };
    return core ? this.#aggregated.api : this.#aggregated.apis;
  }
}

export interface AggregatedDocument {
  readonly body: Buffer;
  /** With its quotes. */
  readonly etag: string;
}

function sorted(resources: readonly ResourceDescriptor[]): ResourceDescriptor[] {
  return [...resources].sort((a, b) => (resourcePath(a) < resourcePath(b) ? -1 : 1));
}

/** Group and version of the answer's kind, only where they differ from those of the path. */
function differentKind(resource: ResourceDescriptor): { group?: string; version?: string } {
  const kind = resource.responseKind;
  if (!kind || (kind.group === resource.group && kind.version === resource.version)) return {};
  return { group: kind.group, version: kind.version };
}

function responseKind(resource: ResourceDescriptor): object {
  return {
    group: '',
    version: '',
    ...differentKind(resource),
    kind: (resource.responseKind ?? resource).kind,
  };
}

function aggregatedDocument(served: readonly ServedGroupVersion[]): AggregatedDocument {
  const items: { metadata: object; versions: object[] }[] = [];
  let current: string | undefined;
  for (const version of served) {
    if (items.length === 0 || version.group !== current) {
      items.push({ metadata: version.group === '' ? {} : { name: version.group }, versions: [] });
      current = version.group;
    }
    (items[items.length - 1] as { versions: object[] }).versions.push(versionDocument(version));
  }
  const document = {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items,
  };
  const body = Buffer.from(`${JSON.stringify(document)}\n`);
  const etag = `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"`;
  return { body, etag };
}

function versionDocument(served: ServedGroupVersion): object {
  const { version, remote, freshness = 'Current' } = served;
  if (remote !== undefined)
    return { version, ...(remote.length > 0 ? { resources: remote } : {}), freshness };
  const ordered = sorted(served.resources);
  const main = ordered.filter((resource) => resource.subresource === '');
  const resources = main.map((resource) => {
    const subresources = ordered
      .filter((each) => each.resource === resource.resource && each.subresource !== '')
      .map((each) => ({
        subresource: each.subresource,
        responseKind: responseKind(each),
        verbs: each.verbs,
      }));
    return {
      resource: resource.resource,
      responseKind: responseKind(resource),
      scope: resource.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: resource.singularName,
      verbs: resource.verbs,
      ...(resource.shortNames.length > 0 ? { shortNames: resource.shortNames } : {}),
      ...(resource.categories.length > 0 ? { categories: resource.categories } : {}),
      ...(subresources.length > 0 ? { subresources } : {}),
    };
  });
  return {
    version,
    ...(resources.length > 0 ? { resources } : {}),
    freshness,
  };
}

/** Kubernetes' order of versions: stable before beta before alpha, higher numbers first; others last, by name. Negative: `a` is less. */
export function compareVersions(a: string, b: string): number {
  const left = parseVersion(a);
  const right = parseVersion(b);
  if (!left || !right) {
    if (left) return 1;
    if (right) return -1;
    return a < b ? 1 : a > b ? -1 : 0;
  }
  return left.stage - right.stage || left.major - right.major || left.minor - right.minor;
}

function parseVersion(version: string): { major: number; stage: number; minor: number } | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (!match) return undefined;
  const stage = match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0;
  return { major: Number(match[1]), stage, minor: Number(match[3] ?? 0) };
}
