import { test } from 'node:test';
import assert from 'node:assert/strict';
import { orderedMap } from './ordered-map.ts';

test('orderedMap() clones share nothing that a later write could show', () => {
  const map = orderedMap<string, number>((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  for (let i = 0; i < 1000; i++) map.set(`key-${String(i).padStart(4, '0')}`, i);
  const snapshot = map.clone();
  map.set('key-0500', -1);
  map.delete('key-0001');
  assert.equal(snapshot.get('key-0500'), 500);
  assert.equal(snapshot.get('key-0001'), 1);
  assert.equal(map.get('key-0500'), -1);
  assert.equal(snapshot.size, 1000);
});
