import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock, Random, Timer } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import type { KubeObject } from '@pilothouse/apimachinery';
import { storageConformance } from '../conformance.ts';
import type { StorageWatchOptions } from '../interface.ts';
import { matchEverything } from '../interface.ts';
import { storageLimits } from '../limits.ts';
import { MemoryKeyValueStore } from '../memory/memory-key-value-store.ts';
import { ObjectStorage } from '../object-storage.ts';
import { plainJsonCodec } from '../stored-object.ts';
import { Cacher } from './cacher.ts';
import { ChangeFeed } from './change-feed.ts';

const fixedRandom: Random = { bytes: (length) => new Uint8Array(length), float: () => 0, integer: () => 0 };

/** Time that passes only when told. Waits of a freshness timeout are let go at once when `hurry` is set. */
class HandClock implements Clock {
  #now = 0;
  #timers: { at: number; period: number; callback: () => void; cancelled: boolean }[] = [];
  now(): number {
    return this.#now;
  }
  monotonic(): number {
    return this.#now;
  }
  setTimeout(callback: () => void, delayMs: number): Timer {
    return this.#add(callback, delayMs, 0);
  }
  setInterval(callback: () => void, periodMs: number): Timer {
    return this.#add(callback, periodMs, periodMs);
  }
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers
        .filter((timer) => !timer.cancelled && timer.at <= end)
        .sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#now = due.at;
      if (due.period > 0) due.at += due.period;
      else due.cancelled = true;
      due.callback();
    }
    this.#now = end;
  }
  #add(callback: () => void, delayMs: number, period: number): Timer {
    const timer = { at: this.#now + delayMs, period, callback, cancelled: false };
    this.#timers.push(timer);
    return { cancel: () => (timer.cancelled = true) };
  }
}

function open(clock: Clock, trigger?: (object: KubeObject) => string) {
  const store = new MemoryKeyValueStore();
  const storage = new ObjectStorage({
    store,
    codec: plainJsonCodec(),
    prefix: '/registry/configmaps/',
    typeMeta: { apiVersion: 'v1', kind: 'ConfigMap' },
  });
  const feed = new ChangeFeed({ store, clock, logger: silentLogger, root: '/registry/' });
  const cacher = new Cacher({ storage, feed, clock, random: fixedRandom, logger: silentLogger, trigger });
  return { store, storage, feed, cacher };
}

storageConformance('cacher', async () => {
  // Real time, hurried: the tests that wait for a revision of the future need the timeout to come.
  const clock: Clock = { ...nodeClock, monotonic: () => nodeClock.monotonic() * 20 };
  const { store, feed, cacher } = open(clock);
  await cacher.start();
  return {
    storage: cacher,
    compact: (revision) => store.compact(revision),
    close: async () => {
      cacher.close();
      feed.close();
      await store.close();
    },
  };
});

const object = (name: string, node = ''): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'ns' },
  spec: { node },
});
const watchAll: StorageWatchOptions = {
  prefix: '',
  predicate: matchEverything,
  resourceVersion: '',
  bookmarks: false,
  sendInitialEvents: undefined,
  timeoutSeconds: 0,
};

test('a watch gets a bookmark each minute and one before its end', async () => {
  const clock = new HandClock();
  const { cacher, feed } = open(clock);
  await cacher.start();
  const stored = await cacher.create('ns/a', object('a'), 0);
  const stream = await cacher.watch({
    ...watchAll,
    resourceVersion: '1',
    bookmarks: true,
    timeoutSeconds: 90,
  });
  assert.equal((await stream.next())?.[0]?.type, 'ADDED');
  const types: string[] = [];
  const read = (async () => {
    for await (const event of stream)
      types.push(`${event.type}@${event.type === 'ERROR' ? '' : event.object.revision}`);
  })();
  await Promise.resolve();
  clock.advance(59_000);
  await new Promise(setImmediate);
  assert.deepEqual(types, []);
  clock.advance(2000);
  await new Promise(setImmediate);
  assert.deepEqual(types, [`BOOKMARK@${stored.revision}`]);
  clock.advance(27_500);
  await new Promise(setImmediate);
  assert.equal(types.length, 2);
  stream.close();
  await read;
  cacher.close();
  feed.close();
});

test('a watch behind the kept history gets 410 with both revisions', async () => {
  const { cacher, feed } = open(new HandClock());
  await cacher.create('ns/a', object('a'), 0);
  await cacher.create('ns/b', object('b'), 0);
  await cacher.start();
  const stream = await cacher.watch({ ...watchAll, resourceVersion: '2' });
  const events = (await stream.next()) ?? [];
  assert.equal(
    events[0]?.type === 'ERROR' ? events[0].status.message : '',
    'too old resource version: 2 (3)',
  );
  assert.equal(await stream.next(), undefined);
  cacher.close();
  feed.close();
});

test('a watcher that never reads is ended once the history has moved past it; others go on', async () => {
  const { cacher, feed } = open(new HandClock());
  await cacher.start();
  const slow = await cacher.watch(watchAll);
  const fast = await cacher.watch(watchAll);
  await cacher.create('ns/a', object('a', '0'), 0);
  let seen = 0;
  const reader = (async () => {
    for await (const _ of fast) seen++;
  })();
  const total = storageLimits.cacheEventsKept * 2 + 10;
  for (let n = 1; n <= total; n++) {
    await cacher.guaranteedUpdate('ns/a', { mustExist: true, preconditions: undefined }, () => ({
      object: object('a', String(n)),
    }));
  }
  await new Promise(setImmediate);
  assert.equal(seen, total + 1);
  assert.equal(await slow.next(), undefined);
  fast.close();
  await reader;
  cacher.close();
  feed.close();
});

test('a watcher of one trigger value is not woken by the others, and misses nothing', async () => {
  const { cacher, feed } = open(new HandClock(), (each) => String(each['spec'].node));
  await cacher.start();
  const onNode = (node: string): StorageWatchOptions => ({
    ...watchAll,
    predicate: { everything: false, matches: (each) => each['spec'].node === node, trigger: node },
  });
  const stream = await cacher.watch(onNode('n1'));
  let matched = 0;
  const seen: string[] = [];
  const reader = (async () => {
    for await (const event of stream) {
      matched++;
      if (event.type !== 'ERROR') seen.push(`${event.type} ${event.object.object.metadata.name ?? ''}`);
    }
  })();
  const put = (name: string, node: string) =>
    cacher.guaranteedUpdate(`ns/${name}`, { mustExist: false, preconditions: undefined }, () => ({
      object: object(name, node),
    }));
  for (let n = 0; n < 50; n++) await put(`x${n}`, 'n2');
  await put('a', 'n1');
  for (let n = 0; n < 50; n++) await put(`y${n}`, 'n2');
  await put('a', 'n2');
  await put('x1', 'n1');
  await new Promise(setImmediate);
  assert.deepEqual(seen, ['ADDED a', 'DELETED a', 'ADDED x1']);
  assert.equal(matched, 3);
  stream.close();
  await reader;
  cacher.close();
  feed.close();
});

test('a read waits for the newest write, also one that another server did', async () => {
  const { store, cacher, feed, storage } = open(new HandClock());
  await cacher.start();
  const other = new ObjectStorage({
    store,
    codec: plainJsonCodec(),
    prefix: storage.prefix,
    typeMeta: storage.typeMeta,
  });
  await other.create('ns/a', object('a'), 0);
  const read = await cacher.get('ns/a', { resourceVersion: '' });
  assert.equal(read.object.metadata.name, 'a');
  // A write elsewhere moves the revision on too: reads must not hang.
  await store.putIf('/elsewhere', 0, new Uint8Array(1));
  assert.equal((await cacher.get('ns/a', { resourceVersion: '' })).revision, read.revision);
  cacher.close();
  feed.close();
});
