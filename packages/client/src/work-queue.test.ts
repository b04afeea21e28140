import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import { WorkQueue } from './work-queue.ts';

/** Timers that fire when the test says so. */
function manualClock(): Clock & { advance(ms: number): void } {
  let now = 0;
  let timers: { due: number; callback: () => void }[] = [];
  const start = (callback: () => void, delayMs: number) => {
    const timer = { due: now + delayMs, callback };
    timers.push(timer);
    return { cancel: () => void (timers = timers.filter((each) => each !== timer)) };
  };
  return {
    now: () => now,
    monotonic: () => now,
    setTimeout: start,
    setInterval: start,
    advance(ms) {
      now += ms;
      const due = timers.filter((timer) => timer.due <= now);
      timers = timers.filter((timer) => timer.due > now);
      for (const timer of due) timer.callback();
    },
  };
}

test('WorkQueue gives a key once, however often it was added', async () => {
  const queue = new WorkQueue(manualClock());
  queue.add('a');
  queue.add('b');
  queue.add('a');
  assert.equal(await queue.take(), 'a');
  assert.equal(await queue.take(), 'b');
  assert.equal(queue.length, 0);
});

test('WorkQueue holds back a key that is being worked and gives it again afterwards', async () => {
  const queue = new WorkQueue(manualClock());
  queue.add('a');
  await queue.take();
  queue.add('a');
  assert.equal(queue.length, 0);
  queue.done('a');
  assert.equal(await queue.take(), 'a');
  queue.done('a');
  assert.equal(queue.length, 0);
});

test('WorkQueue backs off per key and starts over after forget', async () => {
  const clock = manualClock();
  const queue = new WorkQueue(clock, { baseDelayMs: 10 });
  queue.addRateLimited('a');
  clock.advance(9);
  assert.equal(queue.length, 0);
  clock.advance(1);
  assert.equal(await queue.take(), 'a');
  queue.done('a');
  queue.addRateLimited('a');
  clock.advance(10);
  assert.equal(queue.length, 0);
  clock.advance(10);
  assert.equal(queue.length, 1);
  queue.forget('a');
  assert.equal(queue.retries('a'), 0);
});

test('WorkQueue.addAfter keeps the earliest of several times', () => {
  const clock = manualClock();
  const queue = new WorkQueue(clock);
  queue.addAfter('a', 100);
  queue.addAfter('a', 50);
  queue.addAfter('a', 200);
  clock.advance(50);
  assert.equal(queue.length, 1);
});

test('WorkQueue.close wakes those who wait', async () => {
  const queue = new WorkQueue(manualClock());
  const waiting = queue.take();
  queue.close();
  assert.equal(await waiting, undefined);
});
