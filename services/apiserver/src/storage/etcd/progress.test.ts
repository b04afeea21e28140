import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isProgressReliable } from './progress.ts';

test('isProgressReliable() follows the releases that fixed etcd issue 15220', () => {
  for (const version of ['3.4.31', '3.5.13', '3.6.0', '3.7.1', '4.0.0'])
    assert.equal(isProgressReliable(version), true, version);
  for (const version of ['3.3.27', '3.4.30', '3.5.1', '3.5.12', 'unknown', ''])
    assert.equal(isProgressReliable(version), false, version);
});
