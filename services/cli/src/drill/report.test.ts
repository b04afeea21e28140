import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DrillResult, Operation } from './model.ts';
import { gapSpread, renderReport, resultJson } from './report.ts';

const operation = (kind: Operation['kind'], endMs: number, ok = true): Operation => ({
  kind,
  startMs: endMs - 5,
  endMs,
  ok,
  retried: false,
});

const result = (more: Partial<DrillResult> = {}): DrillResult => ({
  name: 'kill-leader',
  title: 'The leader <is> killed',
  verdict: 'pass',
  problems: [],
  lostAcknowledgedWrites: 0,
  staleReads: 0,
  watchViolations: 0,
  doubleBinds: 0,
  writeGapMs: 240,
  readGapMs: 90,
  failedWrites: 1,
  failedReads: 0,
  failedAfterRetry: 0,
  writes: 30,
  reads: 30,
  seed: 7,
  command: 'pilothouse drill kill-leader --data-dir data --seed 7',
  calmSlowestMs: 12,
  marks: [{ atMs: 1000, text: 'kill store-0' }],
  operations: [
    ...[200, 400, 900, 1900, 2500].map((at) => operation('write', at)),
    operation('write', 1500, false),
    ...[300, 1200, 2600].map((at) => operation('read', at)),
  ],
  durationMs: 3000,
  ...more,
});

test('the JSON has the documented fields and leaves out what was skipped', () => {
  const skipped = result({ name: 'clock-jump', verdict: 'skip', problems: ['no libfaketime'] });
  assert.deepEqual(resultJson([result(), skipped]), {
    drills: [
      {
        name: 'kill-leader',
        verdict: 'pass',
        lostAcknowledgedWrites: 0,
        staleReads: 0,
        writeGapMs: 240,
        readGapMs: 90,
        seed: 7,
        command: 'pilothouse drill kill-leader --data-dir data --seed 7',
      },
    ],
  });
});

test('gaps of repeated drills are told as p50 and p99', () => {
  const runs = [300, 100, 200].map((writeGapMs) => result({ writeGapMs, readGapMs: writeGapMs / 10 }));
  assert.deepEqual(gapSpread([...runs, result({ name: 'pause' })]), [
    { name: 'kill-leader', runs: 3, write: { p50: 200, p99: 300 }, read: { p50: 20, p99: 30 } },
  ]);
});

test('the report marks the fault and the longest gap after it, and escapes what it shows', () => {
  const page = renderReport([result(), result({ name: 'pause', verdict: 'skip' })], 'data', new Date(0));
  assert.match(page, /The leader &lt;is&gt; killed/);
  // Writes: from the answer at 900 ms, the last before the kill at 1000 ms, to the one at 1900 ms.
  assert.match(page, /no answered write for 1000 ms/);
  assert.match(page, /<title>kill store-0<\/title>/);
  assert.match(page, /<title>1 failed<\/title>/);
  assert.match(page, /1 passed, 0 failed, 1 skipped/);
  assert.match(page, /drill kill-leader --data-dir data --seed 7/);
});
