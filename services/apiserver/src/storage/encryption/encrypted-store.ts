import { errorMessage } from '@pilothouse/base';
import { KeyValueError } from '../errors.ts';
import type {
  KeyValue,
  KeyValueEvent,
  KeyValueStore,
  KeyValueWatch,
  KeyValueWatcher,
  RangeOptions,
  RangeResult,
  WriteResult,
} from '../key-value-store.ts';
import type { Encryption } from './encryption.ts';
import type { TransformationCounts } from './encryption-metrics.ts';
import type { Decrypted, MaybePromise, ValueTransformer } from './transformer.ts';
import { EncryptionError } from './transformer.ts';

interface Claim {
  readonly group: string;
  readonly resource: string;
}

/**
 * A store that keeps the values of claimed prefixes encrypted. What nobody claimed passes as it is. A value that cannot be decrypted fails
 * reads of it (KeyValueError `unreadable`); watches deliver it as it is stored, so that one bad value does not end the stream: who decodes it fails.
 */
export class EncryptedKeyValueStore implements KeyValueStore {
  readonly #store: KeyValueStore;
  readonly #encryption: Encryption;
  readonly #counts: TransformationCounts;
  /** Full prefixes with both slashes. */
  readonly #claims = new Map<string, Claim>();
  #root = '/';

  constructor(store: KeyValueStore, encryption: Encryption, counts: TransformationCounts) {
    this.#store = store;
    this.#encryption = encryption;
    this.#counts = counts;
  }

  claim(prefix: string, root: string, group: string, resource: string): void {
    this.#root = root;
    this.#claims.set(prefix, { group, resource });
  }

  async get(key: string, revision?: number): Promise<{ kv: KeyValue | undefined; revision: number }> {
    const answer = await this.#store.get(key, revision);
    const { kv } = answer;
    if (kv === undefined) return answer;
    const read = this.#read(kv, false);
    return { kv: read instanceof Promise ? await read : read, revision: answer.revision };
  }

  async range(start: string, end: string, options?: RangeOptions): Promise<RangeResult> {
    const answer = await this.#store.range(start, end, options);
    if (answer.kvs.length === 0) return answer;
    const kvs: KeyValue[] = [];
    for (const kv of answer.kvs) {
      const read = this.#read(kv, true);
      kvs.push(read instanceof Promise ? await read : read);
    }
    return { ...answer, kvs };
  }

  async putIf(
    key: string,
    expectedRevision: number,
    value: Uint8Array,
    ttlSeconds?: number,
  ): Promise<WriteResult> {
    const claim = this.#claimOf(key);
    let stored = value;
    if (claim !== undefined) {
      const transformer = this.#transformer(claim);
      const beganMs = this.#counts.begin();
      try {
        stored = await transformer.encrypt(value, key);
        this.#counts.count(claim, 'to_storage', stored, false, beganMs);
      } catch (error) {
        this.#counts.count(claim, 'to_storage', undefined, true, beganMs);
        throw unreadable(error, undefined);
      }
    }
    return this.#written(await this.#store.putIf(key, expectedRevision, stored, ttlSeconds));
  }

  async deleteIf(key: string, expectedRevision: number): Promise<WriteResult> {
    return this.#written(await this.#store.deleteIf(key, expectedRevision));
  }

  watch(
    prefix: string,
    afterRevision: number,
    watcher: KeyValueWatcher,
    withPrevious?: boolean,
  ): KeyValueWatch {
    // Order counts: while an answer of a KMS is waited for, what follows waits behind it.
    let tail: Promise<void> | undefined;
    let closed = false;
    const inOrder = (action: () => MaybePromise<void>): void => {
      if (tail === undefined) {
        const pending = action();
        if (!(pending instanceof Promise)) return;
        tail = pending;
      } else {
        tail = tail.then(action);
      }
      const mine = tail;
      void mine.then(() => {
        if (tail === mine) tail = undefined;
      });
    };
    const watch = this.#store.watch(
      prefix,
      afterRevision,
      {
        onEvents: (events, revision) => {
          inOrder(() => {
            const read = this.#readEvents(events);
            if (!(read instanceof Promise)) {
              if (!closed) watcher.onEvents(read, revision);
              return undefined;
            }
            return read.then((all) => {
              if (!closed) watcher.onEvents(all, revision);
            });
          });
        },
        onProgress: (revision) => {
          inOrder(() => {
            if (!closed) watcher.onProgress(revision);
          });
        },
        onCompacted: (revision) => {
          inOrder(() => {
            if (!closed) watcher.onCompacted(revision);
          });
        },
      },
      withPrevious,
    );
    return {
      requestProgress: () => watch.requestProgress(),
      close: () => {
        closed = true;
        watch.close();
      },
    };
  }

  currentRevision(): Promise<number> {
    return this.#store.currentRevision();
  }

  compact(revision: number): Promise<void> {
    return this.#store.compact(revision);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #written(result: WriteResult): Promise<WriteResult> {
    if (result.ok) {
      if (result.previous === undefined) return result;
      return { ...result, previous: await this.#read(result.previous, false) };
    }
    if (result.current === undefined) return result;
    return { ...result, current: await this.#read(result.current, false) };
  }

  #readEvents(events: readonly KeyValueEvent[]): MaybePromise<KeyValueEvent[]> {
    const read = events.map((event) => this.#readEvent(event));
    return read.some((each) => each instanceof Promise) ? Promise.all(read) : (read as KeyValueEvent[]);
  }

  #readEvent(event: KeyValueEvent): MaybePromise<KeyValueEvent> {
    const previous = event.previous === undefined ? undefined : this.#readOrKeep(event.previous);
    const kv = event.type === 'put' ? this.#readOrKeep(event.kv) : undefined;
    const joined = (newKv: KeyValue | undefined, old: KeyValue | undefined): KeyValueEvent =>
      event.type === 'put'
        ? { type: 'put', kv: newKv as KeyValue, previous: old }
        : { ...event, previous: old };
    if (previous instanceof Promise || kv instanceof Promise) {
      return Promise.all([kv, previous]).then(([newKv, old]) => joined(newKv, old));
    }
    return joined(kv, previous);
  }

  #readOrKeep(kv: KeyValue): MaybePromise<KeyValue> {
    try {
      const read = this.#read(kv, false);
      return read instanceof Promise ? read.catch(() => kv) : read;
    } catch {
      return kv;
    }
  }

  #read(kv: KeyValue, inList: boolean): MaybePromise<KeyValue> {
    const claim = this.#claimOf(kv.key);
    if (claim === undefined) return kv;
    const beganMs = this.#counts.begin();
    const failed = (error: unknown): KeyValueError => {
      this.#counts.count(claim, 'from_storage', kv.value, true, beganMs);
      return unreadable(error, inList ? kv.key : undefined);
    };
    const done = ({ value, stale }: Decrypted): KeyValue => {
      this.#counts.count(claim, 'from_storage', kv.value, false, beganMs);
      return { ...kv, value, stale };
    };
    let read: MaybePromise<Decrypted>;
    try {
      read = this.#transformer(claim).decrypt(kv.value, kv.key);
    } catch (error) {
      throw failed(error);
    }
    if (!(read instanceof Promise)) return done(read);
    return read.then(done, (error: unknown) => Promise.reject(failed(error)));
  }

  #transformer({ group, resource }: Claim): ValueTransformer {
    return this.#encryption.transformerFor(group, resource);
  }

  /** One or two parts behind the root: `/registry/secrets/`, `/registry/example.com/widgets/`. */
  #claimOf(key: string): Claim | undefined {
    const first = key.indexOf('/', this.#root.length) + 1;
    if (first === 0) return undefined;
    const found = this.#claims.get(key.slice(0, first));
    if (found !== undefined) return found;
    const second = key.indexOf('/', first) + 1;
    return second === 0 ? undefined : this.#claims.get(key.slice(0, second));
  }
}

function unreadable(error: unknown, key: string | undefined): KeyValueError {
  if (!(error instanceof EncryptionError)) throw error;
  const text = errorMessage(error);
  return new KeyValueError(
    'unreadable',
    key === undefined ? text : `unable to transform key "${key}": ${text}`,
  );
}
