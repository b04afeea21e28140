import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EtcdClient, WatchHandler, WatchRequest } from '@pilothouse/etcd-client';
import { compactedText, EtcdError, grpcCode } from '@pilothouse/etcd-client';
import { nodeClock } from '@pilothouse/host';
import { objectHistory } from './object-history.ts';

interface Write {
  readonly revision: number;
  readonly version: number;
  readonly colour: string | undefined;
}

const value = (colour: string, manager: string): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', managedFields: [{ manager, operation: 'Update' }] },
      data: { colour },
    }),
  );

/** One key of a store that keeps every revision above `compacted`, as etcd answers for it. */
function storeOf(writes: readonly Write[], options: { compacted?: number; now?: number } = {}): EtcdClient {
  const { compacted = 0, now = Math.max(0, ...writes.map((each) => each.revision)) } = options;
  const keyValue = (each: Write) => ({
    modRevision: each.revision,
    version: each.version,
    value: each.colour === undefined ? new Uint8Array(0) : value(each.colour, `writer-${each.revision}`),
  });
  return {
    kv: {
      range: ({ revision = 0 }: { revision?: number }) => {
        if (revision !== 0 && revision < compacted)
          return Promise.reject(new EtcdError(grpcCode.outOfRange, compactedText));
        const at = writes.filter((each) => each.revision <= (revision || now)).at(-1);
        return Promise.resolve({
          header: { revision: now },
          kvs: at === undefined || at.colour === undefined ? [] : [keyValue(at)],
        });
      },
    },
    watcher: {
      watch: (request: WatchRequest, handler: WatchHandler) => {
        queueMicrotask(() => {
          if ((request.startRevision ?? 0) < compacted) {
            handler.onEnd(new EtcdError(grpcCode.outOfRange, compactedText, { compactRevision: compacted }));
            return;
          }
          handler.onCreated?.(now);
          const events = writes
            .filter((each) => each.revision >= (request.startRevision ?? 0))
            .map((each) => ({ type: each.colour === undefined ? 1 : 0, kv: keyValue(each) }));
          if (events.length > 0) handler.onEvents(events as never, now);
          handler.onProgress?.(now);
        });
        return { cancel: () => undefined };
      },
      requestProgress: () => undefined,
    },
  } as unknown as EtcdClient;
}

const options = { clock: nodeClock, revisionsMax: 10 };
const writes: Write[] = [
  { revision: 5, version: 1, colour: 'blue' },
  { revision: 9, version: 2, colour: 'green' },
  { revision: 20, version: 3, colour: 'red' },
];

test('an object is followed back to its creation', async () => {
  const history = await objectHistory(storeOf(writes), '/registry/a', options);
  assert.deepEqual(
    history.entries.map((each) => [
      each.revision,
      each.version,
      /colour: (\w+)/.exec(each.yaml)?.[1],
      each.writers[0],
    ]),
    [
      [20, 3, 'red', 'writer-20 (Update)'],
      [9, 2, 'green', 'writer-9 (Update)'],
      [5, 1, 'blue', 'writer-5 (Update)'],
    ],
  );
  assert.equal(history.end, 'created');
});

test('what was compacted away is said, and whose writes it was not', async () => {
  const history = await objectHistory(storeOf(writes, { compacted: 10 }), '/registry/a', options);
  assert.deepEqual(
    history.entries.map((each) => each.revision),
    [20, 9],
  );
  assert.equal(history.end, 'compacted');
  assert.deepEqual(history.entries[1]?.writers, []);
});

test('no more revisions than wanted', async () => {
  const history = await objectHistory(storeOf(writes), '/registry/a', { ...options, revisionsMax: 2 });
  assert.equal(history.entries.length, 2);
  assert.equal(history.end, 'limit');
});

test('of an object that is gone the events since the compaction are found', async () => {
  const gone = [...writes, { revision: 30, version: 0, colour: undefined }];
  const all = await objectHistory(storeOf(gone), '/registry/a', options);
  assert.deepEqual(
    all.entries.map((each) => [each.revision, each.kind]),
    [
      [30, 'delete'],
      [20, 'put'],
      [9, 'put'],
      [5, 'put'],
    ],
  );
  assert.equal(all.end, 'created');
  const late = await objectHistory(storeOf(gone, { compacted: 10 }), '/registry/a', options);
  assert.deepEqual(
    late.entries.map((each) => each.revision),
    [30, 20],
  );
  assert.equal(late.end, 'compacted');
  assert.deepEqual((await objectHistory(storeOf([], { now: 3 }), '/registry/a', options)).entries, []);
});
