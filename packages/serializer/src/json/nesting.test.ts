import assert from 'node:assert/strict';
import { it } from 'node:test';

import { duplicateFields } from './ordered.ts';
import { parseJson } from './decode.ts';

const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

it('a document may be nested as deeply as Go lets it, and no deeper', () => {
  assert.doesNotThrow(() => parseJson(nested(9_999)));
  assert.throws(() => parseJson(nested(10_001)), /exceeded max depth/);
  assert.throws(() => parseJson('['.repeat(50_000)), /exceeded max depth/);
});

it('brackets in texts are no nesting', () => {
  assert.doesNotThrow(() => parseJson(JSON.stringify({ a: '[{"\\\\"'.repeat(5_000) })));
});

it('the search for duplicates does not end at the stack', () => {
  assert.deepEqual(duplicateFields(nested(9_999)), []);
});
