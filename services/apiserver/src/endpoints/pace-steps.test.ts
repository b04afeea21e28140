import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSteps, type Steps } from '@pilothouse/base';
import { paceSteps } from './pace-steps.ts';

function* count(to: number, each: () => void): Steps<number> {
  for (let index = 0; index < to; index++) {
    each();
    yield;
  }
  return to;
}

void test('long work gives way every few milliseconds, and is the same work', async () => {
  let now = 0;
  let steps = 0;
  const stepsBetween: number[] = [];
  const pace = {
    monotonic: () => now,
    giveWay: () => {
      stepsBetween.push(steps);
      steps = 0;
      return Promise.resolve();
    },
  };
  const each = (): void => {
    now += 3;
    steps++;
  };
  assert.equal(await paceSteps(count(10, each), pace), 10);
  assert.deepEqual(stepsBetween, [3, 3, 3]);
  assert.equal(runSteps(count(10, each)), 10);
});

void test('what a step throws ends it', async () => {
  const failing = count(3, () => {
    throw new Error('broken');
  });
  await assert.rejects(
    paceSteps(failing, { monotonic: () => 0, giveWay: () => Promise.resolve() }),
    /broken/,
  );
});
