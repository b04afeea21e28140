import assert from 'node:assert/strict';
import test from 'node:test';
import { FakeClock } from '@pilothouse/testkit';
import { TokenCache } from './token-cache.ts';

test('good tokens are remembered for ten seconds, bad ones never', async () => {
  const clock = new FakeClock();
  const cache = new TokenCache(clock);
  let checks = 0;
  const check = () => {
    checks++;
    return Promise.resolve({ user: { name: 'alice', groups: [] } });
  };
  const first = await cache.result('t', check);
  assert.equal(await cache.result('t', check), first);
  assert.equal(checks, 1);
  await cache.result('u', check);
  assert.equal(checks, 2);
  clock.advance(10_001);
  assert.notEqual(await cache.result('t', check), first);
  assert.equal(checks, 3);
  const bad = () => Promise.reject(new Error('no'));
  await assert.rejects(cache.result('bad', bad));
  await cache.result('bad', check);
  assert.equal(checks, 4);
});
