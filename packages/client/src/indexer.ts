import type { KubeObject } from '@pilothouse/apimachinery';

/** `namespace/name`, or `name` for cluster-scoped objects: the key under which informers and queues know an object. */
export function objectKey(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined || namespace === '' ? (name ?? '') : `${namespace}/${name ?? ''}`;
}

/** The inverse of {@link objectKey}. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return slash < 0
    ? { namespace: '', name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Gives the values under which an object is found in an index. */
export type IndexFunction<T> = (object: T) => readonly string[];

/** A local, read-only view of a resource. Objects are shared and must not be changed. */
export interface Lister<T extends KubeObject = KubeObject> {
  get(name: string, namespace?: string): T | undefined;
  getByKey(key: string): T | undefined;
  /** All objects, of one namespace when given. */
  list(namespace?: string): T[];
  byIndex(index: string, value: string): T[];
  readonly size: number;
}

/** Keyed objects with indexes. The namespace index is always there. */
export class Indexer<T extends KubeObject = KubeObject> implements Lister<T> {
  readonly #items = new Map<string, T>();
  readonly #functions = new Map<string, IndexFunction<T>>([
    ['namespace', (object) => [object.metadata.namespace ?? '']],
  ]);
  readonly #indexes = new Map<string, Map<string, Set<string>>>([['namespace', new Map()]]);

  get size(): number {
    return this.#items.size;
  }

  addIndex(name: string, values: IndexFunction<T>): void {
    this.#functions.set(name, values);
    this.#indexes.set(name, new Map());
    for (const [key, object] of this.#items) this.#enter(name, key, object);
  }

  get(name: string, namespace = ''): T | undefined {
    return this.#items.get(namespace === '' ? name : `${namespace}/${name}`);
  }

  getByKey(key: string): T | undefined {
    return this.#items.get(key);
  }

  list(namespace?: string): T[] {
    return namespace === undefined || namespace === ''
      ? [...this.#items.values()]
      : this.byIndex('namespace', namespace);
  }

  byIndex(index: string, value: string): T[] {
    const keys = this.#indexes.get(index)?.get(value);
    if (!keys) return [];
    const found: T[] = [];
    for (const key of keys) found.push(this.#items.get(key) as T);
    return found;
  }

  keys(): IterableIterator<string> {
    return this.#items.keys();
  }

  /** Puts an object; returns the one it replaces. */
  set(object: T): T | undefined {
    const key = objectKey(object);
    const old = this.#items.get(key);
    if (old) this.#leaveAll(key, old);
    this.#items.set(key, object);
    for (const name of this.#functions.keys()) this.#enter(name, key, object);
    return old;
  }

  delete(key: string): T | undefined {
    const old = this.#items.get(key);
    if (old) {
      this.#leaveAll(key, old);
      this.#items.delete(key);
    }
    return old;
  }

  #enter(name: string, key: string, object: T): void {
    const index = this.#indexes.get(name) as Map<string, Set<string>>;
    for (const value of (this.#functions.get(name) as IndexFunction<T>)(object)) {
      let keys = index.get(value);
      if (!keys) index.set(value, (keys = new Set()));
      keys.add(key);
    }
  }

  #leaveAll(key: string, object: T): void {
    for (const [name, values] of this.#functions) {
      const index = this.#indexes.get(name) as Map<string, Set<string>>;
      for (const value of values(object)) {
        const keys = index.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index.delete(value);
      }
    }
  }
}
