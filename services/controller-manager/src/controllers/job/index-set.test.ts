import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIndexes, parseIndexes } from './index-set.ts';

test('formatIndexes() writes runs of three and more as ranges', () => {
  assert.equal(formatIndexes(new Set([0, 1, 3, 4, 5, 9])), '0,1,3-5,9');
  assert.equal(formatIndexes(new Set()), '');
});

test('parseIndexes() is the inverse and drops what is out of range', () => {
  assert.deepEqual([...parseIndexes('0,1,3-5,9', 5)], [0, 1, 3, 4]);
  assert.equal(formatIndexes(parseIndexes('0,1,3-5,9', 100)), '0,1,3-5,9');
});
