import type { KubeObject } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import type { Clock, Logger, Random } from '@pilothouse/base';
import { assert, errorMessage, sleep } from '@pilothouse/base';
import type { IndexFunction, Lister } from './indexer.ts';
import { Indexer, objectKey } from './indexer.ts';
import type { ResourceRef, RestClient, WatchEvent } from './rest-client.ts';

/** Called in the order of the changes. `old` of an update may lie several versions back: events are merged while disconnected. */
export interface EventHandler<T extends KubeObject = KubeObject> {
  onAdd?(object: T, isInInitialList: boolean): void;
  onUpdate?(object: T, old: T): void;
  /** The last state seen, which may be older than the deleted one. */
  onDelete?(object: T): void;
}

export interface InformerOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Keep only apiVersion, kind and metadata of each object. */
  readonly metadataOnly?: boolean;
}

export interface InformerDependencies {
  readonly client: RestClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The watch must be opened anew from a fresh list (410, or a Status that says so). */
class RelistNeeded extends Error {}

/**
 * Keeps a local copy of a resource and tells handlers of each change (client-go's reflector and shared informer in one).
 * It opens a WatchList stream, falls back to LIST + WATCH where the server refuses it, resumes by resourceVersion after a break
 * and relists only on 410. Order per object is kept; nothing is missed, several changes may be merged into one.
 */
export class Informer<T extends KubeObject = KubeObject> {
  readonly ref: ResourceRef;
  readonly #options: InformerOptions;
  readonly #dependencies: InformerDependencies;
  readonly #indexer = new Indexer<T>();
  readonly #handlers: EventHandler<T>[] = [];
  readonly #stopper = new AbortController();
  readonly #syncWaiters: (() => void)[] = [];
  #resourceVersion = '';
  #synced = false;
  #started = false;
  #useWatchList = true;
  #done: Promise<void> = Promise.resolve();

  constructor(ref: ResourceRef, options: InformerOptions, dependencies: InformerDependencies) {
    this.ref = ref;
    this.#options = options;
    this.#dependencies = dependencies;
  }

  get lister(): Lister<T> {
    return this.#indexer;
  }

  /** True once the first full state is in the cache and its handlers have run. */
  get hasSynced(): boolean {
    return this.#synced;
  }

  /** Before `start` only. */
  addIndex(name: string, values: IndexFunction<T>): void {
    this.#indexer.addIndex(name, values);
  }

  /** A handler added late gets an onAdd for each object that is already there. */
  addHandler(handler: EventHandler<T>): void {
    this.#handlers.push(handler);
    for (const object of this.#indexer.list()) handler.onAdd?.(object, true);
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopper.abort();
    await this.#done;
  }

  waitForSync(): Promise<void> {
    return this.#synced ? Promise.resolve() : new Promise((resolve) => this.#syncWaiters.push(resolve));
  }

  async #run(): Promise<void> {
    const { clock, random, logger } = this.#dependencies;
    let failures = 0;
    while (!this.#stopper.signal.aborted) {
      const before = this.#resourceVersion;
      try {
        if (this.#resourceVersion === '') await this.#fill();
        else await this.#watch(this.#resourceVersion);
        failures = 0;
      } catch (error) {
        if (this.#stopper.signal.aborted) return;
        if (error instanceof RelistNeeded || (error instanceof StatusError && error.httpCode === 410)) {
          this.#resourceVersion = '';
        } else {
          failures = this.#resourceVersion === before ? failures + 1 : 1;
          logger.debug('Watch ended', { resource: this.ref.resource, error: errorMessage(error) });
        }
      }
      // The first retry comes at once-ish: a replica that went away must not cost a second of blindness.
      if (failures > 0)
        await sleep(clock, Math.min(30_000, 50 * 2 ** Math.min(failures - 1, 9)) * (0.5 + random.float()));
    }
  }

  /** First state: WatchList, or LIST where that is refused. */
  async #fill(): Promise<void> {
    const { client } = this.#dependencies;
    if (this.#useWatchList) {
      try {
        await this.#watchList();
        return;
      } catch (error) {
        if (
          !(error instanceof StatusError) ||
          error.httpCode < 400 ||
          error.httpCode === 410 ||
          error.httpCode === 429
        )
          throw error;
        this.#useWatchList = false;
      }
    }
    const items: T[] = [];
    let token: string | undefined;
    let version: string;
    do {
      const page = await client.list<T>(this.ref, {
        ...this.#options,
        limit: 500,
        ...(token === undefined ? { resourceVersion: '' } : { continue: token }),
      });
      const kind = page.kind.replace(/List$/, '');
      for (const item of page.items)
        items.push({ ...item, apiVersion: item.apiVersion ?? page.apiVersion, kind: item.kind ?? kind });
      version = page.metadata.resourceVersion ?? '';
      token = page.metadata.continue;
    } while (token !== undefined && token !== '');
    this.#replace(items, version);
  }

  async #watchList(): Promise<void> {
    const events = await this.#dependencies.client.watch<T>(this.ref, {
      ...this.#options,
      allowWatchBookmarks: true,
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      signal: this.#stopper.signal,
    });
    const initial = new Map<string, T>();
    let filling = true;
    for await (const event of events) {
      if (!filling) {
        this.#apply(event);
        continue;
      }
      if (event.type === 'ERROR') throw errorFromEvent(event);
      if (event.type === 'BOOKMARK') {
        if (event.object.metadata.annotations?.['k8s.io/initial-events-end'] !== 'true') continue;
        filling = false;
        this.#replace([...initial.values()], event.object.metadata.resourceVersion ?? '');
      } else if (event.type === 'DELETED') initial.delete(objectKey(event.object));
      else initial.set(objectKey(event.object), event.object);
    }
    if (filling) throw new Error('The stream ended before the initial events did');
  }

  async #watch(resourceVersion: string): Promise<void> {
    const events = await this.#dependencies.client.watch<T>(this.ref, {
      ...this.#options,
      resourceVersion,
      allowWatchBookmarks: true,
      timeoutSeconds: 300 + this.#dependencies.random.integer(300),
      signal: this.#stopper.signal,
    });
    for await (const event of events) this.#apply(event);
  }

  #replace(items: readonly T[], resourceVersion: string): void {
    const gone = new Set(this.#indexer.keys());
    for (const item of items) {
      gone.delete(objectKey(item));
      this.#upsert(item, !this.#synced);
    }
    for (const key of gone) this.#remove(key);
    this.#resourceVersion = resourceVersion;
    if (!this.#synced) {
      this.#synced = true;
      for (const resolve of this.#syncWaiters.splice(0)) resolve();
    }
  }

  #apply(event: WatchEvent<T>): void {
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#upsert(event.object, false);
        break;
      case 'DELETED':
        this.#indexer.set(event.object);
        this.#remove(objectKey(event.object));
        break;
      case 'BOOKMARK':
        break;
      case 'ERROR':
        throw errorFromEvent(event);
    }
    this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion;
  }

  #upsert(object: T, initial: boolean): void {
    assert(object.metadata.name !== undefined, 'A watched object has a name');
    const old = this.#indexer.set(object);
    for (const handler of this.#handlers) {
      if (!old) handler.onAdd?.(object, initial);
      else if (old.metadata.uid !== object.metadata.uid) {
        // Deleted and made anew while we were not looking: two facts, so two calls.
        handler.onDelete?.(old);
        handler.onAdd?.(object, initial);
      } else if (old.metadata.resourceVersion !== object.metadata.resourceVersion)
        handler.onUpdate?.(object, old);
    }
  }

  #remove(key: string): void {
    const old = this.#indexer.delete(key);
    if (old) for (const handler of this.#handlers) handler.onDelete?.(old);
  }
}

function errorFromEvent(event: WatchEvent): Error {
  const status = event.object as unknown as { code?: number; reason?: string; message?: string };
  if (status.code === 410 || status.reason === 'Expired' || status.reason === 'Gone')
    return new RelistNeeded(status.message);
  return new StatusError(status.code ?? 500, status.reason ?? '', status.message ?? 'The watch failed');
}

/** One informer per resource and selection, shared by all who ask. */
export class InformerFactory {
  readonly #dependencies: InformerDependencies;
  readonly #informers = new Map<string, Informer>();

  constructor(dependencies: InformerDependencies) {
    this.#dependencies = dependencies;
  }

  informer<T extends KubeObject = KubeObject>(ref: ResourceRef, options: InformerOptions = {}): Informer<T> {
    const key = JSON.stringify([
      ref.group,
      ref.version,
      ref.resource,
      options.namespace,
      options.labelSelector,
      options.fieldSelector,
      options.metadataOnly,
    ]);
    let informer = this.#informers.get(key);
    if (!informer) this.#informers.set(key, (informer = new Informer(ref, options, this.#dependencies)));
    return informer as unknown as Informer<T>;
  }

  /** Starts what has not been started; resolves when all have synced. */
  async startAndSync(): Promise<void> {
    for (const informer of this.#informers.values()) informer.start();
    await Promise.all([...this.#informers.values()].map((informer) => informer.waitForSync()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.stop()));
  }
}
