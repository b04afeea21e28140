import assert from 'node:assert/strict';
import test from 'node:test';
import { TimedValue } from './level-use.ts';

test('a value counts as long as it lasted', () => {
  const seen: [number, number][] = [];
  const value = new TimedValue({ observe: (each, weight = 1) => void seen.push([each, weight]) }, 100);
  value.set(100, 0.5);
  value.set(100.25, 1);
  value.set(103.25, 0);
  assert.deepEqual(seen, [
    [0.5, 250_000],
    [1, 3_000_000],
  ]);
});
