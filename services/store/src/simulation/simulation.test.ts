import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mutations } from './mutations.ts';
import { runSimulation } from './run.ts';
import { runSweep } from './sweep.ts';

/** More with SIMULATION_SEEDS; the suite stays fast without. */
const seedCount = Number(process.env['SIMULATION_SEEDS'] ?? 2);

test('a cluster keeps every guarantee over a few seeds, and a seed repeats exactly', async () => {
  for (let seed = 1; seed <= seedCount; seed++) {
    const report = await runSimulation({ seed, faultMs: 5000 });
    assert.equal(report.violation, undefined, `seed ${seed}: npm run sim -- --seed ${seed}`);
    assert.ok(report.succeeded > 100, `seed ${seed} does real work, got ${report.succeeded} operations`);
  }
  const [one, two] = [
    await runSimulation({ seed: 6, faultMs: 1500 }),
    await runSimulation({ seed: 6, faultMs: 1500 }),
  ];
  assert.deepEqual(one, two);
});

/** Seeds that found something, with what. */
const kept: readonly (readonly [number, string])[] = [
  [1084, 'a member that ended before it could leave for good came back and waited for a leader for ever'],
];

for (const [seed, what] of kept) {
  test(`seed ${seed}: ${what}`, async () => {
    assert.equal((await runSimulation({ seed })).violation, undefined);
  });
}

for (const mutation of mutations) {
  if (mutation === 'none') continue;
  test(`the simulation catches the mutation ${mutation} within a few seeds`, async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const report = await runSimulation({ seed, mutation });
      if (report.violation !== undefined) return;
    }
    assert.fail(`${mutation} went unnoticed`);
  });
}

test('a crash before any step of the disk loses nothing', async () => {
  const { steps, crashes, failures } = await runSweep({ seed: 3, stride: 29, trafficMs: 1200 });
  assert.deepEqual(failures, [], 'npm run sim -- --sweep --seed 3');
  assert.ok(steps > 100 && crashes > 4, `${crashes} crashes over ${steps} steps`);
});
