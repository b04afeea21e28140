import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectorValue } from './workload.ts';

test('messages print the labels of a selector in order', () => {
  assert.equal(
    JSON.stringify(selectorValue({ matchLabels: { b: '1', All: '2' }, matchExpressions: [{ key: 'k' }] })),
    '{"matchLabels":{"All":"2","b":"1"},"matchExpressions":[{"key":"k","operator":""}]}',
  );
});
