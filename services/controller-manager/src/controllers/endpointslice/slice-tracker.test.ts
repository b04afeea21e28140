import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { FakeClock } from '@pilothouse/testkit';
import { SliceTracker } from './slice-tracker.ts';

const slice = (uid: string, generation: number): KubeObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: uid, uid, generation },
});

test('the cache is stale until it shows what was written', () => {
  const tracker = new SliceTracker(new FakeClock());
  tracker.wrote('ns/s', slice('a', 2));
  assert.equal(tracker.isStale('ns/s', []), true);
  assert.equal(tracker.isStale('ns/s', [slice('a', 1)]), true);
  assert.equal(tracker.isStale('ns/other', []), false);
  assert.equal(tracker.isStale('ns/s', [slice('a', 2)]), false);
});
