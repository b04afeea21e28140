import type { GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import type { CachedObjects, ObjectAccess, ObjectListener } from './object-access.ts';

/** {@link ObjectAccess} on a map, without validation: for tests of what is built on it. */
export class MemoryObjectAccess implements ObjectAccess {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Map<string, Set<ObjectListener>>();
  #revision = 0;

  /** Stores an object as it is; uid and resourceVersion are made when missing. */
  put(resource: GroupVersionResource, object: KubeObject): KubeObject {
    const key = objectKey(object.metadata.namespace ?? '', object.metadata.name ?? '');
    const table = this.#table(resource);
    const existed = table.has(key);
    this.#revision++;
    const stored: KubeObject = {
      ...object,
      metadata: {
        uid: `uid-${this.#revision}`,
        ...object.metadata,
        resourceVersion: String(this.#revision),
      },
    };
    table.set(key, stored);
    this.#tell(resource, existed ? 'MODIFIED' : 'ADDED', stored);
    return stored;
  }

  remove(resource: GroupVersionResource, namespace: string, name: string): void {
    const table = this.#table(resource);
    const object = table.get(objectKey(namespace, name));
    if (object === undefined) return;
    table.delete(objectKey(namespace, name));
    this.#tell(resource, 'DELETED', object);
  }

  cached(resource: GroupVersionResource): CachedObjects {
    const table = this.#table(resource);
    return {
      get: (namespace, name) => table.get(objectKey(namespace, name)),
      list: (namespace) => this.#list(resource, namespace ?? ''),
      subscribe: (listener) => {
        let listeners = this.#listeners.get(resource.resource);
        if (listeners === undefined) this.#listeners.set(resource.resource, (listeners = new Set()));
        listeners.add(listener);
        listener.reset();
        for (const object of table.values()) listener.changed('ADDED', object);
        listener.synced();
        return () => listeners.delete(listener);
      },
    };
  }

  async get(resource: GroupVersionResource, namespace: string, name: string): Promise<KubeObject> {
    const object = this.#table(resource).get(objectKey(namespace, name));
    if (object === undefined) throw statusErrors.notFound(resource, name);
    return object;
  }

  async list(resource: GroupVersionResource, namespace?: string): Promise<readonly KubeObject[]> {
    return this.#list(resource, namespace ?? '');
  }

  async create(resource: GroupVersionResource, namespace: string, object: KubeObject): Promise<KubeObject> {
    const name = object.metadata.name ?? '';
    if (this.#table(resource).has(objectKey(namespace, name)))
      throw statusErrors.alreadyExists(resource, name);
    return this.put(resource, object);
  }

  async update(resource: GroupVersionResource, namespace: string, object: KubeObject): Promise<KubeObject> {
    const name = object.metadata.name ?? '';
    const existing = await this.get(resource, namespace, name);
    const version = object.metadata.resourceVersion;
    if (version !== undefined && version !== existing.metadata.resourceVersion) {
      throw statusErrors.conflict(resource, name, 'the object has been modified');
    }
    return this.put(resource, object);
  }

  #list(resource: GroupVersionResource, namespace: string): KubeObject[] {
    const objects = [...this.#table(resource).values()];
    return namespace === '' ? objects : objects.filter((object) => object.metadata.namespace === namespace);
  }

  #table(resource: GroupVersionResource): Map<string, KubeObject> {
    const key = `${resource.group}/${resource.resource}`;
    let table = this.#objects.get(key);
    if (table === undefined) this.#objects.set(key, (table = new Map()));
    return table;
  }

  #tell(resource: GroupVersionResource, type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    for (const listener of this.#listeners.get(resource.resource) ?? []) listener.changed(type, object);
  }
}

function objectKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
