import type { Clock, Span } from '@pilothouse/base';
import type { StoreCalls, StoreOperation } from '../../metrics/store-calls.ts';
import type { CallOptions, EtcdClient } from '@pilothouse/etcd-client';
import { EtcdError, grpcCode } from '@pilothouse/etcd-client';
import { etcdserverpb, mvccpb } from '@pilothouse/proto';
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
import { prefixEnd } from '../key-value-store.ts';
import { EventLeases } from './event-leases.ts';
import { ProgressSource } from './progress.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const { EQUAL } = etcdserverpb.Compare_CompareResult;
const { MOD } = etcdserverpb.Compare_CompareTarget;

/** A write that was cut off is repeated for so long, where that is safe. */
const repeatForMs = 5_000;

const untraced: CallOptions = {};

/** A key that need not exist: reading it tells the store's revision. */
const revisionKey = encoder.encode('compact_rev_key');

export interface EtcdKeyValueStoreOptions {
  readonly client: EtcdClient;
  readonly clock: Clock;
  /** Told of every request; for metrics. */
  readonly calls?: StoreCalls;
  /** The span of the request that the running code works for. */
  readonly span?: () => Span | undefined;
}

/** {@link KeyValueStore} over the etcd v3 API: our store, or any etcd. */
export class EtcdKeyValueStore implements KeyValueStore {
  readonly #client: EtcdClient;
  readonly #leases: EventLeases;
  readonly #progress: ProgressSource;
  readonly #calls: StoreCalls | undefined;
  readonly #clock: Clock;
  readonly #span: () => Span | undefined;

  constructor(options: EtcdKeyValueStoreOptions) {
    this.#client = options.client;
    this.#leases = new EventLeases(options.client, options.clock);
    this.#progress = new ProgressSource(options.client);
    this.#calls = options.calls;
    this.#clock = options.clock;
    this.#span = options.span ?? (() => undefined);
  }

  get client(): EtcdClient {
    return this.#client;
  }

  async get(key: string, revision = 0): Promise<{ kv: KeyValue | undefined; revision: number }> {
    const answer = await this.#call('get', key, (options) =>
      this.#client.kv.range({ key: encoder.encode(key), revision }, options),
    );
    const kv = answer.kvs[0];
    return { kv: kv === undefined ? undefined : keyValueOf(kv), revision: answer.header?.revision ?? 0 };
  }

  async range(start: string, end: string, options: RangeOptions = {}): Promise<RangeResult> {
    const operation = options.countOnly === true ? 'count' : 'list';
    const answer = await this.#call(operation, start, (callOptions) =>
      this.#client.kv.range(
        {
          key: encoder.encode(start),
          rangeEnd: encoder.encode(end),
          limit: options.limit ?? 0,
          revision: options.revision ?? 0,
          countOnly: options.countOnly ?? false,
        },
        callOptions,
      ),
    );
    return { kvs: answer.kvs.map(keyValueOf), count: answer.count, revision: answer.header?.revision ?? 0 };
  }

  async putIf(
    key: string,
    expectedRevision: number,
    value: Uint8Array,
    ttlSeconds = 0,
  ): Promise<WriteResult> {
    const lease = ttlSeconds === 0 ? 0n : await this.#guard(() => this.#leases.lease(ttlSeconds));
    const bytes = encoder.encode(key);
    const operation = expectedRevision === 0 ? 'create' : 'update';
    return this.#call(operation, key, (options) =>
      this.#writeIf(bytes, expectedRevision, { requestPut: { key: bytes, value, lease } }, options),
    );
  }

  deleteIf(key: string, expectedRevision: number): Promise<WriteResult> {
    const bytes = encoder.encode(key);
    return this.#call('delete', key, (options) =>
      this.#writeIf(bytes, expectedRevision, { requestDeleteRange: { key: bytes } }, options),
    );
  }

  watch(
    prefix: string,
    afterRevision: number,
    watcher: KeyValueWatcher,
    withPrevious = false,
  ): KeyValueWatch {
    const key = encoder.encode(prefix);
    const progress = this.#progress;
    const watch = this.#client.watcher.watch(
      {
        key,
        rangeEnd: encoder.encode(prefixEnd(prefix)),
        startRevision: afterRevision + 1,
        prevKv: withPrevious,
        progressNotify: true,
      },
      {
        onEvents(events) {
          const last = events[events.length - 1]?.kv?.modRevision ?? 0;
          watcher.onEvents(events.map(eventOf), last);
        },
        onProgress(revision) {
          if (progress.isReliable) watcher.onProgress(revision);
        },
        onEnd(error) {
          if (error.grpcStatus !== grpcCode.canceled || error.isCompacted)
            watcher.onCompacted(error.compactRevision ?? 0);
        },
      },
    );
    return {
      requestProgress: () => {
        progress.request(prefix);
      },
      close: () => {
        watch.cancel();
      },
    };
  }

  async currentRevision(): Promise<number> {
    await this.#progress.detect();
    const answer = await this.#guard(() => this.#client.kv.range({ key: revisionKey, countOnly: true }));
    return answer.header?.revision ?? 0;
  }

  async compact(revision: number): Promise<void> {
    try {
      await this.#client.kv.compact({ revision });
    } catch (error) {
      // Another server was faster.
      if (!(error instanceof EtcdError && error.isCompacted)) throw translated(error);
    }
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  async #writeIf(
    key: Uint8Array,
    expectedRevision: number,
    write:
      | { requestPut: { key: Uint8Array; value: Uint8Array; lease: bigint } }
      | { requestPut?: undefined; requestDeleteRange: { key: Uint8Array } },
    options: CallOptions,
  ): Promise<WriteResult> {
    const attempt = () =>
      this.#client.kv.txn(
        {
          compare: [{ result: EQUAL, target: MOD, key, modRevision: expectedRevision }],
          success: [write],
          failure: [{ requestRange: { key } }],
        },
        options,
      );
    const startedMs = this.#clock.monotonic();
    for (let isRepeated = false; ; isRepeated = true) {
      try {
        const answer = await attempt();
        const revision = answer.header?.revision ?? 0;
        if (answer.succeeded) return { ok: true, revision, previous: undefined };
        const current = answer.responses[0]?.responseRange?.kvs[0];
        if (isRepeated) await this.#checkForeign(current, expectedRevision, write.requestPut?.value);
        return { ok: false, revision, current: current === undefined ? undefined : keyValueOf(current) };
      } catch (error) {
        // A revision never comes back: of all tries one at most has an effect, however late it arrives. Not so where no key is expected,
        // which can be true again.
        const isSafe = expectedRevision > 0 && error instanceof EtcdError && error.isUnavailable;
        if (!isSafe || this.#clock.monotonic() - startedMs > repeatForMs) throw error;
      }
    }
  }

  /**
   * A repeated write that found another revision than it expected: that may be its own first try's. Throws unless it surely is not, which is
   * when the revision that followed the expected one is still known and holds something else.
   */
  async #checkForeign(
    current: mvccpb.KeyValue | undefined,
    expectedRevision: number,
    value: Uint8Array | undefined,
  ): Promise<void> {
    if (current !== undefined && (value === undefined || Buffer.compare(value, current.value) !== 0)) {
      try {
        const { kvs } = await this.#client.kv.range({ key: current.key, revision: current.modRevision - 1 });
        if (kvs[0]?.modRevision === expectedRevision) return;
      } catch (error) {
        if (error instanceof EtcdError && error.isUnavailable) throw error;
      }
    }
    throw new EtcdError(grpcCode.unknown, 'A write was cut off, and whether it happened cannot be told');
  }

  /** Does it, measured, as part of the request's trace. */
  async #call<T>(
    operation: StoreOperation,
    key: string,
    action: (options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const calls = this.#calls;
    const span = this.#span()?.child(`${operation} etcd3`, 'client', { key });
    const options = span === undefined ? untraced : { traceparent: span.traceparent };
    if (calls === undefined && span === undefined) return this.#guard(() => action(options));
    const startedMs = this.#clock.monotonic();
    let failed = true;
    try {
      const result = await this.#guard(() => action(options));
      failed = false;
      return result;
    } finally {
      if (failed) span?.fail('');
      span?.end();
      calls?.observe(operation, key, (this.#clock.monotonic() - startedMs) / 1000, failed);
    }
  }

  async #guard<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof EtcdError && error.message === 'etcdserver: requested lease not found')
        this.#leases.forget();
      throw translated(error);
    }
  }
}

function keyValueOf(kv: mvccpb.KeyValue): KeyValue {
  return {
    key: decoder.decode(kv.key),
    value: kv.value,
    createRevision: kv.createRevision,
    modRevision: kv.modRevision,
  };
}

function eventOf(event: mvccpb.Event): KeyValueEvent {
  const kv = event.kv as mvccpb.KeyValue;
  const previous = event.prevKv === undefined ? undefined : keyValueOf(event.prevKv);
  if (event.type === mvccpb.Event_EventType.DELETE) {
    return { type: 'delete', key: decoder.decode(kv.key), modRevision: kv.modRevision, previous };
  }
  return { type: 'put', kv: keyValueOf(kv), previous };
}

function translated(error: unknown): unknown {
  if (!(error instanceof EtcdError)) return error;
  if (error.isCompacted) return new KeyValueError('compacted', error.message);
  if (error.isFutureRevision) return new KeyValueError('futureRevision', error.message);
  if (error.message.includes('database space exceeded')) return new KeyValueError('noSpace', error.message);
  if (error.message.includes('request is too large'))
    return new KeyValueError('requestTooLarge', error.message);
  return new KeyValueError('unavailable', error.message);
}
