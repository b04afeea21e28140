import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ValueCache } from './value-cache.ts';

const bytes = (size: number): Uint8Array => new Uint8Array(size);

test('the oldest values leave when there is no room', () => {
  const cache = new ValueCache(100_000);
  for (let main = 1; main <= 1000; main++) cache.add(main, main % 3, bytes(1000));
  const kept = Array.from({ length: 1000 }, (_, at) => at + 1).filter((main) => cache.get(main, main % 3));
  assert.ok(kept.length > 50 && kept.length < 100, `${kept.length} are kept`);
  assert.equal(kept[0], 1001 - kept.length);
});

test('what was removed gives its room back', () => {
  const cache = new ValueCache(100_000);
  const last = bytes(1000);
  cache.add(1, 0, last);
  for (let main = 2; main <= 1000; main++) {
    cache.add(main, 0, bytes(1000));
    cache.delete(main, 0);
  }
  assert.equal(cache.get(1, 0), last);
  assert.equal(cache.get(5, 0), undefined);
  cache.clear();
  assert.equal(cache.get(1, 0), undefined);
});

test('revisions do not stand for each other', () => {
  const cache = new ValueCache(1_000_000);
  const [a, b, c] = [bytes(1), bytes(2), bytes(3)];
  cache.add(1, 4095, a);
  cache.add(2, 0, b);
  cache.add(1, 4096, c);
  assert.equal(cache.get(1, 4095), a);
  assert.equal(cache.get(2, 0), b);
});

test('a value too large for the cache does not push out all others', () => {
  const cache = new ValueCache(100_000);
  cache.add(1, 0, bytes(10));
  cache.add(2, 0, bytes(50_000));
  assert.equal(cache.get(2, 0), undefined);
  assert.ok(cache.get(1, 0));
});

test('a full cache costs no more than an empty one', () => {
  const value = bytes(200);
  const time = (bytesMax: number): number => {
    const cache = new ValueCache(bytesMax);
    for (let main = 1; main <= 120_000; main++) cache.add(main, 0, value);
    const began = process.cpuUsage();
    for (let main = 120_001; main <= 240_000; main++) cache.add(main, 0, value);
    const { user, system } = process.cpuUsage(began);
    return user + system;
  };
  time(1e6);
  const full = Math.min(time(32 * 1024 * 1024), time(32 * 1024 * 1024));
  const empty = Math.max(time(1e9), time(1e9));
  // It was some twenty times as much.
  assert.ok(full < 5 * empty, `${full} and ${empty} µs`);
});
