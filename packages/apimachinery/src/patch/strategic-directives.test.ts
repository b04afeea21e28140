import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldSelector, parseFieldSelector } from '../fields.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

const registry = { message: () => undefined, kind: () => undefined };
const merge = (original: object, patch: object): unknown =>
  applyStrategicMergePatch(original as never, patch as never, {
    registry,
    message: { name: 'x', fields: [] },
  });

test('what the original does not have is taken as it is, but for what $patch stands in', () => {
  assert.deepEqual(merge({}, { labels: { $retainKeys: ['a'], a: 'b' } }), {
    labels: { $retainKeys: ['a'], a: 'b' },
  });
  assert.deepEqual(merge({}, { owners: [{ $patch: 'bogus', uid: 'x' }, { uid: 'y' }] }), {
    owners: [{ uid: 'y' }],
  });
  assert.deepEqual(merge({ labels: { c: 'd' } }, { labels: { $retainKeys: ['a'], a: 'b' } }), {
    labels: { a: 'b' },
  });
});

test('a field selector without field and value selects everything', () => {
  assert.deepEqual(
    parseFieldSelector('=,metadata.name=a'),
    new FieldSelector([{ field: 'metadata.name', operator: '=', value: 'a' }]),
  );
});
