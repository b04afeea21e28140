import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import type { Preconditions, Stored, WatchStream } from '../registry/rest/rest-storage.ts';
import { bookmarkEvent } from './bookmark.ts';
import type { ContinuePosition } from './continue-token.ts';
import { decodeContinue, encodeContinue } from './continue-token.ts';
import { deepEqual, semanticEqual } from './deep.ts';
import { KeyValueError, storageErrors } from './errors.ts';
import { isEncrypted } from './encryption/transformer.ts';
import type {
  Storage,
  StorageList,
  StorageListOptions,
  StorageWatchOptions,
  StorageWriteResult,
  UpdateOutput,
  UpdateState,
} from './interface.ts';
import type { KeyValue, KeyValueStore } from './key-value-store.ts';
import { prefixEnd } from './key-value-store.ts';
import { storageLimits } from './limits.ts';
import { checkPreconditions } from './preconditions.ts';
import { parseResourceVersion } from './revision-text.ts';
import { selectorTransition } from './selector-transition.ts';
import type { ObjectCodec } from './stored-object.ts';
import { atRevision, encodeStored, StoredObject } from './stored-object.ts';
import { WatchQueue } from './watch-queue.ts';

export interface ObjectStorageOptions {
  readonly store: KeyValueStore;
  readonly codec: ObjectCodec;
  /** `/registry/pods/`, with both slashes. */
  readonly prefix: string;
  /** Of the storage version, for bookmarks. */
  readonly typeMeta: { readonly apiVersion: string; readonly kind: string };
}

/** {@link Storage} straight on a key-value store, without a cache. */
export class ObjectStorage implements Storage {
  readonly store: KeyValueStore;
  readonly codec: ObjectCodec;
  readonly prefix: string;
  readonly typeMeta: { readonly apiVersion: string; readonly kind: string };
  /** Objects this server wrote itself, so that the watch need not decode them again. Bounded; by full key. */
  readonly #written = new Map<string, StoredObject>();

  #averageBytes = 0;
  #bytesSeen = 0;

  constructor(options: ObjectStorageOptions) {
    this.store = options.store;
    this.codec = options.codec;
    this.prefix = options.prefix;
    this.typeMeta = options.typeMeta;
  }

  /** Stored size of an object, averaged over those read and written lately; 0 before the first. */
  get averageBytes(): number {
    return this.#averageBytes;
  }

  #noteSize(bytes: number): void {
    this.#bytesSeen = Math.min(this.#bytesSeen + 1, storageLimits.sizesAveraged);
    this.#averageBytes += (bytes - this.#averageBytes) / this.#bytesSeen;
  }

  /** The object behind a key-value pair of this resource. */
  decode(kv: KeyValue): StoredObject {
    this.#noteSize(kv.value.length);
    const own = this.#written.get(kv.key);
    if (own !== undefined && own.revision === kv.modRevision) return own;
    // Without the right provider it would be taken for damaged.
    if (isEncrypted(kv.value)) {
      throw new KeyValueError('unreadable', 'identity transformer tried to read encrypted data');
    }
    return new StoredObject(
      this.codec,
      kv.key.slice(this.prefix.length),
      kv.modRevision,
      this.codec.decode(kv.value),
    );
  }

  /** As {@link decode}, for the one reader that sees every change: forgets the object. */
  take(kv: KeyValue): StoredObject {
    const stored = this.decode(kv);
    if (this.#written.get(kv.key) === stored) this.#written.delete(kv.key);
    return stored;
  }

  async create(key: string, object: KubeObject, ttlSeconds: number): Promise<Stored> {
    const fullKey = this.prefix + key;
    const written = encodeStored(this.codec, object);
    const result = await this.store.putIf(fullKey, 0, written.bytes, ttlSeconds);
    if (!result.ok) throw storageErrors.keyExists(key);
    return this.#remember(fullKey, new StoredObject(this.codec, key, result.revision, written.object));
  }

  async get(key: string, options: { readonly resourceVersion: string }): Promise<Stored> {
    const minimum = parseResourceVersion(options.resourceVersion, 'list');
    const { kv, revision } = await this.store.get(this.prefix + key);
    if (minimum > revision) throw statusErrors.tooLargeResourceVersion(String(minimum), String(revision), 0);
    if (kv === undefined) throw storageErrors.keyNotFound(key);
    return this.decode(kv);
  }

  async list(options: StorageListOptions): Promise<StorageList> {
    const listed = this.prefix + options.prefix;
    const { predicate, limit } = options;
    const position = this.#position(options);
    const end = prefixEnd(listed);
    const items: Stored[] = [];
    let start = listed + position.startKey;
    let revision = position.revision;
    try {
      for (;;) {
        const pageLimit =
          limit === 0 ? storageLimits.listPageKeys : predicate.everything ? limit : Math.max(limit, 500);
        const page = await this.store.range(start, end, { limit: pageLimit, revision });
        if (revision === 0) {
          revision = page.revision;
          const minimum = options.resourceVersion === '' ? 0 : Number(options.resourceVersion);
          if (minimum > revision)
            throw statusErrors.tooLargeResourceVersion(String(minimum), String(revision), 0);
        }
        let seen = 0;
        for (const kv of page.kvs) {
          seen++;
          start = kv.key + '\0';
          const stored = this.decode(kv);
          if (predicate.everything || predicate.matches(stored.object)) items.push(stored);
          if (limit > 0 && items.length === limit) break;
        }
        const left = page.count - seen;
        if (left <= 0) return { items, revision, continue: '', remainingItemCount: undefined };
        if (limit > 0 && items.length === limit) {
          const token = encodeContinue({ startKey: start.slice(listed.length), revision });
          return {
            items,
            revision,
            continue: token,
            remainingItemCount: predicate.everything ? left : undefined,
          };
        }
      }
    } catch (error) {
      throw this.#listError(error, options, revision);
    }
  }

  async watch(options: StorageWatchOptions): Promise<WatchStream> {
    const { predicate } = options;
    const fromNow = options.resourceVersion === '' || options.resourceVersion === '0';
    const withState = options.sendInitialEvents ?? fromNow;
    let position = parseResourceVersion(options.resourceVersion);
    const queue = new WatchQueue(storageLimits.watchBufferEvents, () => watch?.close());
    if (fromNow && !withState) position = await this.store.currentRevision();
    if (withState) {
      const listRevision = fromNow ? '' : options.resourceVersion;
      const list = await this.list({
        resourceVersion: listRevision,
        resourceVersionMatch: listRevision === '' ? '' : 'NotOlderThan',
        predicate,
        limit: 0,
        continue: '',
        prefix: options.prefix,
      });
      for (const object of list.items) queue.push({ type: 'ADDED', object });
      position = list.revision;
      if (options.sendInitialEvents === true && options.bookmarks) {
        queue.push(bookmarkEvent(this.codec, this.typeMeta, position, true));
      }
    }
    const watch = this.store.watch(
      this.prefix + options.prefix,
      position,
      {
        onEvents: (events) => {
          for (const event of events) {
            const previous = event.previous === undefined ? undefined : this.decode(event.previous);
            const current = event.type === 'put' ? this.decode(event.kv) : undefined;
            const revision = event.type === 'put' ? event.kv.modRevision : event.modRevision;
            const change = selectorTransition(predicate, previous, current, () =>
              atRevision(this.codec, previous as Stored, revision),
            );
            if (change !== undefined) queue.push(change);
          }
        },
        onProgress: (revision) => {
          if (options.bookmarks) queue.push(bookmarkEvent(this.codec, this.typeMeta, revision, false));
        },
        onCompacted: (compactRevision) => {
          queue.push({
            type: 'ERROR',
            status: storageErrors.compactedWatch(position, compactRevision).status,
          });
          queue.end();
        },
      },
      true,
    );
    return queue;
  }

  async delete(
    key: string,
    preconditions: Preconditions | undefined,
    validate: (existing: Stored) => Promise<void> | void,
  ): Promise<Stored> {
    const fullKey = this.prefix + key;
    let { kv } = await this.store.get(fullKey);
    for (;;) {
      if (kv === undefined) throw storageErrors.keyNotFound(key);
      const existing = this.decode(kv);
      checkPreconditions(fullKey, preconditions, existing.object);
      await validate(existing);
      const result = await this.store.deleteIf(fullKey, kv.modRevision);
      if (result.ok) return atRevision(this.codec, existing, result.revision);
      kv = result.current;
    }
  }

  async guaranteedUpdate(
    key: string,
    options: {
      readonly mustExist: boolean;
      readonly preconditions: Preconditions | undefined;
      /** A state to try first; believed only when the write of it goes through. */
      readonly cached?: Stored | undefined;
    },
    tryUpdate: (state: UpdateState) => Promise<UpdateOutput> | UpdateOutput,
  ): Promise<StorageWriteResult> {
    const fullKey = this.prefix + key;
    // A value under an old key or in an old version is written anew even when nothing changes: so keys and versions are left behind.
    let last: KeyValue | undefined;
    const isStale = (): boolean =>
      last !== undefined && (last.stale === true || this.codec.isOutdated?.(last.value) === true);
    const read = async (): Promise<StoredObject | undefined> => {
      const { kv } = await this.store.get(fullKey);
      last = kv;
      return kv === undefined ? undefined : this.decode(kv);
    };
    let existing: Stored | undefined = options.cached;
    let fresh = existing === undefined;
    if (fresh) existing = await read();
    for (;;) {
      let output: UpdateOutput;
      try {
        if (existing === undefined && options.mustExist) throw storageErrors.keyNotFound(key);
        if (existing !== undefined) checkPreconditions(fullKey, options.preconditions, existing.object);
        output = await tryUpdate({ existing });
      } catch (error) {
        if (fresh) throw error;
        // The cache may have been behind: ask again with the newest state before believing a refusal.
        const newest = await read();
        if (newest !== undefined && newest.revision === existing?.revision) throw error;
        existing = newest;
        fresh = true;
        continue;
      }
      const { object } = output;
      if (existing !== undefined && this.#isUnchanged(object, existing.object)) {
        if (fresh && !isStale()) return { stored: existing, written: false };
        if (!fresh) {
          const newest = await read();
          if (newest !== undefined && newest.revision === existing.revision && !isStale())
            return { stored: existing, written: false };
          existing = newest;
          fresh = true;
          continue;
        }
      }
      const written = encodeStored(this.codec, object);
      const ttlSeconds = output.ttlSeconds ?? 0;
      const result = await this.store.putIf(fullKey, existing?.revision ?? 0, written.bytes, ttlSeconds);
      if (result.ok) {
        const stored = this.#remember(
          fullKey,
          new StoredObject(this.codec, key, result.revision, written.object),
        );
        return { stored, written: true };
      }
      existing = result.current === undefined ? undefined : this.decode(result.current);
      last = result.current;
      fresh = true;
    }
  }

  currentRevision(): Promise<number> {
    return this.store.currentRevision();
  }

  async count(): Promise<number> {
    const { count } = await this.store.range(this.prefix, prefixEnd(this.prefix), { countOnly: true });
    return count;
  }

  #position(options: StorageListOptions): ContinuePosition {
    if (options.continue !== '') {
      const position = decodeContinue(options.continue);
      if (options.resourceVersion !== '' && options.resourceVersion !== '0') {
        throw statusErrors.badRequest('specifying resource version is not allowed when using continue');
      }
      return { startKey: position.startKey, revision: Math.max(position.revision, 0) };
    }
    const revision = parseResourceVersion(options.resourceVersion, 'list');
    const exact =
      options.resourceVersionMatch === 'Exact' ||
      (options.resourceVersionMatch === '' && options.limit > 0 && revision > 0);
    return { startKey: '', revision: exact ? revision : 0 };
  }

  #listError(error: unknown, options: StorageListOptions, revision: number): unknown {
    if (!(error instanceof KeyValueError)) return error;
    if (error.kind === 'futureRevision') {
      return statusErrors.tooLargeResourceVersion(String(revision), '0', 0);
    }
    if (error.kind !== 'compacted') return error;
    if (options.continue === '') return storageErrors.compactedList();
    const { startKey } = decodeContinue(options.continue);
    return storageErrors.compactedContinue(encodeContinue({ startKey, revision: -1 }));
  }

  /** Whether writing the object would leave the stored bytes as they are. */
  #isUnchanged(object: KubeObject, existing: KubeObject): boolean {
    if (equalButRevision(object, existing, deepEqual)) return true;
    // Differences such as an empty list for none vanish in the stored form of some kinds: there the bytes decide.
    if (!equalButRevision(object, existing, semanticEqual)) return false;
    return sameBytes(this.codec.encode(object), this.codec.encode(existing));
  }

  #remember(fullKey: string, stored: StoredObject): StoredObject {
    if (this.#written.size >= storageLimits.ownWritesKept) {
      const oldest = this.#written.keys().next();
      if (oldest.done !== true) this.#written.delete(oldest.value);
    }
    this.#written.set(fullKey, stored);
    return stored;
  }
}

function equalButRevision(
  object: KubeObject,
  existing: KubeObject,
  equal: (a: unknown, b: unknown) => boolean,
): boolean {
  const { resourceVersion: _, ...metadata } = object.metadata;
  const { resourceVersion: __, ...existingMetadata } = existing.metadata;
  if (!equal(metadata, existingMetadata)) return false;
  return equal({ ...object, metadata: undefined }, { ...existing, metadata: undefined });
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
