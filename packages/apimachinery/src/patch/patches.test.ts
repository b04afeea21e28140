import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageSchema, SchemaRegistry } from '../schema.ts';
import { StatusError } from '../status-error.ts';
import { applyJsonPatch, decodeJsonPatch } from './json-patch.ts';
import { applyMergePatch, decodeMergePatch } from './merge-patch.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

const scalar = { kind: 'scalar', scalar: 'string' } as const;
const messages: MessageSchema[] = [
  {
    name: 'Spec',
    fields: [
      { name: 'replicas', number: 1, type: { kind: 'scalar', scalar: 'int32' } },
      {
        name: 'containers',
        number: 2,
        type: { kind: 'list', element: { kind: 'message', message: 'Container' } },
        patchStrategy: 'merge',
        patchMergeKey: 'name',
      },
      { name: 'args', number: 3, type: { kind: 'list', element: scalar } },
      { name: 'finalizers', number: 4, type: { kind: 'list', element: scalar }, patchStrategy: 'merge' },
      { name: 'labels', number: 5, type: { kind: 'map', value: scalar } },
      {
        name: 'strategy',
        number: 6,
        type: { kind: 'message', message: 'Strategy' },
        patchStrategy: 'retainKeys',
      },
    ],
  },
  {
    name: 'Container',
    fields: [
      { name: 'name', number: 1, type: scalar },
      { name: 'image', number: 2, type: scalar },
    ],
  },
  { name: 'Strategy', fields: [{ name: 'type', number: 1, type: scalar }] },
];
const registry: SchemaRegistry = {
  message: (name) => messages.find((message) => message.name === name),
  kind: () => undefined,
};
const message = messages[0] as MessageSchema;
const strategic = (original: object, patch: object): unknown =>
  applyStrategicMergePatch(original as never, patch as never, { registry, message });
const code = (status: number) => (error: unknown) =>
  error instanceof StatusError && error.httpCode === status;

test('JSON patch operations apply in order to a copy', () => {
  const document = { a: [1, 2], 'b/c': { '~': 1 } };
  const patched = applyJsonPatch(document, [
    { op: 'add', path: '/a/-', value: 3 },
    { op: 'add', path: '/a/0', value: 0 },
    { op: 'remove', path: '/a/-1' },
    { op: 'copy', from: '/b~1c/~0', path: '/d' },
    { op: 'move', from: '/d', path: '/e' },
    { op: 'replace', path: '/a/1', value: 9 },
    { op: 'test', path: '/e', value: 1 },
    { op: 'test', path: '/none', value: null },
  ]);
  assert.deepEqual(patched, { a: [0, 9, 2], 'b/c': { '~': 1 }, e: 1 });
  assert.deepEqual(document, { a: [1, 2], 'b/c': { '~': 1 } });
  assert.deepEqual(
    applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { x: 1 } }]),
    JSON.parse('{"__proto__":{"x":1}}'),
  );
});

test('a JSON patch that does not apply is 422, one that is none 400, a huge one 413', () => {
  const bad = [
    { op: 'remove', path: '/none' },
    { op: 'add', path: '/none/x', value: 1 },
    { op: 'bogus', path: '/a' },
    { path: '/a' },
    { op: 'add' },
    { op: 'test', path: '/a', value: 2 },
    { op: 'remove', path: '/l/-' },
    { op: 'add', path: '/l/9', value: 1 },
  ];
  for (const operation of bad)
    assert.throws(() => applyJsonPatch({ a: 1, l: [1] }, [operation]), code(422), JSON.stringify(operation));
  assert.throws(() => decodeJsonPatch({}), {
    message:
      'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
  });
  assert.throws(() => decodeJsonPatch(Array(10_001).fill({})), code(413));
});

test('merge patch replaces, merges and deletes', () => {
  assert.deepEqual(
    applyMergePatch({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: null, e: { f: null } }, d: [2] }),
    { a: { c: 2, e: {} }, d: [2] },
  );
  assert.throws(() => decodeMergePatch([]), code(400));
});

test('strategic merge patch merges lists by key, in the order of the patch', () => {
  const original = {
    containers: [
      { name: 'a', image: '1' },
      { name: 'b', image: '1' },
    ],
    args: ['x'],
    finalizers: ['p', 'q'],
    labels: { a: '1', b: '2' },
  };
  assert.deepEqual(
    strategic(original, {
      containers: [{ name: 'b', image: '2' }],
      args: ['y'],
      finalizers: ['r'],
      labels: { a: null, c: '3' },
    }),
    {
      containers: [
        { name: 'a', image: '1' },
        { name: 'b', image: '2' },
      ],
      args: ['y'],
      finalizers: ['p', 'q', 'r'].sort((l, r) => (l === 'r' ? -1 : r === 'r' ? 1 : 0)),
      labels: { b: '2', c: '3' },
    },
  );
  assert.deepEqual(strategic(original, { containers: [{ name: 'a', $patch: 'delete' }] }), {
    ...original,
    containers: [{ name: 'b', image: '1' }],
  });
  assert.deepEqual(strategic(original, { containers: [{ $patch: 'replace' }, { name: 'c' }] }), {
    ...original,
    containers: [{ name: 'c' }],
  });
  assert.deepEqual(strategic(original, { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] }), {
    ...original,
    containers: [
      { name: 'b', image: '1' },
      { name: 'a', image: '1' },
    ],
  });
  assert.deepEqual(strategic(original, { '$deleteFromPrimitiveList/finalizers': ['p'] }), {
    ...original,
    finalizers: ['q'],
  });
  assert.deepEqual(strategic(original, { labels: { $patch: 'replace', z: '1' } }), {
    ...original,
    labels: { z: '1' },
  });
  assert.deepEqual(
    strategic({ strategy: { type: 'a', rolling: 1 } }, { strategy: { $retainKeys: ['type'], type: 'b' } }),
    { strategy: { type: 'b' } },
  );
});

test('a strategic merge patch with a flaw is refused as upstream does', () => {
  const original = { containers: [{ name: 'a' }] };
  assert.throws(() => strategic(original, { containers: [{ image: 'noname' }] }), {
    message: 'map: map[image:noname] does not contain declared merge key: name',
  });
  assert.throws(() => strategic(original, { containers: ['x'] }), {
    message: 'list element types are not identical: [[map[name:a]] [x]]',
  });
  assert.throws(() => strategic(original, { '$setElementOrder/containers': ['a'] }), {
    message: 'value for key 0 is not a map',
  });
  assert.throws(
    () =>
      strategic(original, { '$setElementOrder/containers': [{ name: 'b' }], containers: [{ name: 'a' }] }),
    {
      message:
        "The order in patch list:\n[map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n",
    },
  );
  assert.throws(() => strategic({ strategy: {} }, { strategy: { $retainKeys: ['type'], rolling: {} } }), {
    message: 'invalid patch format of retainKeys',
  });
});
