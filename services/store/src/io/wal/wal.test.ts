import { test } from 'node:test';
import assert from 'node:assert/strict';
import { SeededRandom, SimulatedDisk } from '@pilothouse/testkit';
import { emptyConfig } from '@pilothouse/raft';
import type { Entry, HardState, LogIndex, MemberId, Term } from '@pilothouse/raft';
import { crc32c } from '../../core/crc32c.ts';
import { WalError, WalWriter, createWal, encodeBatch, openWal } from './wal.ts';
import type { WalBatch } from './wal.ts';

const metadata = { clusterId: 5n, memberId: 6n };
const options = { segmentBytes: 8192 };
const directory = '/wal';

const entry = (index: number, term = 1, bytes = 100): Entry => ({
  kind: 'normal',
  index: index as LogIndex,
  term: term as Term,
  payload: new Uint8Array(Buffer.alloc(bytes, `${index}/${term} `)),
});
const entries = (from: number, to: number, term = 1): Entry[] =>
  Array.from({ length: to - from + 1 }, (_, at) => entry(from + at, term));

function fresh(seed = 1): {
  disk: SimulatedDisk;
  writer: WalWriter;
  put: (batch: Partial<WalBatch>) => void;
} {
  const disk = new SimulatedDisk(new SeededRandom(seed));
  const writer = new WalWriter(disk, directory, createWal(disk, directory, metadata, options), options);
  const put = (batch: Partial<WalBatch>): void => {
    writer.append(encodeBatch({ entries: [], ...batch }));
    writer.sync();
  };
  return { disk, writer, put };
}

const segments = (disk: SimulatedDisk): string[] =>
  disk.list(directory).filter((name) => name.endsWith('.wal'));

test('crc32c() gives the published check value', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(Buffer.from('56789'), crc32c(Buffer.from('1234'))), 0xe3069283);
});

test('a log reads back what was written, over several segments, the last version of overwritten entries', () => {
  const { disk, put } = fresh();
  const hardState: HardState = { term: 2 as Term, vote: 9n as MemberId, commit: 150 as LogIndex };
  for (let index = 1; index <= 200; index += 10) put({ entries: entries(index, index + 9) });
  put({ entries: entries(151, 160, 2), hardState });
  assert.ok(segments(disk).length > 2);
  const contents = openWal(disk, directory);
  assert.deepEqual(contents.metadata, metadata);
  assert.deepEqual(contents.hardState, hardState);
  assert.deepEqual(
    contents.entries.map((item) => `${item.index}/${item.term}`),
    [...entries(1, 150), ...entries(151, 160, 2)].map((item) => `${item.index}/${item.term}`),
  );
  assert.equal(contents.repairedBytes, 0);
});

test('segments up to a snapshot are released, and what is left opens', () => {
  const { disk, writer, put } = fresh();
  for (let index = 1; index <= 200; index += 10) put({ entries: entries(index, index + 9) });
  const before = segments(disk).length;
  const config = { ...emptyConfig, voters: [6n as MemberId] };
  put({ snapshot: { index: 180 as LogIndex, term: 1 as Term, config, members: Buffer.from('list') } });
  writer.release(180);
  assert.ok(segments(disk).length < before);
  const contents = openWal(disk, directory);
  assert.equal(contents.snapshot?.index, 180);
  assert.deepEqual(contents.snapshot.config, config);
  assert.deepEqual(
    contents.entries.map(({ index }) => index),
    entries(181, 200).map(({ index }) => index),
  );
});

test('after a power cut everything synced is there, and the torn rest is cut off', () => {
  let repaired = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SeededRandom(seed);
    const { disk, writer, put } = fresh(seed);
    let last = 0;
    for (let batch = random.integer(12); batch > 0; batch--) {
      put({ entries: entries(last + 1, last + 5) });
      last += 5;
    }
    let unsynced = last;
    for (let batch = 1 + random.integer(4); batch > 0; batch--) {
      writer.append(encodeBatch({ entries: [entry(++unsynced, 1, random.integer(3000))] }));
    }
    disk.crash();
    const contents = openWal(disk, directory);
    if (contents.repairedBytes > 0) repaired++;
    assert.ok(
      contents.entries.length >= last,
      `seed ${seed}: ${contents.entries.length} of ${last} synced entries`,
    );
    for (const [at, item] of contents.entries.entries()) assert.equal(item.index, at + 1);
    // The log goes on from there, and a second reading agrees.
    const next = contents.entries.length + 1;
    const again = new WalWriter(disk, directory, contents.position, options);
    again.append(encodeBatch({ entries: [entry(next, 2)] }));
    again.sync();
    assert.equal(openWal(disk, directory).entries.length, next, `seed ${seed}`);
  }
  assert.ok(repaired > 50, `torn tails occur, got ${repaired}`);
});

test('a flipped bit in synced records is refused with the file and offset, wherever it is', () => {
  let refused = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const random = new SeededRandom(seed);
    const { disk, put } = fresh(seed);
    for (let index = 1; index <= 41; index += 10) put({ entries: entries(index, index + 9) });
    const names = segments(disk);
    const name = random.pick(names);
    const file = disk.open(`${directory}/${name}`, 'read');
    const used = file.read(0, file.size());
    let end = used.length;
    while (end > 0 && used[end - 1] === 0) end--;
    disk.flipBit(`${directory}/${name}`, random.integer(end), random.integer(8));
    try {
      const contents = openWal(disk, directory);
      // Padding carries nothing; anything else must not go unnoticed.
      assert.deepEqual(contents.entries, entries(1, 50), `seed ${seed}`);
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
      refused++;
      assert.match(error.message, /WAL is damaged: \/wal\/.*offset \d+/);
      assert.match(error.message, /Remove this member/);
    }
  }
  assert.ok(refused > 100, `damage is found, ${refused} times`);
});

test('a missing segment is refused', () => {
  const { disk, put } = fresh();
  for (let index = 1; index <= 200; index += 10) put({ entries: entries(index, index + 9) });
  disk.remove(`${directory}/${segments(disk)[1]}`);
  assert.throws(() => openWal(disk, directory), /segment 1 is missing/);
});
