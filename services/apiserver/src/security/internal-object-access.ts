import type { GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import type { InternalClient, WatchStream } from '../registry/rest/rest-storage.ts';
import type { CachedObjects, ObjectAccess, ObjectListener } from './object-access.ts';

const initialEventsEnd = 'k8s.io/initial-events-end';
const retryDelayMs = 200;

/** {@link ObjectAccess} on the storages of this process. */
export function objectAccess(
  client: InternalClient,
  options: { readonly clock: Clock; readonly logger: Logger },
): ObjectAccess {
  return {
    cached: (resource) => new CachedResource(client, resource, options.clock, options.logger),
    get: (resource, namespace, name) =>
      client.get(resource.group, resource.version, resource.resource, namespace, name),
    list: (resource, namespace) =>
      client.list(resource.group, resource.version, resource.resource, namespace ?? ''),
    create: (resource, namespace, object) =>
      client.create(resource.group, resource.version, resource.resource, inNamespace(object, namespace)),
    update: (resource, namespace, object, subresource) =>
      client.update(
        resource.group,
        resource.version,
        resource.resource,
        inNamespace(object, namespace),
        subresource,
      ),
  };
}

function inNamespace(object: KubeObject, namespace: string): KubeObject {
  if (namespace === '' || object.metadata.namespace === namespace) return object;
  return { ...object, metadata: { ...object.metadata, namespace } };
}

class CachedResource implements CachedObjects {
  readonly #client: InternalClient;
  readonly #resource: GroupVersionResource;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(client: InternalClient, resource: GroupVersionResource, clock: Clock, logger: Logger) {
    this.#client = client;
    this.#resource = resource;
    this.#clock = clock;
    this.#logger = logger;
  }

  get(namespace: string, name: string): KubeObject | undefined {
    return this.#client.watchCache(this.#resource.group, this.#resource.resource)?.get(namespace, name);
  }

  list(namespace?: string): readonly KubeObject[] {
    const view = this.#client.watchCache(this.#resource.group, this.#resource.resource);
    const objects = view?.list(namespace) ?? [];
    return Array.isArray(objects) ? (objects as KubeObject[]) : [...objects];
  }

  subscribe(listener: ObjectListener): () => void {
    const state: { ended: boolean; stream?: WatchStream } = { ended: false };
    void this.#follow(listener, state);
    return () => {
      state.ended = true;
      state.stream?.close();
    };
  }

  async #follow(listener: ObjectListener, state: { ended: boolean; stream?: WatchStream }): Promise<void> {
    const { group, version, resource } = this.#resource;
    while (!state.ended) {
      try {
        const stream = await this.#client.watch(group, version, resource, {
          sendInitialEvents: true,
          allowWatchBookmarks: true,
          resourceVersionMatch: 'NotOlderThan',
        });
        state.stream = stream;
        listener.reset();
        for await (const event of stream) {
          if (state.ended || event.type === 'ERROR') break;
          if (event.type !== 'BOOKMARK') listener.changed(event.type, event.object.object);
          else if (event.object.object.metadata.annotations?.[initialEventsEnd] === 'true') listener.synced();
        }
        stream.close();
      } catch (error) {
        this.#logger.warn('Cannot watch a resource for the security pipeline', {
          resource,
          error: errorMessage(error),
        });
      }
      if (!state.ended) await sleep(this.#clock, retryDelayMs);
    }
  }
}
