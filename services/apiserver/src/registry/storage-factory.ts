import type { KubeObject } from '@pilothouse/apimachinery';
import { Cacher } from '../storage/cacher/cacher.ts';
import { ChangeFeed } from '../storage/cacher/change-feed.ts';
import type { Storage } from '../storage/interface.ts';
import type { KeyValueStore } from '../storage/key-value-store.ts';
import { ObjectStorage } from '../storage/object-storage.ts';
import type { ObjectCodec } from '../storage/stored-object.ts';
import type { RegistryServices } from './generic/services.ts';
import type { CachedResource, CacheView } from './rest/rest-storage.ts';

export interface OpenOptions {
  /** What follows the root: `pods`, `services/specs`, `example.com/widgets`. */
  readonly etcdPrefix: string;
  readonly codec: ObjectCodec;
  readonly typeMeta: { readonly apiVersion: string; readonly kind: string };
  /** What is stored, for encryption: the group and plural of the resource. */
  readonly groupResource: { readonly group: string; readonly resource: string };
  /** See {@link CacherOptions.trigger}. */
  readonly trigger?: ((object: KubeObject) => string) | undefined;
  /** See {@link CacherOptions.refusesAsStore}. */
  readonly refusesAsStore?: boolean | undefined;
}

export interface OpenedStorage {
  readonly storage: Storage;
  readonly view: CacheView;
  /** The full prefix, for messages. */
  readonly prefix: string;
  /** Resolves when the cache is filled. */
  start(): Promise<void>;
  /** Ends all watches; for a custom resource that is no longer served. */
  close(): void;
}

/** Opens the storage of each resource, all on one store and one change feed. */
export class StorageFactory {
  readonly #store: KeyValueStore;
  readonly #services: RegistryServices;
  readonly #root: string;
  readonly feed: ChangeFeed;
  readonly #opened = new Set<OpenedStorage>();
  readonly #cached = new Map<string, CachedResource>();

  /** `root` with both slashes; upstream's --etcd-prefix gives `/registry/`. */
  constructor(store: KeyValueStore, services: RegistryServices, root = '/registry/') {
    this.#store = store;
    this.#services = services;
    this.#root = root;
    this.feed = new ChangeFeed({ store, clock: services.clock, logger: services.logger, root });
  }

  get store(): KeyValueStore {
    return this.#store;
  }

  /** Every resource that is open now; when a definition changed, as it is now. */
  get cached(): ReadonlyMap<string, CachedResource> {
    return this.#cached;
  }

  open(options: OpenOptions): OpenedStorage {
    const prefix = `${this.#root}${options.etcdPrefix}/`;
    const { group, resource } = options.groupResource;
    const id = `${group}/${resource}`;
    this.#store.claim?.(prefix, this.#root, group, resource);
    const storage = new ObjectStorage({
      store: this.#store,
      codec: options.codec,
      prefix,
      typeMeta: options.typeMeta,
    });
    const cacher = new Cacher({
      storage,
      feed: this.feed,
      clock: this.#services.clock,
      random: this.#services.random,
      logger: this.#services.logger,
      trigger: options.trigger,
      refusesAsStore: options.refusesAsStore,
    });
    const opened: OpenedStorage = {
      storage: cacher,
      view: cacher,
      prefix,
      start: () => cacher.start(),
      close: () => {
        this.#opened.delete(opened);
        if (this.#cached.get(id)?.view === cacher) this.#cached.delete(id);
        cacher.close();
      },
    };
    this.#opened.add(opened);
    this.#cached.set(id, { group, resource, view: cacher });
    return opened;
  }

  /** A storage that is read too rarely to keep a copy of it. */
  openUncached(options: Omit<OpenOptions, 'trigger' | 'refusesAsStore' | 'groupResource'>): ObjectStorage {
    const prefix = `${this.#root}${options.etcdPrefix}/`;
    return new ObjectStorage({
      store: this.#store,
      codec: options.codec,
      prefix,
      typeMeta: options.typeMeta,
    });
  }

  close(): void {
    for (const opened of [...this.#opened]) opened.close();
    this.feed.close();
  }
}
