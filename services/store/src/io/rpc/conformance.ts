import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import {
  decodeMessage,
  encodeMessage,
  etcdserverpb,
  healthpb,
  type mvccpb,
  type MessageInput,
  type MethodInfo,
} from '@pilothouse/proto';

/** Compares an etcd v3 endpoint, ours or any other, with the behaviour that clients rely on. Needs a cluster of its own. */
export interface ConformanceCase {
  readonly name: string;
  run(client: ConformanceClient): Promise<void>;
}

type Outcome<T> = { readonly ok: T } | { readonly code: number; readonly details: string };

/** A stream of messages both ways, read one at a time. */
export interface Bidi<Req, Res> {
  send(request: MessageInput<Req>): void;
  /** The next message; fails after `timeoutMs`. */
  next(timeoutMs?: number): Promise<Res>;
  /** True when nothing comes for `quietMs`. */
  isQuiet(quietMs: number): Promise<boolean>;
  close(): void;
}

export class ConformanceClient {
  readonly #client: grpc.Client;
  #prefixes = 0;
  readonly #run = process.pid.toString(36);

  constructor(address: string, credentials = grpc.credentials.createInsecure()) {
    this.#client = new grpc.Client(address, credentials, {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    });
  }

  close(): void {
    this.#client.close();
  }

  /** Starts a case with keys of its own. */
  prefix(): string {
    return `conformance/${this.#run}/${++this.#prefixes}/`;
  }

  try<Req, Res>(
    method: MethodInfo<Req, Res>,
    request: MessageInput<Req>,
    metadata: Record<string, string> = {},
    timeoutMs = 10_000,
  ): Promise<Outcome<Res>> {
    const headers = new grpc.Metadata();
    for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        method.path,
        (message: MessageInput<Req>) => Buffer.from(encodeMessage(method.request, message)),
        (bytes) => decodeMessage(method.response, bytes),
        request,
        headers,
        { deadline: Date.now() + timeoutMs },
        (error, response) =>
          resolve(error ? { code: error.code, details: error.details } : { ok: response as Res }),
      );
    });
  }

  async ok<Req, Res>(
    method: MethodInfo<Req, Res>,
    request: MessageInput<Req>,
    metadata: Record<string, string> = {},
  ): Promise<Res> {
    const outcome = await this.try(method, request, metadata);
    if ('ok' in outcome) return outcome.ok;
    throw new Error(`${method.method} failed with ${outcome.code}: ${outcome.details}`);
  }

  async fails<Req, Res>(
    method: MethodInfo<Req, Res>,
    request: MessageInput<Req>,
    code: number,
    details: string,
    metadata: Record<string, string> = {},
  ): Promise<void> {
    assert.deepEqual(
      await this.try(method, request, metadata),
      { code, details },
      `${method.method} ${JSON.stringify(request, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value))}`,
    );
  }

  bidi<Req, Res>(method: MethodInfo<Req, Res>): Bidi<Req, Res> {
    const call = this.#client.makeBidiStreamRequest(
      method.path,
      (message: MessageInput<Req>) => Buffer.from(encodeMessage(method.request, message)),
      (bytes) => decodeMessage(method.response, bytes),
    );
    const queue: Res[] = [];
    let wake = (): void => {};
    let failure: Error | undefined;
    call.on('data', (message: Res) => {
      queue.push(message);
      wake();
    });
    call.on('error', (error) => {
      failure = error;
      wake();
    });
    const wait = async (ms: number): Promise<boolean> => {
      if (queue.length > 0) return true;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      return queue.length > 0;
    };
    return {
      send: (request) => void call.write(request),
      async next(timeoutMs = 5000) {
        if (!(await wait(timeoutMs))) throw failure ?? new Error(`No message within ${timeoutMs} ms`);
        return queue.shift() as Res;
      },
      isQuiet: async (quietMs) => !(await wait(quietMs)),
      close: () => call.cancel(),
    };
  }

  /** A stream that is read until it is closed here. */
  streaming<Req, Res>(
    method: MethodInfo<Req, Res>,
    request: MessageInput<Req>,
    onMessage: (message: Res) => void,
  ): { close(): void } {
    const call = this.#client.makeServerStreamRequest(
      method.path,
      (message: MessageInput<Req>) => Buffer.from(encodeMessage(method.request, message)),
      (bytes) => decodeMessage(method.response, bytes),
      request,
    );
    call.on('data', onMessage);
    call.on('error', () => {});
    return { close: () => call.cancel() };
  }

  serverStream<Req, Res>(method: MethodInfo<Req, Res>, request: MessageInput<Req>): Promise<Res[]> {
    return new Promise((resolve, reject) => {
      const messages: Res[] = [];
      const call = this.#client.makeServerStreamRequest(
        method.path,
        (message: MessageInput<Req>) => Buffer.from(encodeMessage(method.request, message)),
        (bytes) => decodeMessage(method.response, bytes),
        request,
      );
      call.on('data', (message: Res) => messages.push(message));
      call.on('error', reject);
      call.on('end', () => resolve(messages));
    });
  }
}

const { KVService, WatchService, LeaseService, ClusterService, MaintenanceService } = etcdserverpb;
const {
  RangeRequest_SortOrder: Order,
  RangeRequest_SortTarget: Target,
  Compare_CompareResult: Result,
  Compare_CompareTarget: Compare,
} = etcdserverpb;
const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();
const end = (prefix: string): Uint8Array =>
  Buffer.from(`${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`);

async function put(client: ConformanceClient, key: string, value: string, lease = 0n): Promise<number> {
  const { header } = await client.ok(KVService.Put, { key: bytes(key), value: bytes(value), lease });
  return header?.revision ?? 0;
}

const keysOf = (prefix: string, response: etcdserverpb.RangeResponse): string =>
  response.kvs.map((kv) => text(kv.key).slice(prefix.length)).join(' ');

type Watching = Bidi<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

async function createWatch(
  stream: Watching,
  request: MessageInput<etcdserverpb.WatchCreateRequest>,
): Promise<etcdserverpb.WatchResponse> {
  stream.send({ createRequest: request });
  return stream.next();
}

const eventText = (prefix: string, event: mvccpb.Event): string =>
  `${event.type === 0 ? 'PUT' : 'DELETE'} ${text(event.kv?.key).slice(prefix.length)}=${text(event.kv?.value)}${event.prevKv ? ` was ${text(event.prevKv.value)}` : ''}`;

/** Reads until `count` events came; they may be spread over messages. */
async function readEvents(stream: Watching, count: number): Promise<mvccpb.Event[]> {
  const events: mvccpb.Event[] = [];
  while (events.length < count) events.push(...(await stream.next()).events);
  return events;
}

export const rpcConformance: readonly ConformanceCase[] = [
  {
    name: 'put counts versions and revisions; prev_kv, ignore_value, delete and recreation',
    async run(client) {
      const key = `${client.prefix()}a`;
      const first = await put(client, key, '1');
      const second = await client.ok(KVService.Put, { key: bytes(key), value: bytes('2'), prevKv: true });
      assert.equal(second.header?.revision, first + 1);
      assert.equal(text(second.prevKv?.value), '1');
      await client.ok(KVService.Put, { key: bytes(key), ignoreValue: true });
      const { kvs, count } = await client.ok(KVService.Range, { key: bytes(key) });
      assert.equal(count, 1);
      assert.deepEqual(kvs[0] && { ...kvs[0], key: text(kvs[0].key), value: text(kvs[0].value) }, {
        key,
        createRevision: first,
        modRevision: first + 2,
        version: 3,
        value: '2',
        lease: 0n,
      });
      const deleted = await client.ok(KVService.DeleteRange, { key: bytes(key), prevKv: true });
      assert.deepEqual(
        [deleted.deleted, text(deleted.prevKvs[0]?.value), deleted.header?.revision],
        [1, '2', first + 3],
      );
      const again = await client.ok(KVService.DeleteRange, { key: bytes(key) });
      assert.deepEqual(
        [again.deleted, again.header?.revision],
        [0, first + 3],
        'a delete of nothing keeps the revision',
      );
      await put(client, key, '3');
      const reborn = await client.ok(KVService.Range, { key: bytes(key) });
      assert.deepEqual([reborn.kvs[0]?.createRevision, reborn.kvs[0]?.version], [first + 4, 1]);
      const old = await client.ok(KVService.Range, { key: bytes(key), revision: first + 1 });
      assert.equal(text(old.kvs[0]?.value), '2');
      assert.equal((await client.ok(KVService.Range, { key: bytes(key), revision: first + 3 })).count, 0);
    },
  },
  {
    name: 'range: ends, limits, more, count, keys_only, count_only, sort and filters',
    async run(client) {
      const p = client.prefix();
      const revisions: Record<string, number> = {};
      for (const [key, value] of [
        ['c', '1'],
        ['a', '3'],
        ['b', '2'],
        ['d', '0'],
        ['a', '5'],
      ] as const)
        revisions[key + value] = await put(client, p + key, value);
      const range = async (request: MessageInput<etcdserverpb.RangeRequest>): Promise<string> => {
        const response = await client.ok(KVService.Range, { key: bytes(p), rangeEnd: end(p), ...request });
        return `${keysOf(p, response)} more=${response.more} count=${response.count}`;
      };
      assert.equal(await range({}), 'a b c d more=false count=4');
      assert.equal(await range({ limit: 2 }), 'a b more=true count=4');
      assert.equal(await range({ limit: 4 }), 'a b c d more=false count=4');
      assert.equal(await range({ key: bytes(`${p}b`), rangeEnd: bytes(`${p}d`) }), 'b c more=false count=2');
      assert.equal(await range({ key: bytes(`${p}b`), rangeEnd: bytes(`${p}a`) }), ' more=false count=0');
      assert.equal(await range({ countOnly: true }), ' more=false count=4');
      assert.equal(await range({ sortOrder: Order.DESCEND }), 'd c b a more=false count=4');
      assert.equal(await range({ sortOrder: Order.DESCEND, limit: 1 }), 'd more=true count=4');
      assert.equal(await range({ sortTarget: Target.VALUE }), 'd c b a more=false count=4');
      assert.equal(
        await range({ sortTarget: Target.VALUE, sortOrder: Order.DESCEND }),
        'a b c d more=false count=4',
      );
      assert.equal(await range({ sortTarget: Target.CREATE }), 'c a b d more=false count=4');
      assert.equal(
        await range({ sortTarget: Target.MOD, sortOrder: Order.DESCEND, limit: 2 }),
        'a d more=true count=4',
      );
      assert.equal(
        await range({ sortTarget: Target.VERSION, sortOrder: Order.DESCEND, limit: 1 }),
        'a more=true count=4',
      );
      assert.equal(await range({ minModRevision: revisions['b2'] as number }), 'a b d more=false count=4');
      assert.equal(await range({ maxModRevision: revisions['b2'] as number }), 'b c more=false count=4');
      assert.equal(
        await range({ minCreateRevision: revisions['a3'] as number, limit: 2 }),
        'a b more=true count=4',
      );
      assert.equal(await range({ maxCreateRevision: revisions['a3'] as number }), 'a c more=false count=4');
      assert.equal(await range({ revision: revisions['a3'] as number }), 'a c more=false count=2');
      assert.equal(await range({ serializable: true }), 'a b c d more=false count=4');
      const keysOnly = await client.ok(KVService.Range, { key: bytes(p), rangeEnd: end(p), keysOnly: true });
      assert.ok(keysOnly.kvs.every((kv) => kv.value.length === 0 && kv.modRevision > 0));
      const all = await client.ok(KVService.Range, {
        key: Uint8Array.of(0),
        rangeEnd: Uint8Array.of(0),
        countOnly: true,
      });
      assert.ok(all.count >= 4);
      const from = await client.ok(KVService.Range, {
        key: bytes(`${p}c`),
        rangeEnd: Uint8Array.of(0),
        limit: 2,
      });
      assert.equal(keysOf(p, from), 'c d');
    },
  },
  {
    name: "requests that make no sense get etcd's code and text",
    async run(client) {
      const p = client.prefix();
      const k = bytes(`${p}k`);
      const { KVService: kv } = etcdserverpb;
      await client.fails(kv.Range, {}, 3, 'etcdserver: key is not provided');
      await client.fails(kv.Put, { value: k }, 3, 'etcdserver: key is not provided');
      await client.fails(kv.DeleteRange, {}, 3, 'etcdserver: key is not provided');
      const { version } = await client.ok(MaintenanceService.Status, {});
      const isRecent = !/^3\.[0-5]\./.test(version);
      if (isRecent)
        await client.fails(kv.Range, { key: k, sortOrder: 9 }, 3, 'etcdserver: invalid sort option');
      if (isRecent)
        await client.fails(kv.Range, { key: k, sortTarget: 9 }, 3, 'etcdserver: invalid sort option');
      await client.fails(
        kv.Range,
        { key: k, revision: 2 ** 40 },
        11,
        'etcdserver: mvcc: required revision is a future revision',
      );
      await client.fails(kv.Put, { key: k, ignoreValue: true, value: k }, 3, 'etcdserver: value is provided');
      await client.fails(
        kv.Put,
        { key: k, ignoreLease: true, lease: 5n },
        3,
        'etcdserver: lease is provided',
      );
      await client.fails(kv.Put, { key: k, ignoreValue: true }, 3, 'etcdserver: key not found');
      await client.fails(kv.Put, { key: k, lease: 0x12345n }, 5, 'etcdserver: requested lease not found');
      await client.fails(
        kv.Compact,
        { revision: 2 ** 40 },
        11,
        'etcdserver: mvcc: required revision is a future revision',
      );
      await client.fails(kv.Txn, { success: [{}] }, 3, 'etcdserver: key not found');
      await client.fails(kv.Txn, { compare: [{}] }, 3, 'etcdserver: key is not provided');
      await client.fails(
        kv.Txn,
        { success: [{ requestPut: { value: k } }] },
        3,
        'etcdserver: key is not provided',
      );
      const many = Array.from({ length: 129 }, (_, index) => ({
        requestPut: { key: bytes(`${p}${index}`) },
      }));
      await client.fails(kv.Txn, { success: many }, 3, 'etcdserver: too many operations in txn request');
      const double = { requestPut: { key: k } };
      await client.fails(
        kv.Txn,
        { success: [double, double] },
        3,
        'etcdserver: duplicate key given in txn request',
      );
      await client.fails(
        kv.Txn,
        { failure: [double, { requestDeleteRange: { key: bytes(p), rangeEnd: end(p) } }] },
        3,
        'etcdserver: duplicate key given in txn request',
      );
      await client.fails(
        kv.Txn,
        { success: [double, { requestTxn: { failure: [double] } }] },
        3,
        'etcdserver: duplicate key given in txn request',
      );
      await client.ok(kv.Txn, { success: [{ requestTxn: { success: [double], failure: [double] } }] });
      await client.fails(
        kv.Put,
        { key: k, value: Buffer.alloc(1_572_864) },
        3,
        'etcdserver: request is too large',
      );
      const huge = await client.try(kv.Put, { key: k, value: Buffer.alloc(2_200_000) });
      assert.ok('code' in huge && huge.code === 8, 'beyond the receive limit');
      assert.match(huge.details, /received message larger than max \(22000\d\d vs\. 2097152\)/);
      const missing = await client.try({ ...kv.Range, path: '/etcdserverpb.KV/Nothing' }, { key: k });
      assert.deepEqual(missing, { code: 12, details: 'unknown method Nothing for service etcdserverpb.KV' });
      const unknown = await client.try({ ...kv.Range, path: '/no.Such/Thing' }, { key: k });
      assert.deepEqual(unknown, { code: 12, details: 'unknown service no.Such' });
    },
  },
  {
    name: 'txn: compares of every kind, ranges of compares, nesting, own writes visible, atomic failure',
    async run(client) {
      const p = client.prefix();
      const a = bytes(`${p}a`);
      const first = await put(client, `${p}a`, 'm');
      await put(client, `${p}b`, 'm');
      const holds = async (compare: MessageInput<etcdserverpb.Compare>): Promise<boolean> =>
        (await client.ok(KVService.Txn, { compare: [compare] })).succeeded;
      const none = bytes(`${p}none`);
      const table: readonly (readonly [MessageInput<etcdserverpb.Compare>, boolean])[] = [
        [{ key: a, target: Compare.VERSION, result: Result.EQUAL, version: 1 }, true],
        [{ key: a, target: Compare.VERSION, result: Result.GREATER, version: 1 }, false],
        [{ key: a, target: Compare.CREATE, result: Result.EQUAL, createRevision: first }, true],
        [{ key: a, target: Compare.MOD, result: Result.LESS, modRevision: first + 1 }, true],
        [{ key: a, target: Compare.MOD, result: Result.NOT_EQUAL, modRevision: first }, false],
        [{ key: a, target: Compare.VALUE, result: Result.EQUAL, value: bytes('m') }, true],
        [{ key: a, target: Compare.VALUE, result: Result.GREATER, value: bytes('l') }, true],
        [{ key: a, target: Compare.VALUE, result: Result.LESS, value: bytes('l') }, false],
        [{ key: a, target: Compare.LEASE, result: Result.EQUAL, lease: 0n }, true],
        [{ key: none, target: Compare.VERSION, result: Result.EQUAL, version: 0 }, true],
        [{ key: none, target: Compare.MOD, result: Result.EQUAL, modRevision: 0 }, true],
        [{ key: none, target: Compare.CREATE, result: Result.GREATER, createRevision: 0 }, false],
        [{ key: none, target: Compare.VALUE, result: Result.NOT_EQUAL, value: bytes('x') }, false],
        [
          { key: bytes(p), rangeEnd: end(p), target: Compare.VALUE, result: Result.EQUAL, value: bytes('m') },
          true,
        ],
        [
          {
            key: bytes(p),
            rangeEnd: end(p),
            target: Compare.CREATE,
            result: Result.EQUAL,
            createRevision: first,
          },
          false,
        ],
      ];
      for (const [index, [compare, expected]] of table.entries())
        assert.equal(await holds(compare), expected, `compare ${index}`);
      const before = (await client.ok(KVService.Range, { key: a })).header?.revision as number;
      const nested = await client.ok(KVService.Txn, {
        success: [
          { requestPut: { key: a, value: bytes('n'), prevKv: true } },
          { requestRange: { key: a } },
          {
            requestTxn: {
              compare: [{ key: a, target: Compare.VALUE, value: bytes('m') }],
              success: [{ requestDeleteRange: { key: bytes(`${p}b`) } }],
              failure: [{ requestPut: { key: none } }],
            },
          },
          { requestRange: { key: bytes(p), rangeEnd: end(p), countOnly: true } },
        ],
      });
      assert.equal(nested.header?.revision, before + 1);
      assert.equal(text(nested.responses[0]?.responsePut?.prevKv?.value), 'm');
      assert.equal(text(nested.responses[1]?.responseRange?.kvs[0]?.value), 'n');
      assert.equal(
        nested.responses[2]?.responseTxn?.succeeded,
        true,
        'all compares see the state before the transaction',
      );
      assert.equal(nested.responses[2]?.responseTxn?.responses[0]?.responseDeleteRange?.deleted, 1);
      assert.equal(nested.responses[3]?.responseRange?.count, 1);
      const empty = await client.ok(KVService.Txn, {});
      assert.deepEqual([empty.succeeded, empty.header?.revision], [true, before + 1]);
      await client.fails(
        KVService.Txn,
        { success: [{ requestPut: { key: none } }, { requestPut: { key: bytes(`${p}x`), lease: 77n } }] },
        5,
        'etcdserver: requested lease not found',
      );
      await client.fails(
        KVService.Txn,
        { success: [{ requestPut: { key: none } }, { requestRange: { key: a, revision: 2 ** 40 } }] },
        11,
        'etcdserver: mvcc: required revision is a future revision',
      );
      assert.equal(
        (await client.ok(KVService.Range, { key: none })).count,
        0,
        'a failed transaction leaves nothing',
      );
      const old = await client.ok(KVService.Txn, {
        success: [{ requestRange: { key: a, revision: first } }],
      });
      assert.equal(text(old.responses[0]?.responseRange?.kvs[0]?.value), 'm');
    },
  },
  {
    name: 'compaction: reads and watches below it fail, at it they do not',
    async run(client) {
      const p = client.prefix();
      const revisions: number[] = [];
      for (let index = 0; index < 5; index++) revisions.push(await put(client, `${p}a`, String(index)));
      const at = revisions[3] as number;
      await client.ok(KVService.Compact, { revision: at, physical: true });
      await client.fails(
        KVService.Compact,
        { revision: at },
        11,
        'etcdserver: mvcc: required revision has been compacted',
      );
      await client.fails(
        KVService.Range,
        { key: bytes(`${p}a`), revision: at - 1 },
        11,
        'etcdserver: mvcc: required revision has been compacted',
      );
      const { kvs } = await client.ok(KVService.Range, { key: bytes(`${p}a`), revision: at });
      assert.equal(text(kvs[0]?.value), '3');
      const stream = client.bidi(WatchService.Watch);
      const created = await createWatch(stream, { key: bytes(`${p}a`), startRevision: at - 1 });
      assert.deepEqual([created.created, created.canceled], [true, false]);
      const cancelled = await stream.next();
      assert.deepEqual(
        [cancelled.canceled, cancelled.compactRevision, cancelled.cancelReason],
        [true, at, ''],
      );
      await createWatch(stream, { key: bytes(`${p}a`), startRevision: at, prevKv: true });
      const events = await readEvents(stream, 2);
      assert.deepEqual(
        events.map((event) => eventText(p, event)),
        ['PUT a=3', 'PUT a=4 was 3'],
        'the value before the compacted revision is gone',
      );
      stream.close();
      const hash = await client.ok(MaintenanceService.HashKV, { revision: at + 1 });
      assert.equal(hash.compactRevision, at);
      assert.equal((await client.ok(MaintenanceService.HashKV, { revision: at + 1 })).hash, hash.hash);
    },
  },
  {
    name: 'watch: live and past events, filters, prev_kv, cancel, ids',
    async run(client) {
      const p = client.prefix();
      const first = await put(client, `${p}a`, '1');
      await put(client, `${p}a`, '2');
      await client.ok(KVService.DeleteRange, { key: bytes(`${p}a`) });
      const stream = client.bidi(WatchService.Watch);
      const whole = { key: bytes(p), rangeEnd: end(p) };
      const created = await createWatch(stream, { ...whole, startRevision: first, prevKv: true });
      assert.deepEqual([created.created, created.watchId, created.events.length], [true, 0, 0]);
      assert.deepEqual(
        (await readEvents(stream, 3)).map((event) => eventText(p, event)),
        ['PUT a=1', 'PUT a=2 was 1', 'DELETE a= was 2'],
      );
      assert.equal((await createWatch(stream, { ...whole, filters: [1] })).watchId, 1);
      assert.equal((await createWatch(stream, { ...whole, filters: [0], watchId: 7 })).watchId, 7);
      const duplicate = await createWatch(stream, { ...whole, watchId: 7 });
      assert.deepEqual(
        [duplicate.created, duplicate.canceled, duplicate.watchId, duplicate.cancelReason],
        [true, true, -1, 'mvcc: duplicate watch ID provided on the WatchStream'],
      );
      const empty = await createWatch(stream, { key: bytes('b'), rangeEnd: bytes('a') });
      assert.deepEqual(
        [empty.created, empty.canceled, empty.watchId, empty.cancelReason],
        [true, true, -1, 'mvcc: watcher range is empty'],
      );
      stream.send({ cancelRequest: { watchId: 0 } });
      const cancelled = await stream.next();
      assert.deepEqual([cancelled.canceled, cancelled.watchId, cancelled.cancelReason], [true, 0, '']);
      await client.ok(KVService.Txn, {
        success: [
          { requestPut: { key: bytes(`${p}x`), value: bytes('1') } },
          { requestPut: { key: bytes(`${p}y`), value: bytes('2') } },
        ],
      });
      const both = await stream.next();
      assert.deepEqual(
        [both.watchId, both.events.map((event) => eventText(p, event)).join()],
        [1, 'PUT x=1,PUT y=2'],
        'one revision in one message; deletes filtered',
      );
      const deleted = await client.ok(KVService.DeleteRange, whole);
      const only = await stream.next();
      assert.deepEqual(
        [only.watchId, only.events.map((event) => eventText(p, event)).join()],
        [7, 'DELETE x=,DELETE y='],
      );
      assert.equal(only.events[0]?.kv?.modRevision, deleted.header?.revision);
      assert.ok(await stream.isQuiet(150));
      stream.close();
    },
  },
  {
    name: 'watch: the future stays silent, progress comes behind the events',
    async run(client) {
      const p = client.prefix();
      const now = await put(client, `${p}a`, '1');
      const stream = client.bidi(WatchService.Watch);
      await createWatch(stream, { key: bytes(`${p}a`), startRevision: now + 3 });
      await put(client, `${p}a`, '2');
      await put(client, `${p}a`, '3');
      await put(client, `${p}a`, '4');
      const { events } = await stream.next();
      assert.deepEqual(
        events.map((event) => eventText(p, event)),
        ['PUT a=4'],
      );
      const last = await put(client, `${p}other`, '');
      let progress: etcdserverpb.WatchResponse | undefined;
      for (let attempt = 0; progress === undefined && attempt < 20; attempt++) {
        stream.send({ progressRequest: {} });
        if (!(await stream.isQuiet(100))) progress = await stream.next();
      }
      assert.deepEqual(
        [progress?.watchId, progress?.events.length, (progress?.header?.revision ?? 0) >= last],
        [-1, 0, true],
      );
      stream.close();
    },
  },
  {
    name: 'watch: a revision is split only for clients that allow it',
    async run(client) {
      const p = client.prefix();
      const big = Buffer.alloc(200_000, 1);
      const whole = { key: bytes(p), rangeEnd: end(p) };
      const start = (await client.ok(KVService.Range, { key: bytes(p) })).header?.revision as number;
      for (let index = 0; index < 12; index++)
        await client.ok(KVService.Put, { key: bytes(`${p}${index}`), value: big });
      const { header } = await client.ok(KVService.DeleteRange, whole);
      const stream = client.bidi(WatchService.Watch);
      await createWatch(stream, {
        ...whole,
        startRevision: header?.revision ?? 0,
        prevKv: true,
        fragment: true,
      });
      const pieces: etcdserverpb.WatchResponse[] = [];
      do pieces.push(await stream.next());
      while (pieces.at(-1)?.fragment);
      assert.ok(pieces.length > 1, 'sent in pieces');
      assert.equal(
        pieces.reduce((sum, piece) => sum + piece.events.length, 0),
        12,
      );
      await createWatch(stream, { ...whole, startRevision: header?.revision ?? 0, prevKv: true });
      const single = await stream.next();
      assert.deepEqual([single.events.length, single.fragment], [12, false]);
      await createWatch(stream, { ...whole, startRevision: start + 1, filters: [1] });
      assert.equal((await readEvents(stream, 12)).length, 12);
      stream.close();
    },
  },
  {
    name: 'leases: grant, keep alive, time to live, attachment, revocation, expiry',
    async run(client) {
      const p = client.prefix();
      const { ID, TTL } = await client.ok(LeaseService.LeaseGrant, { TTL: 100 });
      assert.ok(ID > 0n);
      assert.equal(TTL, 100);
      await client.fails(LeaseService.LeaseGrant, { ID, TTL: 5 }, 9, 'etcdserver: lease already exists');
      await client.fails(
        LeaseService.LeaseGrant,
        { TTL: 9_000_000_001 },
        11,
        'etcdserver: too large lease TTL',
      );
      await client.fails(LeaseService.LeaseRevoke, { ID: 4242n }, 5, 'etcdserver: requested lease not found');
      await put(client, `${p}a`, '', ID);
      await put(client, `${p}b`, '', ID);
      await put(client, `${p}b`, '');
      const alive = await client.ok(LeaseService.LeaseTimeToLive, { ID, keys: true });
      assert.deepEqual(
        [alive.grantedTTL, alive.keys.map((key) => text(key).slice(p.length)).join()],
        [100, 'a'],
      );
      assert.ok(alive.TTL > 90 && alive.TTL <= 100);
      const unknown = await client.ok(LeaseService.LeaseTimeToLive, { ID: 4242n });
      assert.deepEqual([unknown.TTL, unknown.grantedTTL], [-1, 0]);
      assert.ok((await client.ok(LeaseService.LeaseLeases, {})).leases.some((lease) => lease.ID === ID));
      const stream = client.bidi(LeaseService.LeaseKeepAlive);
      stream.send({ ID });
      assert.equal((await stream.next()).TTL, 100);
      stream.send({ ID: 4242n });
      const lost = await stream.next();
      assert.deepEqual([lost.ID, lost.TTL], [4242n, 0]);
      stream.close();
      const before = (await client.ok(KVService.Range, { key: bytes(p) })).header?.revision as number;
      const revoked = await client.ok(LeaseService.LeaseRevoke, { ID });
      assert.equal(revoked.header?.revision, before + 1);
      assert.equal((await client.ok(KVService.Range, { key: bytes(p), rangeEnd: end(p) })).count, 1);
      const short = await client.ok(LeaseService.LeaseGrant, { TTL: 1 });
      assert.ok(short.TTL >= 1);
      await put(client, `${p}short`, '', short.ID);
      const watch = client.bidi(WatchService.Watch);
      await createWatch(watch, { key: bytes(`${p}short`) });
      const [gone] = (await watch.next(8000)).events;
      assert.equal(gone && eventText(p, gone), 'DELETE short=');
      watch.close();
    },
  },
  {
    name: 'cluster and maintenance: members, status, alarms, snapshot, leadership',
    async run(client) {
      const { members, header } = await client.ok(ClusterService.MemberList, { linearizable: true });
      assert.ok(members.length > 0);
      const self = members.find((member) => member.ID === header?.memberId);
      assert.ok(self !== undefined && self.name !== '' && self.clientURLs.length > 0);
      await client.fails(
        ClusterService.MemberAdd,
        { peerURLs: self.peerURLs },
        9,
        'etcdserver: Peer URLs already exists',
      );
      await client.fails(ClusterService.MemberRemove, { ID: 12345n }, 5, 'etcdserver: member not found');
      await client.fails(
        ClusterService.MemberUpdate,
        { ID: 12345n, peerURLs: ['http://127.0.0.1:1'] },
        5,
        'etcdserver: member not found',
      );
      const status = await client.ok(MaintenanceService.Status, {});
      // etcd 3.5 only times out.
      if (!/^3\.[0-5]\./.test(status.version))
        await client.fails(ClusterService.MemberPromote, { ID: 12345n }, 5, 'etcdserver: member not found');
      assert.match(status.version, /^3\.\d+\.\d+$/);
      assert.ok(
        status.leader !== 0n &&
          status.raftIndex > 0 &&
          status.raftTerm > 0 &&
          status.raftAppliedIndex > 0 &&
          status.dbSize > 0,
      );
      await client.fails(
        MaintenanceService.MoveLeader,
        { targetID: 12345n },
        9,
        status.leader === header?.memberId ? 'etcdserver: bad leader transferee' : 'etcdserver: not leader',
      );
      const alarm = { memberID: header?.memberId ?? 0n, alarm: etcdserverpb.AlarmType.NOSPACE };
      assert.deepEqual((await client.ok(MaintenanceService.Alarm, { action: 1, ...alarm })).alarms, [alarm]);
      await client.fails(
        KVService.Put,
        { key: bytes('full') },
        8,
        'etcdserver: mvcc: database space exceeded',
      );
      await client.fails(LeaseService.LeaseGrant, { TTL: 5 }, 8, 'etcdserver: mvcc: database space exceeded');
      await client.ok(KVService.DeleteRange, { key: bytes('full') });
      assert.deepEqual((await client.ok(MaintenanceService.Alarm, { action: 0 })).alarms, [alarm]);
      await client.ok(MaintenanceService.Alarm, { action: 2, ...alarm });
      assert.deepEqual((await client.ok(MaintenanceService.Alarm, { action: 0 })).alarms, []);
      await client.ok(KVService.Put, { key: bytes('full') });
      const messages = await client.serverStream(MaintenanceService.Snapshot, {});
      const digest = createHash('sha256');
      for (const { blob } of messages.slice(0, -1)) digest.update(blob);
      assert.equal(Buffer.from(messages.at(-1)?.blob ?? []).toString('hex'), digest.digest('hex'));
      assert.equal(messages.slice(0, -1).reduce((sum, { blob }) => sum + blob.length, 0) % 512, 0);
      assert.ok(messages.every(({ blob }) => blob.length <= 32 * 1024));
      await client.ok(MaintenanceService.Hash, {});
      await client.ok(MaintenanceService.Defragment, {});
      assert.equal((await client.ok(healthpb.HealthService.Check, {})).status, 1);
    },
  },
];
