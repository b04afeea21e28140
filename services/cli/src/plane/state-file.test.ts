import { test } from 'node:test';
import assert from 'node:assert/strict';
import { isAlive } from './state-file.ts';

test('a plane that was stopped (process 0) does not run', () => {
  assert.equal(isAlive(0), false);
  assert.equal(isAlive(process.pid), true);
});
