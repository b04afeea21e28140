import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { IdMap } from './id-map.ts';
import { Members } from './members.ts';

/** A small generator of its own: the same numbers in each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

void test('answers as a Map does, whatever comes and goes', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const next = numbers(seed);
    const ours = new IdMap<number>();
    const map = new Map<number, number>();
    // Few ids, many ids, ids a power of two apart, ids beyond 2^32.
    const idOf = [() => next(12), () => next(500), () => next(60) * 1024, () => 2 ** 32 * next(9) + next(3)][
      seed % 4
    ] as () => number;
    for (let step = 0; step < 3000; step++) {
      const id = idOf();
      const choice = next(100);
      if (choice === 0 && next(20) === 0) {
        ours.clear();
        map.clear();
      } else if (choice < 50) {
        ours.set(id, step);
        map.set(id, step);
      } else if (choice < 90) assert.equal(ours.delete(id), map.delete(id));
      assert.equal(ours.get(id), map.get(id));
      assert.equal(ours.has(id), map.has(id));
      assert.equal(ours.size, map.size);
    }
    assert.deepEqual(ours.values(), [...map.values()]);
  }
});

void test('members leave in any order, once', () => {
  const members = new Members<string>();
  const [a, b, c] = ['a', 'b', 'c'].map((each) => members.add(each));
  assert.deepEqual(members.values(), ['a', 'b', 'c']);
  b?.leave();
  b?.leave();
  assert.deepEqual([members.size, members.first?.value, members.values()], [2, 'a', ['a', 'c']]);
  a?.leave();
  assert.equal(members.first?.value, 'c');
  members.add('d');
  c?.leave();
  assert.deepEqual(members.values(), ['d']);
  members.clear();
  assert.deepEqual([members.size, members.first, members.values()], [0, undefined, []]);
  members.add('e');
  assert.deepEqual(members.values(), ['e']);
});

void test('what has left is not promoted by those that grew old', () => {
  const oldBytes = (): number =>
    getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? 0;
  const template = Array.from({ length: 2000 }).fill(0);
  /** Enough garbage for about ten scavenges each time, so that what is kept grows old. */
  const promoted = (comeAndGo: (index: number, item: object) => void): number => {
    let index = 0;
    comeAndGo(index++, {});
    const garbage = Array.from({ length: 8000 }, () => template.slice().length);
    const before = oldBytes();
    for (; index <= garbage.length; index++) comeAndGo(index, { payload: template.slice() });
    return oldBytes() - before;
  };
  const map = new IdMap<object>();
  const members = new Members<object>();
  const set = new Set<object>();
  const byMap = promoted((index, item) => {
    map.set(index, item);
    map.delete(index);
  });
  const byMembers = promoted((_, item) => members.add(item).leave());
  const bySet = promoted((_, item) => {
    set.add(item);
    set.delete(item);
  });
  assert.ok(byMap < 200_000, `${byMap} bytes were promoted by the map`);
  assert.ok(byMembers < 200_000, `${byMembers} bytes were promoted by the members`);
  // If this fails, V8 has mended it, and a Map and a Set will do again.
  assert.ok(bySet > 400_000, `only ${bySet} bytes were promoted by a Set`);
});
