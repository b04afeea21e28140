import assert from 'node:assert/strict';
import test from 'node:test';
import { allocate } from './allocation.ts';
import { SeatDemand } from './seat-demand.ts';

const rounded = (values: readonly number[]): number[] => values.map((value) => Math.round(value * 100) / 100);

test('shares follow the targets within the bounds', () => {
  const free = { low: 0, high: 1000 };
  assert.deepEqual(
    rounded(
      allocate(100, [
        { ...free, target: 10 },
        { ...free, target: 30 },
      ]).shares,
    ),
    [25, 75],
  );
  const bounded = allocate(100, [
    { low: 40, high: 1000, target: 10 },
    { low: 0, high: 20, target: 60 },
    { low: 0, high: 1000, target: 10 },
  ]);
  assert.deepEqual(rounded(bounded.shares), [40, 20, 40]);
  assert.equal(Math.round(bounded.fairFraction * 100), 400);
});

test('without demand everybody keeps the lower bound or more', () => {
  const { shares } = allocate(60, [
    { low: 10, high: 100, target: 10 },
    { low: 20, high: 100, target: 20 },
  ]);
  assert.deepEqual(rounded(shares), [20, 40]);
});

test('bounds that leave no choice', () => {
  assert.deepEqual(allocate(10, [{ low: 20, high: 30, target: 20 }]).shares, [20]);
  assert.deepEqual(allocate(100, [{ low: 20, high: 30, target: 20 }]).shares, [30]);
});

test('seat demand rises at once and falls slowly', () => {
  const demand = new SeatDemand(0);
  demand.set(0, 10);
  demand.set(5_000, 30);
  demand.endPeriod(10_000);
  assert.equal(demand.highWatermark, 30);
  assert.equal(demand.average, 20);
  assert.equal(demand.deviation, 10);
  assert.equal(demand.smoothed, 30);
  demand.set(10_000, 0);
  demand.endPeriod(20_000);
  assert.equal(demand.average, 0);
  assert.ok(Math.abs(demand.smoothed - 0.977 * 30) < 1e-9);
  assert.equal(demand.highWatermark, 30);
  demand.endPeriod(30_000);
  assert.equal(demand.highWatermark, 0);
});
