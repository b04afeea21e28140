import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import { builtinProtobuf, encodeJson } from '@pilothouse/serializer';
import type {
  InternalClient,
  Registry,
  ResourceDescriptor,
  RestStorage,
  Stored,
  WatchEvent,
  WatchStream,
} from '../registry/rest/rest-storage.ts';

const configMaps: ResourceDescriptor = {
  group: '',
  version: 'v1',
  resource: 'configmaps',
  subresource: '',
  singularName: 'configmap',
  kind: 'ConfigMap',
  namespaced: true,
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
  shortNames: ['cm'],
  categories: [],
};

export function storedOf(object: KubeObject, revision: number): Stored {
  const schema = builtinSchemas.kind('', 'v1', object.kind ?? '');
  if (!schema) throw new Error(`No schema of ${object.kind}`);
  const json = Buffer.from(encodeJson(object, schema));
  const head = `{"kind":"${object.kind}","apiVersion":"${object.apiVersion}",`;
  return {
    key: `${object.metadata.namespace}/${object.metadata.name}`,
    revision,
    object,
    json: () => json,
    listItemJson: () => json.subarray(head.length),
    listItemProtobuf: () => builtinProtobuf.encodeMessage(object, schema),
    protobuf: () => builtinProtobuf.encode(object, schema),
  };
}

/** ConfigMaps in a map: enough of a storage to test what is in front of it. */
export class FakeConfigMaps implements RestStorage {
  readonly resource = configMaps;
  readonly objects = new Map<string, Stored>();
  readonly watchers = new Set<FakeStream>();
  revision = 1;

  #set(object: KubeObject, type: 'ADDED' | 'MODIFIED'): Stored {
    object.metadata.resourceVersion = String(++this.revision);
    const stored = storedOf(object, this.revision);
    this.objects.set(stored.key, stored);
    for (const watcher of this.watchers) watcher.push({ type, object: stored });
    return stored;
  }
  get: NonNullable<RestStorage['get']> = (context, name) => {
    const stored = this.objects.get(`${context.namespace}/${name}`);
    if (!stored) return Promise.reject(statusErrors.notFound(configMaps, name));
    return Promise.resolve(stored);
  };
  list: NonNullable<RestStorage['list']> = (context) =>
    Promise.resolve({
      items: [...this.objects.values()].filter(({ key }) => key.startsWith(context.namespace)),
      resourceVersion: String(this.revision),
      continue: '',
    });
  watch: NonNullable<RestStorage['watch']> = () => {
    const stream = new FakeStream(() => this.watchers.delete(stream));
    this.watchers.add(stream);
    for (const object of this.objects.values()) stream.push({ type: 'ADDED', object });
    return Promise.resolve(stream);
  };
  create: NonNullable<RestStorage['create']> = async (_context, _name, object, _options, admission) => {
    const admitted = (await admission.admit('CREATE', object, undefined)) ?? object;
    await admission.validate('CREATE', admitted, undefined);
    return this.#set(admitted, 'ADDED');
  };
  update: NonNullable<RestStorage['update']> = async (context, name, info) => {
    const existing = this.objects.get(`${context.namespace}/${name}`);
    if (!existing) throw statusErrors.notFound(configMaps, name);
    return {
      object: this.#set(await info.updatedObject(context, existing.object), 'MODIFIED'),
      created: false,
    };
  };
  delete: NonNullable<RestStorage['delete']> = async (context, name) => {
    const stored = await this.get(context, name, {});
    this.objects.delete(stored.key);
    return { object: stored, immediate: true };
  };
}

class FakeStream implements WatchStream {
  readonly #queue: WatchEvent[] = [];
  readonly #onClose: () => void;
  #wake: (() => void) | undefined;
  #closed = false;
  constructor(onClose: () => void) {
    this.#onClose = onClose;
  }
  push(event: WatchEvent): void {
    this.#queue.push(event);
    this.#wake?.();
  }
  async next(): Promise<readonly WatchEvent[] | undefined> {
    while (!this.#closed && this.#queue.length === 0)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#closed ? undefined : this.#queue.splice(0);
  }
  close(): void {
    this.#closed = true;
    this.#wake?.();
    this.#onClose();
  }
  async *[Symbol.asyncIterator](): AsyncIterator<WatchEvent> {
    for (let events = await this.next(); events; events = await this.next()) yield* events;
  }
}

/** A registry that has ConfigMaps only. */
export function fakeRegistry(): Registry & { readonly configMaps: FakeConfigMaps } {
  const storage = new FakeConfigMaps();
  const client = { watchCache: () => undefined } as unknown as InternalClient;
  return {
    configMaps: storage,
    client,
    storages: [storage],
    storage: (group, version, resource, subresource = '') =>
      group === '' && version === 'v1' && resource === 'configmaps' && subresource === ''
        ? storage
        : undefined,
  };
}
