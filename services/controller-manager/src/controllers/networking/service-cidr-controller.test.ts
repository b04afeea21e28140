import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { isNeeded } from './service-cidr-controller.ts';

const cidr = (name: string, ...cidrs: string[]): KubeObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  metadata: { name },
  spec: { cidrs },
});

test('a range is needed while it alone has an address that is in use', () => {
  const range = cidr('a', '10.0.0.0/24');
  assert.equal(isNeeded(range, [], ['10.0.0.5']), true);
  assert.equal(isNeeded(range, [], ['10.0.1.5']), false);
  assert.equal(isNeeded(range, [cidr('b', '10.0.0.0/16')], ['10.0.0.5']), false);
  const leaving = cidr('b', '10.0.0.0/16');
  leaving.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
  assert.equal(isNeeded(range, [leaving], ['10.0.0.5']), true);
});
