import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideClusterVersion, isTooOldFor, minorOf } from './cluster-version.ts';

const decide = (
  cluster: string | undefined,
  members: readonly (string | undefined)[],
  downgradeTarget?: string,
): string => {
  const decision = decideClusterVersion({ cluster, members, downgradeTarget });
  return decision.kind === 'keep' ? 'keep' : `${decision.kind} ${decision.version}`;
};

test('the cluster has the version of its oldest member', () => {
  assert.equal(decide('3.7.0', ['3.7.1', '3.7.0', '3.7.1']), 'keep');
  assert.equal(decide('3.7.0', ['3.8.0', '3.8.0', '3.7.1']), 'keep');
  assert.equal(decide('3.7.0', ['3.8.0', '3.8.1', '3.8.0']), 'set 3.8.0');
  assert.equal(decide('3.9.0', ['3.10.2']), 'set 3.10.0');
});

test('nothing is decided while a member does not tell, across majors, or before the first version', () => {
  assert.equal(decide('3.7.0', ['3.8.0', undefined, '3.8.0']), 'keep');
  assert.equal(decide('3.7.0', ['3.8.0', 'nonsense']), 'keep');
  assert.equal(decide('3.7.0', ['4.0.0']), 'keep');
  assert.equal(decide(undefined, ['3.8.0']), 'keep');
  assert.equal(decide('3.7.0', []), 'keep');
});

test('a downgrade lowers the version by one minor, waits for the members, and ends', () => {
  assert.equal(decide('3.7.0', ['3.7.1', '3.7.1'], '3.6.0'), 'set 3.6.0');
  assert.equal(decide('3.7.0', ['3.7.1', '3.7.1'], '3.5.0'), 'keep');
  assert.equal(decide('3.6.0', ['3.7.1', '3.6.9'], '3.6.0'), 'keep');
  assert.equal(decide('3.6.0', ['3.6.9', '3.6.9'], '3.6.0'), 'downgraded 3.6.0');
  // It was cancelled before anybody went.
  assert.equal(decide('3.6.0', ['3.7.1', '3.7.1']), 'set 3.7.0');
});

test('a server older than its cluster may not take part', () => {
  assert.equal(isTooOldFor('3.6.9', '3.7.0'), true);
  assert.equal(isTooOldFor('3.7.1', '3.7.0'), false);
  assert.equal(isTooOldFor('3.10.0', '3.9.0'), false);
  assert.equal(isTooOldFor('3.7.1', undefined), false);
  assert.equal(minorOf('not_decided'), undefined);
});
