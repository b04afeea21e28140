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
  readonly definitions: readonly {
    readonly spec: CustomResourceDefinitionSpec;
    readonly names: CustomResourceNames;
  }[];
}

/** The custom resources that this server answers, kept in step with the definitions one by one. */
export class CustomResources {
  readonly #options: CustomResourcesOptions;
  readonly #served = new Map<string, Served>();

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
    this.#served.set(name, { spec, names, custom });
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
    this.#served.delete(name);
    this.#publish(versionsOf(before));
    before.custom.opened.close();
  }

  close(): void {
    for (const { custom } of this.#served.values()) custom.opened.close();
    this.#served.clear();
  }

  #withdraw(name: string): void {
    for (const { resource } of this.#served.get(name)?.custom.storages ?? []) {
      this.#options.resources.remove(resource.group, resource.version, resource.resource);
    }
  }

  #publish(changed: readonly (readonly [group: string, version: string])[]): void {
    const { discovery, builtIn } = this.#options;
    const told: GroupVersionResources[] = [];
    for (const key of new Set(changed.map(([group, version]) => `${group}/${version}`))) {
      const [group = '', version = ''] = key.split('/');
      const definitions = [...this.#served.values()].filter(
        ({ spec }) =>
          spec.group === group && spec.versions.some((each) => each.name === version && each.served),
      );
      told.push({ group, version, definitions });
      const own = builtIn.filter(({ resource }) => resource.group === group && resource.version === version);
      const storages = definitions
        .flatMap(({ custom }) => custom.storages)
        .filter(({ resource }) => resource.version === version);
      if (storages.length === 0 && own.length === 0) {
        discovery.remove(group, version);
        continue;
      }
      const before = discovery.get(group, version);
      discovery.add({
        group,
        version,
        groupPriority: before?.groupPriority ?? customGroupPriority.groupPriority,
        versionPriority: before?.versionPriority ?? customGroupPriority.versionPriority,
        resources: [...own, ...storages].map(({ resource }) => resource),
      });
    }
    this.#options.changed(told);
  }
}

function versionsOf(served: Served | undefined): (readonly [string, string])[] {
  return (served?.spec.versions ?? []).map((version) => [served?.spec.group ?? '', version.name] as const);
}
