import { test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeClock } from '@pilothouse/host';
import { SeededRandom } from '@pilothouse/testkit';
import { backendSuites } from '../../core/backend-conformance.ts';
import type { Backend, BackendImage } from '../../core/backend.ts';
import { MemoryBackend } from '../../core/memory-backend.ts';
import { LmdbBackend } from './lmdb-backend.ts';
import { BackendError, seal, unseal } from './sealed-value.ts';

const temporary = (): string => fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-backend-'));
const check = (actual: unknown, expected: unknown, what: string): void =>
  assert.deepEqual(actual, expected, what);

for (const suite of backendSuites) {
  test(`MemoryBackend ${suite.name}`, () => suite.run(() => Promise.resolve(new MemoryBackend()), check));
  test(`LmdbBackend ${suite.name}`, async () => {
    const directory = temporary();
    const opened: Backend[] = [];
    try {
      await suite.run(async () => {
        const backend = new LmdbBackend({ directory, clock: nodeClock });
        opened.push(backend);
        return Promise.resolve(backend);
      }, check);
    } finally {
      for (const backend of opened) await backend.close();
      fs.rmSync(directory, { recursive: true });
    }
  });
}

test('LmdbBackend keeps flushed state over a restart, also after defragmentation', async () => {
  const directory = temporary();
  let backend = new LmdbBackend({ directory, clock: nodeClock });
  backend.writeRevision(2, 0, Uint8Array.of(1));
  backend.writeRecord('meta/applied', Uint8Array.of(7));
  await backend.close();
  backend = new LmdbBackend({ directory, clock: nodeClock });
  assert.deepEqual([...(backend.readRecord('meta/applied') as Uint8Array)], [7]);
  await backend.defragment();
  backend.writeRevision(3, 0, Uint8Array.of(2));
  await backend.close();
  backend = new LmdbBackend({ directory, clock: nodeClock });
  assert.deepEqual(
    [...backend.scanRevisions(0, 10)].map(({ main }) => main),
    [2, 3],
  );
  await backend.close();
  fs.rmSync(directory, { recursive: true });
});

test('LmdbBackend cuts much at once between entries, reads it back as it was written, and flushes all of it', async () => {
  const directory = temporary();
  let commits = 0;
  const backend = new LmdbBackend({ directory, clock: nodeClock, onCommit: () => commits++ });
  const one = (value: number): Uint8Array => Uint8Array.of(value);
  for (let entry = 1; entry <= 60; entry++) {
    backend.entryDone();
    backend.writeRecord('meta/applied', one(entry));
    for (let sub = 0; sub < 200; sub++) backend.writeRevision(entry, sub, one(entry));
    // What an entry wrote is taken back or changed two entries later.
    if (entry > 2) {
      for (let sub = 0; sub < 100; sub++) backend.deleteRevision(entry - 2, sub);
      backend.writeRevision(entry - 2, 150, one(200));
    }
    if (entry % 7 === 0) await sleep(3);
    for (let back = 2; back < entry; back++) {
      assert.equal(backend.readRevision(entry - back, 99), undefined);
      assert.equal(backend.readRevision(entry - back, 150)?.[0], 200);
    }
    assert.equal(backend.readRecord('meta/applied')?.[0], entry);
  }
  const counts = (): number[] => {
    const mains = [...backend.scanRevisions(0, 1e9)].map(({ main }) => main);
    return [mains.length, mains.filter((main) => main === 3).length];
  };
  assert.deepEqual(counts(), [58 * 100 + 2 * 200, 100]);
  await backend.flush();
  assert.deepEqual(counts(), [58 * 100 + 2 * 200, 100]);
  assert.ok(commits >= 10, `${commits} transactions`);
  await backend.close();
  fs.rmSync(directory, { recursive: true });
});

test('LmdbBackend reads the same whatever part of it LMDB is writing', async () => {
  const directory = temporary();
  const backend = new LmdbBackend({ directory, clock: nodeClock, batchIntervalMs: 1, batchLimit: 50 });
  const model = new MemoryBackend();
  const both: readonly Backend[] = [backend, model];
  const random = new SeededRandom(7);
  const all = (state: Pick<BackendImage, 'records' | 'revisions'>): unknown => ({
    records: [...state.records()].map(([key, bytes]) => [key, [...bytes]]),
    revisions: [...state.revisions()].map(({ main, sub, bytes }) => [main, sub, [...bytes]]),
  });
  const now = (each: Backend): unknown =>
    all({ records: () => each.scanRecords(''), revisions: () => each.scanRevisions(0, Infinity) });
  let main = 1;
  const images: { readonly image: BackendImage; readonly expected: unknown }[] = [];
  for (let step = 0; step < 1500; step++) {
    const bytes = Uint8Array.of(step & 255, step >> 8);
    const choice = random.integer(100);
    if (choice < 60) {
      main++;
      for (const each of both) each.writeRevision(main, step % 3, bytes);
    } else if (choice < 75) {
      const gone = 1 + random.integer(main);
      for (let sub = 0; sub < 3; sub++) for (const each of both) each.deleteRevision(gone, sub);
    } else if (choice < 95) {
      const key = `r/${random.integer(20)}`;
      if (choice < 90) for (const each of both) each.writeRecord(key, bytes);
      else for (const each of both) each.deleteRecord(key);
    } else if (choice < 97) images.push({ image: backend.snapshot(), expected: now(model) });
    else if (choice === 97) await sleep(random.integer(4));
    else if (choice === 98 && step % 5 === 0) {
      for (const each of both) {
        const next = each.replacement();
        next.writeRevision(step, 0, Uint8Array.of(step & 255));
        await next.install(() => {});
      }
    } else if (choice === 99 && step % 7 === 0) await backend.flush();
    const at = 1 + random.integer(main);
    const [ours, expected] = both
      .map((each) => [each.readRevision(at, 0), each.readRecord('r/3')])
      .map((pair) => pair.map((value) => value && [...value])) as [unknown, unknown];
    assert.deepEqual(ours, expected, `step ${step}`);
    if (step % 50 === 0) assert.deepEqual(now(backend), now(model), `step ${step}`);
  }
  for (const { image, expected } of images) {
    assert.deepEqual(all(image), expected);
    image.release();
  }
  await backend.close();
  const again = new LmdbBackend({ directory, clock: nodeClock });
  assert.deepEqual(now(again), now(model));
  await again.close();
  fs.rmSync(directory, { recursive: true });
});

test('a changed byte of a stored value is found, and nothing of it is served', async () => {
  const directory = temporary();
  let backend = new LmdbBackend({ directory, clock: nodeClock });
  for (let main = 1; main <= 100; main++)
    backend.writeRevision(main, 0, Buffer.from(`a value of its own, ${main}`));
  backend.writeRecord('meta/applied', Buffer.from('another value'));
  await backend.flush();
  await backend.close();
  const file = path.join(directory, 'data.mdb');
  const bytes = fs.readFileSync(file);
  // Every copy: pages that are not in use any more may hold one too.
  for (const text of ['own, 42', 'another value']) {
    let flips = 0;
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1), flips++)
      bytes[at] = (bytes[at] as number) ^ 1;
    assert.ok(flips > 0);
  }
  fs.writeFileSync(file, bytes);
  const told: string[] = [];
  backend = new LmdbBackend({ directory, clock: nodeClock, onDamage: ({ message }) => told.push(message) });
  assert.throws(() => backend.readRevision(42, 0), BackendError);
  assert.throws(() => [...backend.scanRevisions(40, 50)], BackendError);
  assert.throws(() => backend.readRecord('meta/applied'), BackendError);
  assert.equal([...backend.scanRevisions(43, 100)].length, 58);
  assert.equal(told.length, 3);
  assert.match(told[0] ?? '', /data\.mdb, revision 42: its checksum does not match\. Remove this member/);
  await backend.close();
  fs.rmSync(directory, { recursive: true });
});

test('a value under another key does not pass', () => {
  const sealed = seal(Uint8Array.of(1), Uint8Array.of(7, 8));
  assert.deepEqual([...(unseal(Uint8Array.of(1), sealed) as Uint8Array)], [7, 8]);
  assert.equal(unseal(Uint8Array.of(2), sealed), undefined);
  assert.equal(unseal(Uint8Array.of(1), sealed.subarray(0, 3)), undefined);
});

/** A state of 3000 revisions, closed, with some of its pages changed. */
async function damaged(change: (bytes: Buffer) => Buffer): Promise<string> {
  const directory = temporary();
  const backend = new LmdbBackend({ directory, clock: nodeClock });
  for (let main = 1; main <= 3000; main++) backend.writeRevision(main, 0, Buffer.alloc(120, main & 255));
  await backend.flush();
  await backend.close();
  const file = path.join(directory, 'data.mdb');
  fs.writeFileSync(file, change(fs.readFileSync(file)));
  return directory;
}

test('a page that hides entries is found, and no short state is served', async () => {
  // The page above the leaves, which is branch (1) at offset 18: without its last keys.
  const directory = await damaged((bytes) => {
    for (let page = 2; page * 4096 < bytes.length; page++) {
      const at = page * 4096;
      if (bytes.readUInt16LE(at + 18) === 1) bytes.writeUInt16LE(bytes.readUInt16LE(at + 20) - 8, at + 20);
    }
    return bytes;
  });
  const backend = new LmdbBackend({ directory, clock: nodeClock });
  const scan = (): unknown => [...backend.scanRevisions(0, Number.MAX_SAFE_INTEGER)];
  assert.throws(scan, /of 3000 revisions can be found: a page is damaged\. Remove this member/);
  const image = backend.snapshot();
  assert.throws(() => [...image.revisions()], /of 3000 revisions can be found/);
  image.release();
  fs.rmSync(directory, { recursive: true });
});

test('a start after one that ended while it read tells of damage at which LMDB ends the process', async () => {
  const directory = await damaged((bytes) => bytes.subarray(0, bytes.length / 2));
  fs.writeFileSync(path.join(directory, 'starting'), '');
  const start = (): unknown => new LmdbBackend({ directory, clock: nodeClock, isProbed: true });
  assert.throws(start, /The state is damaged: .*data\.mdb, reading it ends the process.*Remove this member/);
  fs.rmSync(directory, { recursive: true });

  const sound = await damaged((bytes) => bytes);
  fs.writeFileSync(path.join(sound, 'starting'), '');
  const backend = new LmdbBackend({ directory: sound, clock: nodeClock, isProbed: true });
  assert.equal([...backend.scanRevisions(0, Number.MAX_SAFE_INTEGER)].length, 3000);
  backend.started();
  assert.equal(fs.existsSync(path.join(sound, 'starting')), false);
  await backend.close();
  fs.rmSync(sound, { recursive: true });
});
