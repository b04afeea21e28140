import { test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { decodeMessage, encodeMessage, etcdserverpb, mvccpb, WireError, type MessageCodec } from './index.ts';

const directory = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../proto/etcd');
const schema = new protobuf.Root();
schema.resolvePath = (_origin, target) => path.join(directory, path.basename(target));
schema.loadSync(
  fs.readdirSync(directory).filter((name) => name.endsWith('.proto')),
  { keepCase: true },
);

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('encodeMessage() writes what protobufjs reads, field by field', () => {
  const ours = encodeMessage(etcdserverpb.TxnRequest, {
    compare: [{ result: 1, target: 2, key: bytes('k'), modRevision: 2 ** 40 + 7 }],
    success: [
      {
        requestPut: {
          key: bytes('k'),
          value: new Uint8Array(70_000).fill(7),
          lease: 0x7fffffffffffffffn,
          prevKv: true,
        },
      },
      {
        requestTxn: {
          failure: [{ requestRange: { key: bytes('x'), limit: 5, sortOrder: 2, countOnly: true } }],
        },
      },
    ],
  });
  const theirs = schema.lookupType('etcdserverpb.TxnRequest');
  const object = theirs.toObject(theirs.decode(ours), { longs: String, bytes: String });
  assert.equal(object['compare'][0].mod_revision, String(2 ** 40 + 7));
  assert.equal(object['success'][0].request_put.lease, '9223372036854775807');
  assert.equal(object['success'][0].request_put.value.length, Math.ceil(70_000 / 3) * 4);
  assert.equal(object['success'][1].request_txn.failure[0].request_range.limit, '5');
});

test('decodeMessage() reads what protobufjs writes: negative counters, large ids, packed enums, UTF-8', () => {
  const check = <T>(codec: MessageCodec<T>, plain: Record<string, unknown>): T => {
    const theirs = schema.lookupType(codec.name);
    return decodeMessage(codec, theirs.encode(theirs.fromObject(plain)).finish());
  };
  const header = check(etcdserverpb.ResponseHeader, {
    cluster_id: '14841639068965178418',
    member_id: '10276657743932975437',
    revision: '-1',
    raft_term: '4294967296',
  });
  assert.deepEqual(header, {
    clusterId: 14841639068965178418n,
    memberId: 10276657743932975437n,
    revision: -1,
    raftTerm: 4294967296,
  });
  const watch = check(etcdserverpb.WatchCreateRequest, {
    filters: [0, 1],
    start_revision: '9007199254740991',
  });
  assert.deepEqual(watch.filters, [0, 1]);
  assert.equal(watch.startRevision, Number.MAX_SAFE_INTEGER);
  const member = check(etcdserverpb.Member, { name: 'größe-🚢', peerURLs: ['http://a', 'http://b'] });
  assert.equal(member.name, 'größe-🚢');
  assert.deepEqual(member.peerURLs, ['http://a', 'http://b']);
});

test('identifiers and counters round-trip exactly', () => {
  for (const lease of [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 0x123456789abcdefn]) {
    for (const revision of [0, 1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -1, -(2 ** 40)]) {
      const decoded = decodeMessage(
        mvccpb.KeyValue,
        encodeMessage(mvccpb.KeyValue, { lease, modRevision: revision, key: bytes('k') }),
      );
      assert.equal(decoded.lease, lease);
      assert.equal(decoded.modRevision, revision);
    }
  }
});

test('decodeMessage() refuses torn and overlong input', () => {
  const good = encodeMessage(etcdserverpb.TxnRequest, {
    success: [{ requestPut: { key: bytes('key'), value: bytes('value') } }],
  });
  for (let cut = 1; cut < good.length; cut++) {
    assert.throws(
      () => decodeMessage(etcdserverpb.TxnRequest, good.subarray(0, cut)),
      WireError,
      `cut at ${cut}`,
    );
  }
  const overlong = good.slice();
  overlong[5] = 100;
  assert.throws(() => decodeMessage(etcdserverpb.TxnRequest, overlong), WireError);
  assert.throws(() => decodeMessage(etcdserverpb.Member, Uint8Array.from([0x12, 2, 0xc3, 0x28])), WireError);
});
