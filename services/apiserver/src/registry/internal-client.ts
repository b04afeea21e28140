import type { Clock } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { deepClone } from '../storage/deep.ts';
import type {
  CacheView,
  DeleteOptions,
  InternalClient,
  ListOptions,
  RestContext,
  RestStorage,
  WatchStream,
} from './rest/rest-storage.ts';
import { noAdmission } from './rest/rest-storage.ts';

type Find = (
  group: string,
  version: string,
  resource: string,
  subresource?: string,
) => RestStorage | undefined;

/** The server itself: user system:apiserver, member of system:masters. */
export function internalContext(clock: Clock, namespace: string): RestContext {
  const iso = new Date(clock.now()).toISOString();
  return {
    user: { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] },
    namespace,
    now: `${iso.slice(0, 19)}Z`,
    nowMicro: `${iso.slice(0, 23)}000Z`,
    dryRun: false,
    fieldManager: 'kube-apiserver',
    addWarning: () => undefined,
    isAborted: () => false,
  };
}

/** See {@link InternalClient}. */
export class DirectClient implements InternalClient {
  readonly #find: Find;
  readonly #views: (group: string, resource: string) => CacheView | undefined;
  readonly #clock: Clock;

  constructor(find: Find, views: (group: string, resource: string) => CacheView | undefined, clock: Clock) {
    this.#find = find;
    this.#views = views;
    this.#clock = clock;
  }

  async get(
    group: string,
    version: string,
    resource: string,
    namespace: string,
    name: string,
  ): Promise<KubeObject> {
    const get = this.#method(group, version, resource, '', 'get');
    return (await get(internalContext(this.#clock, namespace), name, {})).object;
  }

  async list(
    group: string,
    version: string,
    resource: string,
    namespace = '',
    options: ListOptions = {},
  ): Promise<KubeObject[]> {
    const list = this.#method(group, version, resource, '', 'list');
    const found = await list(internalContext(this.#clock, namespace), options);
    return [...found.items].map((item) => item.object);
  }

  async watch(
    group: string,
    version: string,
    resource: string,
    options: ListOptions = {},
  ): Promise<WatchStream> {
    return this.#method(group, version, resource, '', 'watch')(internalContext(this.#clock, ''), options);
  }

  async create(group: string, version: string, resource: string, object: KubeObject): Promise<KubeObject> {
    const create = this.#method(group, version, resource, '', 'create');
    const own = deepClone(object);
    this.#find(group, version, resource)?.defaults?.(own);
    const context = internalContext(this.#clock, object.metadata.namespace ?? '');
    const created = await create(context, '', own, {}, noAdmission);
    return 'object' in created ? created.object : (created as unknown as KubeObject);
  }

  async update(
    group: string,
    version: string,
    resource: string,
    object: KubeObject,
    subresource = '',
  ): Promise<KubeObject> {
    const update = this.#method(group, version, resource, subresource, 'update');
    const context = internalContext(this.#clock, object.metadata.namespace ?? '');
    const storage = this.#find(group, version, resource, subresource);
    const { uid } = object.metadata;
    const info = {
      ...(uid === undefined || uid === '' ? {} : { preconditions: { uid } }),
      updatedObject: (): KubeObject => {
        const own = deepClone(object);
        storage?.defaults?.(own);
        return own;
      },
    };
    return (await update(context, object.metadata.name ?? '', info, {}, noAdmission)).object.object;
  }

  async delete(
    group: string,
    version: string,
    resource: string,
    namespace: string,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    const remove = this.#method(group, version, resource, '', 'delete');
    await remove(internalContext(this.#clock, namespace), name, options, noAdmission);
  }

  storage(group: string, version: string, resource: string, subresource = ''): RestStorage | undefined {
    return this.#find(group, version, resource, subresource);
  }

  watchCache(group: string, resource: string): CacheView | undefined {
    return this.#views(group, resource);
  }

  #method<K extends 'get' | 'list' | 'watch' | 'create' | 'update' | 'delete'>(
    group: string,
    version: string,
    resource: string,
    subresource: string,
    verb: K,
  ): NonNullable<RestStorage[K]> {
    const storage = this.#find(group, version, resource, subresource);
    if (storage === undefined) throw statusErrors.notFound({ group, resource }, '');
    const method = storage[verb];
    if (method === undefined) throw statusErrors.methodNotSupported({ group, resource }, verb);
    return method.bind(storage) as NonNullable<RestStorage[K]>;
  }
}
