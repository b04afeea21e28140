import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Schedule } from './schedule.ts';

const at = (text: string): number => Date.parse(text);

test('Schedule.next() follows the time zone', () => {
  assert.equal(
    new Schedule('0 9 * * *', undefined).next(at('2026-01-01T08:00:00Z')),
    at('2026-01-01T09:00:00Z'),
  );
  assert.equal(
    new Schedule('0 9 * * *', 'America/New_York').next(at('2026-01-01T08:00:00Z')),
    at('2026-01-01T14:00:00Z'),
  );
});

test('Schedule.lastMissed() finds the last of several missed times', () => {
  const { lastMs, count } = new Schedule('*/10 * * * *', undefined).lastMissed(
    at('2026-01-01T00:00:00Z'),
    at('2026-01-01T00:35:00Z'),
  );
  assert.equal(lastMs, at('2026-01-01T00:30:00Z'));
  assert.equal(count, 3);
});

test('Schedule.lastMissed() does not walk a year of minutes', () => {
  const { lastMs, count } = new Schedule('* * * * *', undefined).lastMissed(
    at('2025-01-01T00:00:00Z'),
    at('2026-01-01T00:00:30Z'),
  );
  assert.equal(lastMs, at('2026-01-01T00:00:00Z'));
  assert.ok(count > 100 && count < 200);
});

test('Schedule refuses nonsense', () => {
  assert.throws(() => new Schedule('nonsense', undefined));
  assert.throws(() => new Schedule('0 0 * * *', 'Nowhere/Land').next(0));
});
