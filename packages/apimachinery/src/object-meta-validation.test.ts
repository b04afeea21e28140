import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatGoDuration, formatTime, humanDuration, parseGoDuration, parseTime } from './time.ts';
import { validateObjectMeta, validateObjectMetaUpdate } from './object-meta-validation.ts';
import { generateName } from './random-suffix.ts';

const texts = (errors: readonly { field: string; message: string }[]): string[] =>
  errors.map((error) => `${error.field}: ${error.message}`);

test('metadata of a new object is checked with the texts of upstream', () => {
  assert.deepEqual(texts(validateObjectMeta({ namespace: 'a' }, { namespaced: true })), [
    'metadata.name: Required value: name or generateName is required',
  ]);
  assert.deepEqual(texts(validateObjectMeta({ name: 'a', namespace: 'b' }, { namespaced: false })), [
    'metadata.namespace: Forbidden: not allowed on this type',
  ]);
  assert.deepEqual(texts(validateObjectMeta({ name: 'a', finalizers: ['bad'] }, { namespaced: false })), [
    'metadata.finalizers[0]: Invalid value: "bad": name is neither a standard finalizer name nor is it fully qualified',
  ]);
  assert.deepEqual(
    texts(
      validateObjectMeta({ name: 'a', finalizers: ['orphan', 'foregroundDeletion'] }, { namespaced: false }),
    ),
    [
      'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set',
    ],
  );
  assert.deepEqual(
    texts(
      validateObjectMeta(
        { name: 'a', ownerReferences: [{ apiVersion: 'v1', kind: 'Event', name: 'e', uid: 'u' }] },
        { namespaced: false },
      ),
    ),
    [
      'metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"e","uid":"u"}: /v1, Kind=Event is disallowed from being an owner',
    ],
  );
  assert.deepEqual(
    texts(validateObjectMeta({ name: 'a', annotations: { b: 'x'.repeat(262144) } }, { namespaced: false })),
    ['metadata.annotations: Too long: may not be more than 262144 bytes'],
  );
  assert.deepEqual(texts(validateObjectMeta({ name: 'a', generateName: 'a-' }, { namespaced: false })), []);
});

test('identity of an object cannot change, and a dying object gets no finalizers', () => {
  const old = {
    name: 'a',
    uid: 'u',
    resourceVersion: '1',
    deletionTimestamp: '2024-01-01T00:00:00Z',
    finalizers: ['x/y'],
  };
  assert.deepEqual(
    texts(validateObjectMetaUpdate({ ...old, uid: 'x', finalizers: ['x/y', 'example.com/g'] }, old)),
    [
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/g"}',
      'metadata.uid: Invalid value: "x": field is immutable',
    ],
  );
});

test('a generated name has a suffix and fits 63 characters', () => {
  let next = 0;
  const random = { integer: (bound: number) => next++ % bound } as never;
  assert.equal(generateName('a-', random), 'a-bcdfg');
  assert.equal(generateName('x'.repeat(80), random).length, 63);
});

test('times and durations', () => {
  assert.equal(parseTime('2024-02-29T10:00:00.5+02:00'), Date.UTC(2024, 1, 29, 8, 0, 0, 500));
  assert.equal(parseTime('2023-02-29T10:00:00Z'), undefined);
  assert.equal(parseTime('2024-01-01'), undefined);
  assert.equal(formatTime(0), '1970-01-01T00:00:00Z');
  const cases: [number, string][] = [
    [0, '0s'],
    [-1000, '0s'],
    [-2000, '<invalid>'],
    [119, '119s'],
    [120, '2m'],
    [312, '5m12s'],
    [3600, '60m'],
    [3 * 3600 + 60, '3h1m'],
    [9 * 3600, '9h'],
    [49 * 3600, '2d1h'],
    [10 * 86400, '10d'],
    [800 * 86400, '2y70d'],
    [4000 * 86400, '10y'],
  ];
  for (const [seconds, expected] of cases)
    assert.equal(humanDuration(seconds < 0 ? seconds : seconds * 1000), expected);
  assert.equal(parseGoDuration('1h30m'), 5_400_000);
  assert.equal(parseGoDuration('5'), undefined);
  assert.equal(formatGoDuration(5_400_000), '1h30m0s');
  assert.equal(formatGoDuration(1500), '1.5s');
});
