import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { isNewer, isRevision, nextToStart, stopped, withCondition } from './migration.ts';

const migration = (name: string, at: string, ...conditions: string[]): KubeObject => ({
  apiVersion: 'storagemigration.k8s.io/v1beta1',
  kind: 'StorageVersionMigration',
  metadata: { name, generation: 1, creationTimestamp: `2026-01-02T03:04:${at}Z` },
  spec: { resource: { group: '', resource: 'secrets' } },
  status: { conditions: conditions.map((type) => ({ type, status: 'True' })) },
});

test('the oldest starts when none runs', () => {
  const [a, b] = [migration('a', '06'), migration('b', '05')];
  assert.equal(nextToStart([a, b]), b);
  assert.equal(nextToStart([migration('d', '05'), migration('c', '05')])?.metadata.name, 'c');
  assert.equal(nextToStart([a, migration('x', '01', 'Running')]), undefined);
  assert.equal(nextToStart([a, migration('x', '01', 'Running', 'Succeeded')]), a);
  assert.equal(nextToStart([migration('x', '01', 'Failed')]), undefined);
});

test('conditions are added once, and Running is taken back', () => {
  const once = withCondition(migration('a', '01', 'Running'), 'Succeeded', 'R', '', 'now');
  assert.equal(withCondition(once, 'Succeeded', 'other', '', 'later'), once);
  assert.deepEqual(stopped(once, 'then')['status'].conditions, [
    {
      type: 'Running',
      status: 'False',
      lastTransitionTime: 'then',
      reason: 'MigrationCompleted',
      message: 'Migration completed',
      observedGeneration: 1,
    },
    { type: 'Succeeded', status: 'True', lastTransitionTime: 'now', reason: 'R', message: '' },
  ]);
});

test('revisions are compared as numbers', () => {
  assert.equal(isNewer('10', '9'), true);
  assert.equal(isNewer('9', '9'), false);
  assert.equal(isRevision('0'), false);
  assert.equal(isRevision('12'), true);
});
