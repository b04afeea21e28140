import type { Registry, RestStorage } from '../registry/rest/rest-storage.ts';

const key = (group: string, version: string, resource: string, subresource: string): string =>
  `${group}/${version}/${resource}/${subresource}`;

/**
 * Finds the storage behind a path at the moment of the request, so that resources come and go while the server runs. What
 * was added here goes before what the registry has.
 */
export class ResourceTable {
  readonly #registry: Registry;
  readonly #added = new Map<string, RestStorage>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  add(storage: RestStorage): void {
    const { group, version, resource, subresource } = storage.resource;
    this.#added.set(key(group, version, resource, subresource), storage);
  }

  /** Removes a resource with its subresources. */
  remove(group: string, version: string, resource: string): void {
    const prefix = key(group, version, resource, '');
    for (const name of this.#added.keys()) if (name.startsWith(prefix)) this.#added.delete(name);
  }

  find(group: string, version: string, resource: string, subresource: string): RestStorage | undefined {
    return (
      this.#added.get(key(group, version, resource, subresource)) ??
      this.#registry.storage(group, version, resource, subresource)
    );
  }
}
