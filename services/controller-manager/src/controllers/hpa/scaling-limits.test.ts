import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bounds } from './scaling-limits.ts';
import { limitReplicas } from './scaling-limits.ts';

const bounds = (change: Partial<Bounds>): Bounds => ({
  current: 2,
  desired: 2,
  min: 1,
  max: 10,
  nowMs: 1_000_000,
  behavior: undefined,
  downscaleWindowMs: 300_000,
  recommendations: [],
  scaledUp: [],
  scaledDown: [],
  ...change,
});

const reasons = (change: Partial<Bounds>): [replicas: number, ...reasons: string[]] => {
  const { replicas, conditions } = limitReplicas(bounds(change));
  return [replicas, ...conditions.map((each) => each.reason)];
};

test('without a behavior growth is at most double, or four', () => {
  assert.deepEqual(reasons({ desired: 9 }), [4, 'ReadyForNewScale', 'ScaleUpLimit']);
  assert.deepEqual(reasons({ current: 4, desired: 20 }), [8, 'ReadyForNewScale', 'ScaleUpLimit']);
  assert.deepEqual(reasons({ current: 8, desired: 20 }), [10, 'ReadyForNewScale', 'TooManyReplicas']);
});

test('shrinking waits for the window and stops at the minimum', () => {
  const recommendations = [{ replicas: 5, atMs: 900_000 }];
  assert.deepEqual(reasons({ current: 6, desired: 1, recommendations }), [
    5,
    'ScaleDownStabilized',
    'DesiredWithinRange',
  ]);
  assert.deepEqual(reasons({ current: 6, desired: 1, nowMs: 1_300_000, recommendations }), [
    1,
    'ReadyForNewScale',
    'DesiredWithinRange',
  ]);
  assert.deepEqual(reasons({ current: 6, desired: 1, min: 2 }), [2, 'ReadyForNewScale', 'TooFewReplicas']);
});

test('policies count what was done in their period', () => {
  const behavior = {
    scaleUp: { policies: [{ type: 'Pods', value: 2, periodSeconds: 60 }] },
    scaleDown: {
      stabilizationWindowSeconds: 0,
      policies: [{ type: 'Percent', value: 50, periodSeconds: 60 }],
    },
  };
  const scaledUp = [{ change: 1, atMs: 990_000 }];
  assert.deepEqual(reasons({ current: 4, desired: 9, behavior, scaledUp }), [
    5,
    'ReadyForNewScale',
    'ScaleUpLimit',
  ]);
  assert.deepEqual(reasons({ current: 8, desired: 1, behavior }), [4, 'ReadyForNewScale', 'ScaleDownLimit']);
});
