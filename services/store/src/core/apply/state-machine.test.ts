import { test } from 'node:test';
import assert from 'node:assert/strict';
import { etcdserverpb, mvccpb, decodeMessage, encodeMessage, type MessageInput } from '@pilothouse/proto';
import { MemoryBackend } from '../memory-backend.ts';
import type { LogIndex, Term } from '../replication.ts';
import type { WatchMessage } from '../watch/watchable-store.ts';
import { encodeCommand, type Command } from './command.ts';
import { StoreStateMachine } from './state-machine.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array): string => new TextDecoder().decode(value);

class Driver {
  readonly machine: StoreStateMachine;
  #index = 0;
  constructor(backend = new MemoryBackend()) {
    this.machine = new StoreStateMachine({ backend });
    this.#index = this.machine.appliedIndex;
  }
  do(command: MessageInput<Command>): unknown {
    const result = this.machine.apply({
      index: ++this.#index as LogIndex,
      term: 1 as Term,
      payload: encodeCommand(command),
    });
    assert.ok(result);
    return 'error' in result ? result.error.message : result.response;
  }
  put(key: string, value: string, lease = 0n): unknown {
    return this.do({ put: { key: bytes(key), value: bytes(value), lease } });
  }
  range(request: MessageInput<etcdserverpb.RangeRequest>): mvccpb.KeyValue[] {
    const full = decodeMessage(etcdserverpb.RangeRequest, encodeMessage(etcdserverpb.RangeRequest, request));
    return this.machine.range(full).kvs.map((kv) => decodeMessage(mvccpb.KeyValue, kv));
  }
}

/** What a put, delete and compaction must come to, written as plainly as possible. */
class NaiveStore {
  revision = 1;
  readonly states = new Map<
    number,
    Map<string, { create: number; mod: number; version: number; value: string }>
  >([[1, new Map()]]);
  change(
    edit: (
      state: Map<string, { create: number; mod: number; version: number; value: string }>,
      rev: number,
    ) => boolean,
  ): void {
    const state = new Map(this.states.get(this.revision));
    if (!edit(state, this.revision + 1)) return;
    this.states.set(++this.revision, state);
  }
}

test('StoreStateMachine agrees with a naive twin at every readable revision, after compaction, restart and restore', async () => {
  let seed = 42;
  const random = (bound: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % bound;
  };
  const backend = new MemoryBackend();
  let driver = new Driver(backend);
  const naive = new NaiveStore();
  let compacted = 0;
  const key = (): string => `k${random(30)}`;
  const verify = (): void => {
    const { store } = driver.machine;
    assert.equal(store.currentRevision, naive.revision);
    for (let revision = Math.max(1, compacted); revision <= naive.revision; revision += 1 + random(5)) {
      const expected = [
        ...(naive.states.get(revision) as Map<
          string,
          { create: number; mod: number; version: number; value: string }
        >),
      ]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([k, v]) => `${k}=${v.value}@${v.create}/${v.mod}/${v.version}`);
      const actual = driver
        .range({ key: bytes('k'), rangeEnd: bytes('l'), revision })
        .map(
          (kv) => `${text(kv.key)}=${text(kv.value)}@${kv.createRevision}/${kv.modRevision}/${kv.version}`,
        );
      assert.deepEqual(actual, expected, `revision ${revision}`);
    }
  };
  for (let step = 0; step < 1500; step++) {
    const action = random(20);
    if (action < 12) {
      const [k, value] = [key(), String(random(1000))];
      driver.put(k, value);
      naive.change((state, rev) => {
        const old = state.get(k);
        state.set(k, { create: old?.create ?? rev, mod: rev, version: (old?.version ?? 0) + 1, value });
        return true;
      });
    } else if (action < 15) {
      const [a, b] = [key(), key()].sort() as [string, string];
      driver.do({ deleteRange: { key: bytes(a), rangeEnd: bytes(b === a ? '' : b) } });
      naive.change((state) => {
        const doomed = [...state.keys()].filter((k) => (a === b ? k === a : k >= a && k < b));
        for (const k of doomed) state.delete(k);
        return doomed.length > 0;
      });
    } else if (action < 18) {
      const keys = [...new Set([key(), key(), key()])];
      driver.do({
        txn: { success: keys.map((k) => ({ requestPut: { key: bytes(k), value: bytes(`t${step}`) } })) },
      });
      naive.change((state, rev) => {
        for (const k of keys) {
          const old = state.get(k);
          state.set(k, {
            create: old?.create ?? rev,
            mod: rev,
            version: (old?.version ?? 0) + 1,
            value: `t${step}`,
          });
        }
        return true;
      });
    } else if (action === 18 && naive.revision > compacted + 20) {
      compacted += 1 + random(naive.revision - compacted);
      driver.do({ compaction: { revision: compacted } });
      if (random(2) === 0) while (driver.machine.store.compactStep(7));
    } else if (action === 19 && random(4) === 0) {
      driver = new Driver(backend);
      verify();
    }
    if (step % 250 === 0) verify();
  }
  verify();

  const hash = driver.machine.store.hash(0);
  const copy = new Driver();
  const snapshot = driver.machine.snapshot();
  driver.put('k1', 'after the snapshot');
  await copy.machine.restore(snapshot.chunks());
  snapshot.release();
  assert.equal(copy.machine.store.currentRevision, naive.revision);
  assert.deepEqual(copy.machine.store.hash(0), hash);
  while (copy.machine.store.compactStep());
  assert.deepEqual(
    copy.machine.store.hash(0),
    hash,
    'the hash does not depend on how far the compaction got',
  );
});

test('txn: compares see the state before, replies see the writes of the txn, a failed check leaves nothing', () => {
  const driver = new Driver();
  driver.put('a', '1');
  const reply = driver.do({
    txn: {
      compare: [
        { key: bytes('a'), target: 0, result: 0, version: 1 },
        { key: bytes('missing'), target: 1, result: 0, createRevision: 0 },
      ],
      success: [
        { requestPut: { key: bytes('a'), value: bytes('2') } },
        { requestRange: { key: bytes('a') } },
        {
          requestTxn: {
            compare: [{ key: bytes('a'), target: 3, result: 0, value: bytes('1') }],
            success: [{ requestDeleteRange: { key: bytes('a'), prevKv: true } }],
          },
        },
        { requestRange: { key: bytes('a') } },
      ],
    },
  }) as etcdserverpb.TxnResponse;
  const decoded = decodeMessage(etcdserverpb.TxnResponse, encodeMessage(etcdserverpb.TxnResponse, reply));
  assert.equal(decoded.succeeded, true);
  assert.equal(text(decoded.responses[1]?.responseRange?.kvs[0]?.value as Uint8Array), '2');
  assert.equal(decoded.responses[2]?.responseTxn?.succeeded, true);
  assert.equal(decoded.responses[2]?.responseTxn?.responses[0]?.responseDeleteRange?.deleted, 1);
  assert.equal(decoded.responses[3]?.responseRange?.kvs.length, 0);
  assert.equal(decoded.header?.revision, 3);

  assert.equal(
    driver.do({
      txn: { success: [{ requestPut: { key: bytes('b') } }, { requestPut: { key: bytes('c'), lease: 9n } }] },
    }),
    'etcdserver: requested lease not found',
  );
  assert.equal(driver.range({ key: bytes('b') }).length, 0);
  assert.equal(driver.machine.store.currentRevision, 3);
  assert.equal(
    driver.do({
      txn: {
        compare: [{ key: bytes('none'), target: 3, result: 3, value: bytes('x') }],
        success: [{ requestPut: { key: bytes('d') } }],
      },
    }) !== undefined && driver.range({ key: bytes('d') }).length,
    0,
    'VALUE of a missing key matches nothing',
  );
});

test('a lease deletes its keys in one revision; a key belongs to the lease of its last put', () => {
  const driver = new Driver();
  driver.do({ leaseGrant: { ID: 7n, TTL: 1 } });
  driver.do({ leaseGrant: { ID: 8n, TTL: 60 } });
  assert.equal(driver.machine.lessor.get(7n)?.ttlSeconds, 2, 'raised to the minimum');
  driver.put('a', '1', 7n);
  driver.put('b', '1', 7n);
  driver.put('c', '1', 7n);
  driver.put('b', '2', 8n);
  const before = driver.machine.store.currentRevision;
  // An expiry that the leader of another term counted comes too late: that lease may have been renewed since.
  assert.equal(driver.do({ header: { ID: 9n }, leaseRevoke: { ID: 7n } }), 'etcdserver: leader changed');
  driver.do({ header: { ID: 1n }, leaseRevoke: { ID: 7n } });
  assert.equal(driver.machine.store.currentRevision, before + 1);
  assert.deepEqual(
    driver.range({ key: bytes('a'), rangeEnd: bytes('z') }).map((kv) => text(kv.key)),
    ['b'],
  );
  assert.equal(driver.do({ leaseRevoke: { ID: 7n } }), 'etcdserver: requested lease not found');
  const { lessor } = driver.machine;
  lessor.promote(0, 0);
  assert.deepEqual(lessor.expired(59_999, 10), []);
  assert.equal(lessor.renew(8n, 30_000), 60);
  assert.deepEqual(lessor.expired(60_000, 10), []);
  assert.deepEqual(lessor.expired(90_000, 10), [8n]);
  assert.equal(lessor.renew(8n, 90_001), undefined, 'an expired lease cannot be saved any more');
});

test('watch: history, live events, backpressure, progress behind events, compaction', () => {
  const driver = new Driver();
  const { watchable } = driver.machine;
  for (let i = 0; i < 5; i++) driver.put('a', String(i));
  driver.do({ deleteRange: { key: bytes('a') } });
  const messages: WatchMessage[] = [];
  let room = Infinity;
  const stream = watchable.stream({
    send(message) {
      messages.push(message);
      return --room > 0;
    },
  });
  const spec = {
    key: bytes('a'),
    rangeEnd: bytes('b'),
    prevKv: true,
    progressNotify: true,
    noPut: false,
    noDelete: false,
  };
  stream.watch(0, { ...spec, startRevision: 4 });
  watchable.deliver();
  const first = messages.shift();
  assert.ok(first?.kind === 'events');
  const events = first.events.map((event) => decodeMessage(mvccpb.Event, event));
  assert.deepEqual(
    events.map((event) => [event.type, event.kv?.modRevision, event.prevKv?.modRevision]),
    [
      [0, 4, 3],
      [0, 5, 4],
      [0, 6, 5],
      [1, 7, 6],
    ],
  );
  room = 1;
  driver.put('a1', 'x');
  driver.put('b', 'not watched');
  watchable.deliver();
  driver.put('a2', 'y');
  watchable.deliver();
  stream.requestProgress();
  assert.deepEqual(
    messages.map((message) => message.kind),
    ['events'],
    'blocked after one message, progress not answered',
  );
  room = Infinity;
  stream.drained();
  stream.requestProgress();
  assert.deepEqual(
    messages.map((message) => message.kind),
    ['events', 'events', 'progress'],
  );
  assert.deepEqual(messages[2], { kind: 'progress', watchId: -1, revision: 10 });

  messages.length = 0;
  stream.watch(1, { ...spec, startRevision: 13 });
  stream.requestProgress();
  driver.put('a3', '11');
  driver.put('a3', '12');
  watchable.deliver();
  driver.put('a3', '13');
  watchable.deliver();
  const future = messages.filter((message) => message.watchId === 1);
  assert.equal(future.length, 1);
  assert.ok(
    future[0]?.kind === 'events' &&
      decodeMessage(mvccpb.Event, future[0].events[0] as Uint8Array).kv?.modRevision === 13,
  );
  assert.ok(
    !messages.some((message) => message.kind === 'progress'),
    'no progress while a watch waits for the future',
  );

  driver.do({ compaction: { revision: 12 } });
  stream.watch(2, { ...spec, startRevision: 11 });
  watchable.deliver();
  assert.deepEqual(messages.at(-1), { kind: 'compacted', watchId: 2, compactRevision: 12 });
  assert.equal(stream.has(2), false);
});

test('watch goes on after a restore without gap or repeat', async () => {
  const source = new Driver();
  const target = new Driver();
  for (const driver of [source, target]) driver.put('a', '1');
  const revisions: number[] = [];
  const stream = target.machine.watchable.stream({
    send(message) {
      if (message.kind === 'events')
        for (const event of message.events)
          revisions.push(decodeMessage(mvccpb.Event, event).kv?.modRevision as number);
      return true;
    },
  });
  stream.watch(0, {
    key: bytes('a'),
    rangeEnd: new Uint8Array(0),
    startRevision: 2,
    prevKv: false,
    progressNotify: false,
    noPut: false,
    noDelete: false,
  });
  target.machine.watchable.deliver();
  for (let i = 0; i < 3; i++) source.put('a', '2');
  await target.machine.restore(source.machine.snapshot().chunks());
  target.machine.watchable.deliver();
  assert.deepEqual(revisions, [2, 3, 4, 5]);
});

test('a hash of an older revision, and one while a compaction goes on, is that of the state without what followed', () => {
  const driver = new Driver();
  const { store } = driver.machine;
  const hashes: number[] = [];
  for (let at = 0; at < 300; at++) {
    if (at % 7 === 3)
      driver.do({ deleteRange: { key: bytes(`k${at % 20}`), rangeEnd: bytes(`k${(at % 20) + 1}`) } });
    else driver.put(`k${at % 20}`, String(at));
    hashes[store.currentRevision] = store.hash(0).hash;
  }
  const revision = store.currentRevision;
  for (let at = 2; at <= revision; at++) assert.equal(store.hash(at).hash, hashes[at], `as of ${at}`);
  driver.do({ compaction: { revision: revision - 50 } });
  const pending = store.hash(0);
  const older = store.hash(revision - 20);
  assert.equal(pending.compactRevision, revision - 50);
  assert.notEqual(pending.hash, hashes[revision], 'What a compaction removes does not count');
  while (store.compactStep(3)) {
    assert.deepEqual(store.hash(0), pending);
    assert.deepEqual(store.hash(revision - 20), older);
  }
  assert.deepEqual(store.hash(0), pending);
  assert.throws(() => store.hash(revision - 51), /compacted/);
  assert.throws(() => store.hash(revision + 1), /future/);
  // What was removed and what was loaded count the same.
  store.load(() => {});
  assert.deepEqual(store.hash(0), pending);
  assert.deepEqual(store.hash(revision - 20), older);
  driver.put('k1', 'one more');
  driver.put('k1', 'again');
  assert.deepEqual(store.hash(revision), pending);
});

test('two states with the same keys and other values, or at other revisions, have other hashes', () => {
  const hashes = new Set<number>();
  for (const [first, second] of [
    ['1', '2'],
    ['2', '1'],
    ['1', '1'],
    ['', '12'],
  ] as const) {
    const driver = new Driver();
    driver.put('a', first);
    driver.put('b', second);
    hashes.add(driver.machine.store.hash(0).hash);
  }
  const twice = new Driver();
  for (const value of ['1', '1', '2']) twice.put('a', value);
  hashes.add(twice.machine.store.hash(0).hash);
  assert.equal(hashes.size, 5);
});
