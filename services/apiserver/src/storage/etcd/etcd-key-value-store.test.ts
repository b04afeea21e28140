import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { EtcdClient } from '@pilothouse/etcd-client';
import { EtcdError, grpcCode } from '@pilothouse/etcd-client';
import { nodeClock } from '@pilothouse/host';
import type { etcdserverpb, mvccpb } from '@pilothouse/proto';
import { EtcdKeyValueStore } from './etcd-key-value-store.ts';

/** What becomes of a try: `lost` before it had an effect, `cut` after it, `done`. */
type Fate = 'lost' | 'cut' | 'done';

const encoder = new TextEncoder();
const bytes = (text: string): Uint8Array => encoder.encode(text);
let history: Partial<mvccpb.KeyValue>[] = [];
let revision = 0;
let tries = 0;
let fates: Fate[] = [];
/** Runs before a try. */
let before: (attempt: number) => void = () => {};
let isCompacted = false;

const put = (value: string): void => {
  history.push({ key: bytes('k'), modRevision: ++revision, createRevision: 1, value: bytes(value) });
};
const remove = (): void => void history.push({ modRevision: ++revision });
const at = (upTo: number): Partial<mvccpb.KeyValue> | undefined => {
  const last = history.findLast((each) => (each.modRevision ?? 0) <= upTo);
  return last?.value === undefined ? undefined : last;
};

const client = {
  kv: {
    range: (request: { revision: number }) => {
      if (isCompacted)
        return Promise.reject(
          new EtcdError(grpcCode.outOfRange, 'etcdserver: mvcc: required revision has been compacted'),
        );
      const kv = at(request.revision);
      return Promise.resolve({ kvs: kv === undefined ? [] : [kv] });
    },
    txn: (request: etcdserverpb.TxnRequest) => {
      before(++tries);
      const fate = fates.shift() ?? 'done';
      const cut = new EtcdError(grpcCode.unavailable, 'the endpoint gives no sign of life');
      if (fate === 'lost') return Promise.reject(cut);
      const wanted = request.compare[0]?.modRevision ?? 0;
      const now = at(revision);
      const succeeded = (now?.modRevision ?? 0) === wanted;
      const write = request.success[0];
      if (succeeded && write?.requestPut) put(Buffer.from(write.requestPut.value).toString());
      else if (succeeded) remove();
      if (fate === 'cut') return Promise.reject(cut);
      const kvs = now === undefined ? [] : [now];
      return Promise.resolve({
        succeeded,
        header: { revision },
        responses: succeeded ? [] : [{ responseRange: { kvs } }],
      });
    },
  },
} as unknown as EtcdClient;

const store = new EtcdKeyValueStore({ client, clock: nodeClock });
beforeEach(() => {
  [history, revision, tries, fates, isCompacted] = [[], 0, 0, [], false];
  before = () => {};
  put('first');
});

test('a write on a revision is repeated when it was cut off before it had an effect', async () => {
  fates = ['lost', 'lost', 'done'];
  assert.deepEqual(await store.putIf('k', 1, bytes('second')), {
    ok: true,
    revision: 2,
    previous: undefined,
  });
  assert.equal(tries, 3);
});

test('a write that had its effect before it was cut off is not told as a conflict, and not done twice', async () => {
  fates = ['cut'];
  await assert.rejects(store.putIf('k', 1, bytes('second')), { kind: 'unavailable' });
  assert.deepEqual([revision, tries], [2, 2]);
});

test('the same holds when somebody wrote after it', async () => {
  fates = ['cut'];
  before = (attempt) => attempt === 2 && put('third');
  await assert.rejects(store.putIf('k', 1, bytes('second')), { kind: 'unavailable' });
});

test('a conflict is told when the next revision was surely of somebody else', async () => {
  fates = ['lost'];
  before = (attempt) => attempt === 2 && put('other');
  const result = await store.putIf('k', 1, bytes('second'));
  assert.equal(result.ok, false);
  assert.equal(result.ok ? 0 : result.current?.modRevision, 2);
  isCompacted = true;
  fates = ['lost'];
  before = (attempt) => attempt === 4 && put('another');
  await assert.rejects(store.putIf('k', 2, bytes('third')), { kind: 'unavailable' });
});

test('a removal is repeated in the same way', async () => {
  fates = ['lost'];
  assert.equal((await store.deleteIf('k', 1)).ok, true);
  put('again');
  fates = ['cut'];
  await assert.rejects(store.deleteIf('k', revision), { kind: 'unavailable' });
});

test('a creation is never repeated: that nothing is there can be true again', async () => {
  remove();
  tries = 0;
  fates = ['lost'];
  await assert.rejects(store.putIf('k', 0, bytes('new')), { kind: 'unavailable' });
  assert.equal(tries, 1);
});
