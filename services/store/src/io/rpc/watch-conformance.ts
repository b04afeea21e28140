import assert from 'node:assert/strict';
import { etcdserverpb } from '@pilothouse/proto';
import type { ConformanceCase } from './conformance.ts';
import { bytes, createWatch, end, eventText, put, readEvents } from './conformance.ts';

const { KVService, WatchService } = etcdserverpb;

/** Watches. */
export const watchConformance: readonly ConformanceCase[] = [
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
];
