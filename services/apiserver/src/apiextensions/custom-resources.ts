import type { KubeObject } from '@pilothouse/apimachinery';
import { isConditionTrue } from '@pilothouse/api/apiextensions';
import type {
  CrdCondition,
  CustomResourceDefinitionSpec,
  CustomResourceNames,
} from '@pilothouse/api/apiextensions';
import { customGroupPriority } from '../endpoints/discovery/discovery-manager.ts';
import type { DiscoveryManager } from '../endpoints/discovery/discovery-manager.ts';
import type { ResourceTable } from '../endpoints/resource-table.ts';
import type { RestStorage } from '../registry/rest/rest-storage.ts';
import { deepEqual } from '../storage/deep.ts';
import { CustomResourceStore } from './custom-resource-store.ts';
import type { CustomStorages } from './custom-storages.ts';

/** Definition as it is served: what of it makes a difference. */
interface Served {
  readonly spec: CustomResourceDefinitionSpec;
  readonly names: CustomResourceNames;
  readonly custom: CustomStorages;
}

export interface CustomResourcesOptions {
  readonly resources: ResourceTable;
  readonly discovery: DiscoveryManager;
  /** Of the built-in resources; a definition may add to their groups. */
  readonly builtIn: readonly RestStorage[];
  open(spec: CustomResourceDefinitionSpec, names: CustomResourceNames): CustomStorages;
  /** Told after each change with the group-versions that changed. */
  changed(groupVersions: readonly GroupVersionResources[]): void;
}

export interface GroupVersionResources {
  readonly group: string;
  readonly version: string;
  /** Whether there is any definition. */
  readonly isServed: boolean;
  /** Made when it is first read. */
  readonly definitions: readonly {
    readonly spec: CustomResourceDefinitionSpec;
    readonly names: CustomResourceNames;
  }[];
}

/** The custom resources that this server answers, kept in step with the definitions one by one. */
export class CustomResources {
  readonly #options: CustomResourcesOptions;
  readonly #served = new Map<string, Served>();
  /** The same by group and version, then by name. */
  readonly #byVersion = new Map<string, Map<string, Served>>();

  constructor(options: CustomResourcesOptions) {
    this.#options = options;
  }

  /** Storages of a definition that is served, for its clean-up. */
  storagesOf(name: string): CustomStorages | undefined {
    return this.#served.get(name)?.custom;
  }

  serves(name: string, version: string): boolean {
    return (
      this.#served.get(name)?.custom.storages.some(({ resource }) => resource.version === version) === true
    );
  }

  /** Begins, changes or ends serving as the definition says. Resolves when the answer of requests has changed. */
  async apply(definition: KubeObject): Promise<void> {
    const name = definition.metadata.name ?? '';
    const spec = definition['spec'] as CustomResourceDefinitionSpec;
    const status = (definition['status'] ?? {}) as {
      conditions?: CrdCondition[];
      acceptedNames?: CustomResourceNames;
    };
    const before = this.#served.get(name);
    if ((definition.metadata.deletionTimestamp ?? '') !== '') {
      for (const storage of before?.custom.storages ?? []) {
        if (storage instanceof CustomResourceStore) storage.terminating = true;
      }
    }
    const accepted =
      isConditionTrue(status.conditions, 'NamesAccepted') ||
      isConditionTrue(status.conditions, 'Established');
    if (!accepted || status.acceptedNames === undefined) return;
    const names = status.acceptedNames;
    if (before !== undefined && deepEqual(before.spec, spec) && deepEqual(before.names, names)) return;
    const custom = this.#options.open(spec, names);
    await custom.opened.start();
    this.#withdraw(name);
    this.#serve(name, { spec, names, custom });
    for (const storage of custom.storages) this.#options.resources.add(storage);
    this.#publish([
      ...versionsOf(before),
      ...spec.versions.map((version) => [spec.group, version.name] as const),
    ]);
    before?.custom.opened.close();
  }

  /** The definition is gone. */
  remove(name: string): void {
    const before = this.#served.get(name);
    if (before === undefined) return;
    this.#withdraw(name);
    this.#publish(versionsOf(before));
    before.custom.opened.close();
  }

  close(): void {
    for (const { custom } of this.#served.values()) custom.opened.close();
    this.#served.clear();
    this.#byVersion.clear();
  }

  #serve(name: string, served: Served): void {
    this.#served.set(name, served);
    const { spec } = served;
    for (const version of spec.versions) {
      if (!version.served) continue;
      const key = `${spec.group}/${version.name}`;
      const known = this.#byVersion.get(key);
      if (known === undefined) this.#byVersion.set(key, new Map([[name, served]]));
      else known.set(name, served);
    }
  }

  #withdraw(name: string): void {
    const served = this.#served.get(name);
    if (served === undefined) return;
    for (const { resource } of served.custom.storages) {
      this.#options.resources.remove(resource.group, resource.version, resource.resource);
    }
    for (const version of served.spec.versions)
      this.#byVersion.get(`${served.spec.group}/${version.name}`)?.delete(name);
    this.#served.delete(name);
  }

  #publish(changed: readonly (readonly [group: string, version: string])[]): void {
    const { discovery, builtIn } = this.#options;
    const told: GroupVersionResources[] = [];
    for (const key of new Set(changed.map(([group, version]) => `${group}/${version}`))) {
      const [group = '', version = ''] = key.split('/');
      // Definitions come by the hundred: lists of all are made when somebody reads them.
      const served = this.#byVersion.get(key) ?? new Map<string, Served>();
      // By name, so that all servers make the same documents.
      const definitions = lazy(() =>
        [...served].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, definition]) => definition),
      );
      told.push({
        group,
        version,
        isServed: served.size > 0,
        get definitions() {
          return definitions();
        },
      });
      const own = builtIn.filter(({ resource }) => resource.group === group && resource.version === version);
      const descriptors = lazy(() =>
        [...own, ...[...served.values()].flatMap(({ custom }) => custom.storages)]
          .map(({ resource }) => resource)
          .filter((resource) => resource.version === version),
      );
      if (served.size === 0 && own.length === 0) {
        discovery.remove(group, version);
        continue;
      }
      const before = discovery.get(group, version);
      discovery.add({
        group,
        version,
        groupPriority: before?.groupPriority ?? customGroupPriority.groupPriority,
        versionPriority: before?.versionPriority ?? customGroupPriority.versionPriority,
        get resources() {
          return descriptors();
        },
      });
    }
    this.#options.changed(told);
  }
}

function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

function versionsOf(served: Served | undefined): (readonly [string, string])[] {
  return (served?.spec.versions ?? []).map((version) => [served?.spec.group ?? '', version.name] as const);
}
