import assert from 'node:assert/strict';
import test from 'node:test';
import { RetryAfter } from './retry-after.ts';
import type { WorkQuestion } from './work-estimate.ts';
import { estimateWork, levelSeatsMax } from './work-estimate.ts';

const plain: WorkQuestion = {
  verb: 'list',
  isSingle: false,
  limit: 0,
  hasSelector: false,
  fromCache: true,
  sendsState: false,
  size: { count: 10_000, averageBytes: 2000 },
  watchers: 0,
};

test('lists are as wide as the bytes they hold at once', () => {
  const seats = (changes: Partial<WorkQuestion>): number =>
    estimateWork({ ...plain, ...changes }, 1000).initialSeats;
  assert.equal(seats({}), 10);
  assert.equal(seats({ fromCache: false }), 100);
  assert.equal(seats({ limit: 100 }), 2);
  assert.equal(seats({ isSingle: true }), 1);
  assert.equal(seats({ fromCache: false, limit: 100, hasSelector: true }), 100);
  assert.equal(seats({ size: undefined }), 1);
  assert.equal(seats({ size: { count: 3, averageBytes: 0 }, fromCache: false }), 45);
  assert.equal(seats({ verb: 'watch' }), 1);
  assert.equal(seats({ verb: 'watch', sendsState: true }), 10);
  assert.equal(seats({ verb: 'get' }), 1);
  assert.equal(estimateWork(plain, 3).initialSeats, 3);
});

test('writes with many watchers keep seats for their events', () => {
  const work = (watchers: number, seatsMax = 1000) =>
    estimateWork({ ...plain, verb: 'update', watchers }, seatsMax);
  assert.deepEqual(work(9), { initialSeats: 1, finalSeats: 0, additionalLatencyMs: 0 });
  assert.deepEqual(work(50), { initialSeats: 1, finalSeats: 5, additionalLatencyMs: 5 });
  assert.deepEqual(work(1000), { initialSeats: 1, finalSeats: 10, additionalLatencyMs: 50 });
  assert.deepEqual(work(1000, 2), { initialSeats: 1, finalSeats: 2, additionalLatencyMs: 250 });
});

test('no request takes a whole level', () => {
  assert.equal(levelSeatsMax(245, 6), 37);
  assert.equal(levelSeatsMax(13, 1), 2);
  assert.equal(levelSeatsMax(3, 8), 1);
});

test('clients are sent away for longer while many are refused', () => {
  const retry = new RetryAfter();
  assert.equal(retry.seconds, 1);
  let now = 1_000_000;
  for (let second = 0; second < 20; second++, now += 1000)
    for (let count = 0; count < 50; count++) retry.refused(now);
  const raised = retry.seconds;
  assert.ok(raised > 3, String(raised));
  for (let pause = 0; pause < 5; pause++, now += 60_000) retry.refused(now);
  assert.ok(retry.seconds < raised, String(retry.seconds));
});
