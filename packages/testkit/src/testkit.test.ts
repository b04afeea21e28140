import { test } from 'node:test';
import assert from 'node:assert/strict';
import { FakeClock } from './fake-clock.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { SimulatedNetwork, calmNetwork } from './simulated-network.ts';
import { checkRegisters } from './register-model.ts';
import type { KeyedOperation, RegisterInput, RegisterOutput } from './register-model.ts';
import { checkWatchSegment, EventHistory } from './watch-guarantees.ts';
import type { GotEvent, GotItem, WatchShape } from './watch-guarantees.ts';

test('FakeClock fires timers in order of time, then of setting, and knows cancelled ones', () => {
  const clock = new FakeClock();
  const fired: string[] = [];
  clock.setTimeout(() => fired.push('b'), 20);
  clock.setTimeout(() => fired.push('a'), 10);
  clock.setTimeout(() => fired.push('c'), 20);
  clock.setTimeout(() => fired.push('never'), 15).cancel();
  const interval = clock.setInterval(() => fired.push('tick'), 12);
  clock.advance(25);
  interval.cancel();
  clock.advance(100);
  assert.deepEqual(fired, ['a', 'tick', 'b', 'c', 'tick']);
  assert.equal(clock.monotonic(), 125);
});

test('SeededRandom repeats and is even', () => {
  const [one, two] = [new SeededRandom(5), new SeededRandom(5)];
  const counts = new Array<number>(10).fill(0);
  for (let n = 0; n < 10_000; n++) {
    const value = one.integer(10);
    assert.equal(two.integer(10), value);
    counts[value] = (counts[value] as number) + 1;
  }
  for (const count of counts) assert.ok(count > 850 && count < 1150, `counts ${counts.join()}`);
});

test('SimulatedDisk keeps what was synced and tears what was not', () => {
  let torn = 0;
  for (let seed = 1; seed <= 50; seed++) {
    const disk = new SimulatedDisk(new SeededRandom(seed));
    disk.makeDirectory('/d');
    const file = disk.open('/d/f', 'create');
    file.write(0, new Uint8Array(2048).fill(1));
    file.sync();
    disk.syncDirectory('/d');
    file.write(0, new Uint8Array(2048).fill(2));
    disk.open('/d/unnamed', 'create').sync();
    disk.crash();
    assert.throws(() => file.read(0, 1), { code: 'ESTALE' });
    const bytes = disk.open('/d/f', 'read').read(0, 4096);
    assert.equal(bytes.length, 2048);
    for (let at = 0; at < 2048; at += 512) assert.equal(new Set(bytes.subarray(at, at + 512)).size, 1);
    if (new Set(bytes).size === 2) torn++;
  }
  assert.ok(torn > 20, `some writes are torn, got ${torn}`);
});

test('SimulatedNetwork partitions, loses, repeats and tells of closed endpoints', () => {
  const clock = new FakeClock();
  const network = new SimulatedNetwork(clock, new SeededRandom(1));
  const received: string[] = [];
  const a = network.endpoint('a');
  const b = network.endpoint('b');
  b.onReceive((from, frame) => received.push(`${from}${frame[0]}`));
  let gone = '';
  a.onDisconnect((peer) => (gone = peer));
  a.send('b', Uint8Array.of(1));
  network.block('a', 'b');
  a.send('b', Uint8Array.of(2));
  clock.advance(100);
  assert.deepEqual(received, []);
  network.heal();
  network.faults = { ...calmNetwork, duplication: 1 };
  a.send('b', Uint8Array.of(3));
  clock.advance(100);
  assert.deepEqual(received, ['a3', 'a3']);
  network.close('b');
  clock.advance(100);
  assert.equal(gone, 'b');
});

let client = 0;
const operation = (
  call: number,
  end: number,
  input: RegisterInput,
  output: RegisterOutput | undefined,
): KeyedOperation => ({ key: 'k', client: ++client, call, end, input, output });
const put = (call: number, end: number, value: string, revision: number): KeyedOperation =>
  operation(call, end, { op: 'put', value }, { op: 'put', revision });
const get = (call: number, end: number, value: string | undefined, modRevision: number): KeyedOperation =>
  operation(call, end, { op: 'get' }, { op: 'get', value, modRevision });
const isLinearizable = (history: readonly KeyedOperation[]): boolean => checkRegisters(history) === undefined;

test('checkRegisters() accepts what real time allows and nothing else', () => {
  assert.ok(isLinearizable([put(0, 10, 'a', 2), get(5, 6, undefined, 0), get(7, 8, 'a', 2)]));
  assert.ok(
    !isLinearizable([put(0, 10, 'a', 2), get(5, 6, 'a', 2), get(7, 8, undefined, 0)]),
    'a value disappears',
  );
  assert.ok(!isLinearizable([put(0, 1, 'a', 2), put(2, 3, 'b', 3), get(4, 5, 'a', 2)]), 'a stale read');
  assert.ok(!isLinearizable([put(0, 1, 'a', 3), put(2, 3, 'b', 2)]), 'revisions go back');
  assert.ok(!isLinearizable([put(0, 1, 'a', 2), get(2, 3, 'a', 4)]), 'another mod revision');
  const lost = operation(0, Infinity, { op: 'put', value: 'x' }, undefined);
  assert.ok(
    isLinearizable([lost, put(1, 2, 'a', 2), get(3, 4, 'a', 2)]),
    'a write of unknown outcome never happened',
  );
  assert.ok(isLinearizable([lost, put(1, 2, 'a', 2), get(3, 4, 'x', 3)]), 'or happened late');
  assert.ok(!isLinearizable([lost, get(3, 4, 'x', 3), get(5, 6, undefined, 0)]), 'but not back and forth');
  const compare = (
    modRevision: number,
    succeeded: boolean,
    revision: number,
    value?: string,
  ): KeyedOperation =>
    operation(
      2,
      3,
      { op: 'compareAndPut', modRevision, value: 'c' },
      { op: 'compareAndPut', succeeded, revision, value },
    );
  assert.ok(isLinearizable([put(0, 1, 'a', 2), compare(2, true, 3)]));
  assert.ok(!isLinearizable([put(0, 1, 'a', 2), compare(0, true, 3)]), 'a compare that does not hold');
  assert.ok(isLinearizable([put(0, 1, 'a', 2), compare(0, false, 2, 'a')]));
  assert.ok(
    !isLinearizable([put(0, 1, 'a', 2), compare(2, false, 2, 'a')]),
    'a compare that holds and fails',
  );
});

test('checkWatchSegment() names the guarantee that is broken', () => {
  const history = new EventHistory();
  const event = (revision: number, key = 'k', more: Partial<GotEvent> = {}): GotEvent => ({
    revision,
    kind: 'put',
    key,
    value: `v${revision}`,
    createRevision: key === 'k' ? 2 : revision,
    version: key === 'k' ? ({ 2: 1, 3: 2, 6: 3 }[revision] ?? 1) : 1,
    previous: undefined,
    ...more,
  });
  for (const each of [event(2), event(3), event(4, 'a'), event(4, 'b'), event(6)]) history.push(each);
  const gone: GotEvent = {
    ...event(7, 'a'),
    kind: 'delete',
    value: undefined,
    createRevision: 0,
    version: 0,
  };
  history.push(gone);
  const events = (...list: GotEvent[]): GotItem => ({ kind: 'events', events: list });
  const progress = (revision: number): GotItem => ({ kind: 'progress', revision });
  const broken = (items: GotItem[], shape: Partial<WatchShape> = {}, isResumed = false): string[] =>
    checkWatchSegment(
      { where: 'here', startRevision: 3, isResumed, items },
      {
        shape: { key: undefined, prevKv: false, filter: undefined, ...shape },
        history,
        knownUpTo: 7,
        compacted: 0,
      },
    ).map(({ guarantee }) => guarantee);
  const four = [event(4, 'a'), event(4, 'b')];
  assert.deepEqual(broken([events(event(3)), progress(3), events(...four), progress(5)]), []);
  assert.deepEqual(broken([events(event(3)), events(event(6)), events(...four)]), ['ordered']);
  assert.deepEqual(broken([events(event(3)), events(...four), events(event(6)), events(event(6))]), [
    'unique',
  ]);
  assert.deepEqual(broken([events(event(3)), events(event(6))]), ['reliable']);
  assert.deepEqual(broken([events(...four)], {}, true), ['resumable']);
  assert.deepEqual(broken([events(event(3), event(4, 'a')), events(event(4, 'b'))]), ['atomic']);
  assert.deepEqual(broken([events(event(3), event(4, 'a'))]), ['atomic']);
  assert.deepEqual(broken([events(event(3)), progress(4)]), ['bookmarkable']);
  assert.deepEqual(broken([progress(3), events(event(3))]), ['bookmarkable']);
  assert.deepEqual(broken([events(event(3))], { prevKv: true }), ['prevKV']);
  const previous = { value: 'v2', modRevision: 2 };
  assert.deepEqual(broken([events(event(3, 'k', { previous }))], { prevKv: true }), []);
  assert.deepEqual(broken([events(event(3, 'k', { previous }))]), ['prevKV']);
  assert.deepEqual(broken([events(event(3, 'k', { createRevision: 3, version: 1 }))]), ['isCreate']);
  assert.deepEqual(
    broken([events(event(3)), events(...four), events(event(6)), events(gone)], { filter: 'delete' }),
    ['filter'],
  );
  assert.deepEqual(broken([events(event(3)), events(event(4, 'a'))], { key: 'k' }), ['filter']);
  assert.deepEqual(broken([events(event(3)), events(event(6))], { key: 'k' }), []);
});
