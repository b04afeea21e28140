import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import { Metrics } from '../metrics/metrics.ts';
import { contentHash, FileWatcher } from './file-watcher.ts';

function virtualClock(): { clock: Clock; tick(): void } {
  let tick = (): void => undefined;
  const timer = { cancel: () => (tick = () => undefined) };
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    setTimeout: () => timer,
    setInterval: (callback) => {
      tick = callback;
      return timer;
    },
  };
  return { clock, tick: () => tick() };
}

test('a pair is taken when both files fit, a broken one changes nothing and is told once', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'files-'));
  const [a, b] = [path.join(folder, 'a'), path.join(folder, 'b')];
  writeFileSync(a, '1');
  writeFileSync(b, '1');
  const { clock, tick } = virtualClock();
  const warnings: string[] = [];
  const logger = { debug() {}, info() {}, error() {}, warn: (text: string) => void warnings.push(text) };
  const watcher = new FileWatcher({ clock, logger: logger as never });
  const taken: string[] = [];
  const end = watcher.follow({
    what: 'pair',
    files: [a, b],
    apply(texts) {
      if (texts[0] !== texts[1]) throw new Error('they do not fit');
      taken.push(texts.join(''));
      return texts[0];
    },
  });
  assert.deepEqual(taken, ['11'], 'what is there at the start counts at once');
  tick();
  assert.deepEqual(taken, ['11'], 'nothing changed');
  writeFileSync(a, '22');
  tick();
  tick();
  assert.deepEqual(taken, ['11']);
  assert.equal(warnings.length, 1);
  rmSync(b);
  tick();
  writeFileSync(b, '22');
  tick();
  assert.deepEqual(taken, ['11', '2222']);
  assert.equal(watcher.inForce.get('pair'), contentHash('22'));
  const metrics = new Metrics();
  watcher.register(metrics);
  assert.match(
    metrics.render(),
    new RegExp(`pilothouse_file_in_force\\{file="pair",hash="sha256:${contentHash('22')}"\\} 1`),
  );
  end();
  writeFileSync(a, '333');
  writeFileSync(b, '333');
  tick();
  assert.deepEqual(taken, ['11', '2222'], 'nobody follows any more');
  assert.equal(watcher.inForce.size, 0);
  watcher.close();
  rmSync(folder, { recursive: true });
});
