import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { nodeDisk } from '@pilothouse/host';
import { emptyConfig } from '@pilothouse/raft';
import type { Entry, LogIndex, Term } from '@pilothouse/raft';
import { RingReader, ringMemory, RingWriter } from './shared-ring.ts';
import { ThreadLogWriter } from './thread-log-writer.ts';
import { createWal, encodeBatch, openWal } from './wal.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'wal-thread-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

const wal = { segmentBytes: 64 * 1024 };
const metadata = { clusterId: 5n, memberId: 6n };
const entry = (index: number, bytes: number): Entry => ({
  kind: 'normal',
  index: index as LogIndex,
  term: 1 as Term,
  payload: new Uint8Array(Buffer.alloc(bytes, `${index} `)),
});

test('a ring gives back what was written, around its end, and refuses what does not fit', () => {
  const memory = ringMemory(1024);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory);
  const record = (bytes: number) => ({ type: 2 as const, payload: new Uint8Array(bytes).fill(bytes) });
  for (let id = 1; id <= 2000; id++) {
    const records = [record(id % 200), record(id % 7)];
    assert.ok(writer.tryWrite('append', id, records), `append ${id}`);
    const [request, ...rest] = reader.take();
    assert.equal(rest.length, 0);
    assert.equal(request?.kind, 'append');
    assert.equal(request.id, id);
    assert.deepEqual(
      request.records.map(({ type, payload }) => ({ type, payload: new Uint8Array(payload) })),
      records,
    );
    reader.release();
  }
  let count = 0;
  while (writer.tryWrite('append', count, [record(100)])) count++;
  assert.ok(count >= 6 && count <= 8, `${count} fit`);
  assert.equal(reader.take().length, count);
  assert.equal(writer.tryWrite('append', 1, [record(100)]), false, 'taken is not released');
  reader.release();
  assert.ok(writer.tryWrite('release', 0, [], 2 ** 40 + 5));
  assert.deepEqual(
    reader.take().map(({ kind, index }) => ({ kind, index })),
    [{ kind: 'release', index: 2 ** 40 + 5 }],
  );
});

test('each sync is told once', () => {
  const memory = ringMemory(1024);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory);
  const seen: number[] = [];
  for (let sync = 1; sync <= 100; sync++) {
    reader.noteSync(sync);
    if (sync % 7 === 0) writer.takeSyncs((seconds) => seen.push(seconds));
  }
  writer.takeSyncs((seconds) => seen.push(seconds));
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, at) => at + 1),
  );
});

test('the thread makes batches durable in order, also when they are larger than the ring or fill it', async () => {
  const directory = path.join(root, 'order');
  const position = createWal(nodeDisk, directory, metadata, wal);
  const syncs: number[] = [];
  const writer = new ThreadLogWriter({
    directory,
    position,
    wal,
    ringBytes: 4096,
    onError: (error) => assert.fail(error),
    onSync: (seconds) => syncs.push(seconds),
  });
  const done: number[] = [];
  let last = 0;
  await new Promise<void>((resolve) => {
    const rounds = 30;
    let open = 0;
    for (let round = 0; round < rounds; round++) {
      for (const bytes of [10, 700, 5000, 0, 1500, 300]) {
        const index = ++last;
        open++;
        writer.append(encodeBatch({ entries: [entry(index, bytes)] }), index % 5 !== 0, () => {
          done.push(index);
          if (--open === 0) resolve();
        });
      }
    }
  });
  assert.deepEqual(
    done,
    Array.from({ length: last }, (_, at) => at + 1),
  );
  assert.ok(syncs.length > 0 && syncs.every((seconds) => seconds > 0 && seconds < 10));
  const snapshot = {
    index: 100 as LogIndex,
    term: 1 as Term,
    config: emptyConfig,
    members: new Uint8Array(0),
  };
  writer.append(encodeBatch({ entries: [], snapshot }), true, () => {});
  writer.release(100);
  await writer.close();
  assert.ok(!fs.existsSync(path.join(directory, '0000000000000000-0000000000000001.wal')));
  const contents = openWal(nodeDisk, directory);
  assert.equal(contents.position.nextIndex, last + 1);
  const sizes = [300, 10, 700, 5000, 0, 1500];
  assert.equal(contents.entries.length, last - 100);
  for (const item of contents.entries) {
    assert.equal(item.kind === 'normal' && item.payload.length, sizes[item.index % 6], `entry ${item.index}`);
  }
});

test('a thread that is abandoned while it sleeps ends', async () => {
  const directory = path.join(root, 'abandoned');
  const position = createWal(nodeDisk, directory, metadata, wal);
  const writer = new ThreadLogWriter({ directory, position, wal, onError: (error) => assert.fail(error) });
  await new Promise<void>((resolve) =>
    writer.append(encodeBatch({ entries: [entry(1, 10)] }), true, resolve),
  );
  writer.abandon();
  await writer.close();
});

test('a disk that fails is told', async () => {
  const directory = path.join(root, 'failing');
  const position = createWal(nodeDisk, directory, metadata, wal);
  fs.rmSync(directory, { recursive: true });
  const error = await new Promise<Error>((resolve) => {
    const writer = new ThreadLogWriter({ directory, position, wal, onError: resolve });
    writer.append(encodeBatch({ entries: [entry(1, 10)] }), true, () => assert.fail('nothing is durable'));
  });
  assert.match(error.message, /Cannot write the WAL in .*failing: .*ENOENT/);
});
