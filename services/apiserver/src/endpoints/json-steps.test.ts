import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSteps } from '@pilothouse/base';
import { jsonSteps } from './json-steps.ts';

void test('JSON in steps is the JSON of one go', () => {
  const value = {
    openapi: '3.0.0',
    none: {},
    absent: undefined,
    null: null,
    list: [1, { a: 'b' }],
    'with "quotes"': { nested: { deep: { deeper: 'ü\u2028' } }, empty: [], absent: undefined },
    long: Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, 'x'.repeat(50)])),
  };
  for (const depth of [0, 1, 2, 3, 9])
    assert.equal(runSteps(jsonSteps(value, depth)).toString(), JSON.stringify(value));
  assert.equal(runSteps(jsonSteps({ large: 2n ** 60n }, 1)).toString(), '{"large":1152921504606846976}');
});
