import type { GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { ObjectAccess } from '../security/object-access.ts';

const namespacesMax = 10_000;

/**
 * The objects of a namespace for a check: from the watch cache, and while that has none, from the store, asked at most once in `ttlMs` per
 * namespace. So a limit that was just made counts at once, and namespaces without limits cost nothing.
 */
export class LiveLookup {
  readonly #objects: ObjectAccess;
  readonly #resource: GroupVersionResource;
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #known = new Map<string, { readonly at: number; readonly items: readonly KubeObject[] }>();

  constructor(objects: ObjectAccess, resource: GroupVersionResource, clock: Clock, ttlMs = 30_000) {
    this.#objects = objects;
    this.#resource = resource;
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  async list(namespace: string): Promise<readonly KubeObject[]> {
    const cached = this.#objects.cached(this.#resource).list(namespace);
    if (cached.length > 0) {
      // What the store said before is older now, and must not come back when the last object goes.
      this.#known.delete(namespace);
      return cached;
    }
    const nowMs = this.#clock.monotonic();
    const known = this.#known.get(namespace);
    if (known !== undefined && nowMs - known.at < this.#ttlMs) return known.items;
    const items = await this.#objects.list(this.#resource, namespace);
    if (this.#known.size >= namespacesMax) this.#known.clear();
    this.#known.set(namespace, { at: nowMs, items });
    return items;
  }
}
