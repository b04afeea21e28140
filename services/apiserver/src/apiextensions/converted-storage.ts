import type { KubeObject } from '@pilothouse/apimachinery';
import type { Preconditions, Stored, WatchEvent, WatchStream } from '../registry/rest/rest-storage.ts';
import type {
  Storage,
  StorageList,
  StorageListOptions,
  StorageWatchOptions,
  StorageWriteResult,
  UpdateOutput,
  UpdateState,
} from '../storage/interface.ts';
import type { ObjectCodec } from '../storage/stored-object.ts';
import { StoredObject } from '../storage/stored-object.ts';
import { WatchStreamBase } from '../storage/watch-queue.ts';

/** Between the version of a request and the one in the store. Each gives objects of its own, with apiVersion set. */
export interface ObjectConversion {
  toStored(objects: readonly KubeObject[]): Promise<readonly KubeObject[]>;
  fromStored(objects: readonly KubeObject[]): Promise<readonly KubeObject[]>;
}

/** A storage seen in another version of its kind. What was converted once is kept as long as the stored object lives. */
export class ConvertedStorage implements Storage {
  readonly #inner: Storage;
  readonly #conversion: ObjectConversion;
  readonly #codec: ObjectCodec;
  readonly #typeMeta: { readonly apiVersion: string; readonly kind: string };
  readonly #views = new WeakMap<Stored, Stored>();

  constructor(
    inner: Storage,
    conversion: ObjectConversion,
    codec: ObjectCodec,
    typeMeta: { readonly apiVersion: string; readonly kind: string },
  ) {
    this.#inner = inner;
    this.#conversion = conversion;
    this.#codec = codec;
    this.#typeMeta = typeMeta;
  }

  async create(key: string, object: KubeObject, ttlSeconds: number): Promise<Stored> {
    return this.#view(await this.#inner.create(key, await this.#toStored(object), ttlSeconds));
  }

  async get(key: string, options: { readonly resourceVersion: string }): Promise<Stored> {
    return this.#view(await this.#inner.get(key, options));
  }

  async list(options: StorageListOptions): Promise<StorageList> {
    const list = await this.#inner.list(options);
    return { ...list, items: await this.#viewAll(list.items) };
  }

  async watch(options: StorageWatchOptions): Promise<WatchStream> {
    return new ConvertedWatch(await this.#inner.watch(options), (events) => this.#events(events));
  }

  async delete(
    key: string,
    preconditions: Preconditions | undefined,
    validate: (existing: Stored) => Promise<void> | void,
  ): Promise<Stored> {
    const gone = await this.#inner.delete(key, preconditions, async (existing) =>
      validate(await this.#view(existing)),
    );
    return this.#view(gone);
  }

  async guaranteedUpdate(
    key: string,
    options: { readonly mustExist: boolean; readonly preconditions: Preconditions | undefined },
    tryUpdate: (state: UpdateState) => Promise<UpdateOutput> | UpdateOutput,
  ): Promise<StorageWriteResult> {
    const result = await this.#inner.guaranteedUpdate(key, options, async ({ existing }) => {
      const view = existing === undefined ? undefined : await this.#view(existing);
      const output = await tryUpdate({ existing: view });
      return { ...output, object: await this.#toStored(output.object) };
    });
    return { ...result, stored: await this.#view(result.stored) };
  }

  currentRevision(): Promise<number> {
    return this.#inner.currentRevision();
  }

  count(): Promise<number> {
    return this.#inner.count();
  }

  async #toStored(object: KubeObject): Promise<KubeObject> {
    return (await this.#conversion.toStored([object]))[0] as KubeObject;
  }

  async #view(stored: Stored): Promise<Stored> {
    return (await this.#viewAll([stored]))[0] as Stored;
  }

  async #viewAll(all: readonly Stored[]): Promise<Stored[]> {
    const missing = all.filter((stored) => !this.#views.has(stored));
    if (missing.length > 0) {
      const converted = await this.#conversion.fromStored(missing.map((stored) => stored.object));
      missing.forEach((stored, index) => {
        const object = converted[index] as KubeObject;
        const view = new StoredObject(this.#codec, stored.key, stored.revision, {
          ...object,
          metadata: { ...object.metadata },
        });
        this.#views.set(stored, view);
      });
    }
    return all.map((stored) => this.#views.get(stored) as Stored);
  }

  async #events(events: readonly WatchEvent[]): Promise<WatchEvent[]> {
    const objects = events.flatMap((event) =>
      event.type === 'ERROR' || event.type === 'BOOKMARK' ? [] : [event.object],
    );
    await this.#viewAll(objects);
    return events.map((event): WatchEvent => {
      if (event.type === 'ERROR') return event;
      if (event.type !== 'BOOKMARK')
        return { type: event.type, object: this.#views.get(event.object) as Stored };
      const object = { ...this.#typeMeta, metadata: { ...event.object.object.metadata } };
      return { type: 'BOOKMARK', object: new StoredObject(this.#codec, '', event.object.revision, object) };
    });
  }
}

class ConvertedWatch extends WatchStreamBase {
  readonly #stream: WatchStream;
  readonly #convert: (events: readonly WatchEvent[]) => Promise<WatchEvent[]>;

  constructor(stream: WatchStream, convert: (events: readonly WatchEvent[]) => Promise<WatchEvent[]>) {
    super();
    this.#stream = stream;
    this.#convert = convert;
  }

  async next(): Promise<readonly WatchEvent[] | undefined> {
    const batch = await this.#stream.next();
    return batch === undefined ? undefined : this.#convert(batch);
  }

  close(): void {
    this.#stream.close();
  }
}
