import assert from 'node:assert/strict';
import { etcdserverpb, type MessageInput } from '@pilothouse/proto';
import type { ConformanceCase } from './conformance.ts';
import { bytes, createWatch, end, eventText, keysOf, put, readEvents, text } from './conformance.ts';

const { KVService, WatchService, MaintenanceService } = etcdserverpb;
const {
  RangeRequest_SortOrder: Order,
  RangeRequest_SortTarget: Target,
  Compare_CompareResult: Result,
  Compare_CompareTarget: Compare,
} = etcdserverpb;

/** Keys: put, range, delete, txn, compaction. */
export const keyConformance: readonly ConformanceCase[] = [
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
];
