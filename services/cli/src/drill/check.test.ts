import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHistory, checkWatch, longestGap } from './check.ts';
import type { History, Operation, Seen } from './model.ts';

const event = (name: string, value: number, revision: number, type = 'MODIFIED'): Seen => ({
  kind: 'event',
  type,
  name,
  value,
  revision: BigInt(revision),
});
const relist = (revision: number, items: Record<string, number> = {}): Seen => ({
  kind: 'relist',
  revision: BigInt(revision),
  items: new Map(Object.entries(items)),
});
const acked = (name: string, value: number, revision: number) => ({
  name,
  value,
  revision: BigInt(revision),
});

const empty: History = {
  operations: [],
  acknowledged: [],
  staleReads: [],
  watchers: [],
  pods: [],
  final: new Map(),
  pendingPods: [],
};

test('an acknowledged write that is gone or older is lost; a newer value is not', () => {
  const acknowledged = [acked('a', 1, 10), acked('a', 2, 11), acked('b', 1, 12), acked('c', 3, 13)];
  const final = new Map([
    ['a', { value: 1, revision: 10n }],
    ['c', { value: 4, revision: 20n }],
  ]);
  const { lost } = checkHistory({ ...empty, acknowledged, final });
  assert.equal(lost.length, 2);
  assert.match(lost.join(), /a=2.*value is 1.*b=1/);
});

test('watchers: order, going back, a missed event, and what a relist covers', () => {
  assert.deepEqual(
    checkWatch([relist(5), event('a', 1, 6), event('a', 2, 7)], [acked('a', 1, 6), acked('a', 2, 7)]),
    [],
  );
  assert.match(
    checkWatch([relist(5), event('a', 2, 7)], [acked('a', 1, 6)]).join(),
    /a=1 at revision 6 is missing/,
  );
  assert.match(checkWatch([relist(5), event('a', 1, 7), event('b', 1, 7)], []).join(), /came after 7/);
  assert.match(
    checkWatch([relist(5), event('a', 2, 7), event('a', 1, 8)], []).join(),
    /went back from 2 to 1/,
  );
  assert.deepEqual(
    checkWatch([relist(5), event('b', 1, 6), relist(9, { a: 1, b: 1 })], [acked('a', 1, 8)]),
    [],
  );
  assert.match(checkWatch([relist(5), event('b', 2, 6), relist(9, { b: 1 })], []).join(), /in a list/);
  const final = new Map([['a', { value: 3, revision: 6n }]]);
  assert.match(
    checkWatch([relist(5), event('a', 1, 6)], [], final).join(),
    /a is 3, and the watcher knows 1/,
  );
  // After its end a watcher owes nothing.
  assert.deepEqual(checkWatch([relist(5), event('a', 1, 6)], [acked('a', 2, 7)]), []);
});

test('one pod on two nodes', () => {
  const pods = [
    { uid: 'u', name: 'p', node: '' },
    { uid: 'u', name: 'p', node: 'n1' },
    { uid: 'u', name: 'p', node: 'n1' },
  ];
  assert.deepEqual(checkHistory({ ...empty, pods }).doubleBinds, []);
  assert.equal(
    checkHistory({ ...empty, pods: [...pods, { uid: 'u', name: 'p', node: 'n2' }] }).doubleBinds.length,
    1,
  );
});

test('the longest gap counts both ends', () => {
  const at = (endMs: number, ok = true): Operation => ({
    kind: 'write',
    startMs: endMs - 1,
    endMs,
    ok,
    retried: false,
  });
  const operations = [at(100), at(200), at(250, false), at(700), at(800)];
  assert.equal(longestGap(operations, 'write', 150, 900), 500);
  assert.equal(longestGap(operations, 'write', 750, 2000), 1200);
  assert.equal(longestGap(operations, 'read', 100, 400), 300);
});
