import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { groupPods, replicaCount, sharedReplicaCount } from './replica-count.ts';
import type { PodUsage } from './resource-metrics.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');
const pod = (name: string, phase = 'Running'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {},
  status: {
    phase,
    startTime: '2026-01-01T00:00:00Z',
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:10Z' }],
  },
});
const usageOf = (values: Record<string, number>): Map<string, PodUsage> =>
  new Map(
    Object.entries(values).map(([name, milli]) => [name, { milli, atMs: nowMs - 1000, windowMs: 30_000 }]),
  );
const requests = new Map(['a', 'b', 'c'].map((name) => [name, 100]));

function count(current: number, pods: KubeObject[], values: Record<string, number>, value = 50): number {
  const usage = usageOf(values);
  return replicaCount(current, groupPods(pods, usage, 'cpu', nowMs), usage, { value, requests }).replicas;
}

test('replicas follow the ratio of use and target', () => {
  assert.equal(count(2, [pod('a'), pod('b')], { a: 100, b: 100 }), 4);
  assert.equal(count(2, [pod('a'), pod('b')], { a: 25, b: 25 }), 1);
});

test('within the tolerance nothing changes', () => {
  assert.equal(count(2, [pod('a'), pod('b')], { a: 54, b: 54 }), 2);
});

test('pods without metrics damp growth and shrinking', () => {
  assert.equal(count(2, [pod('a'), pod('b')], { a: 100 }), 2);
  assert.equal(count(2, [pod('a'), pod('b')], { a: 10 }), 2);
});

test('pending pods count as idle when growing', () => {
  assert.equal(count(3, [pod('a'), pod('b'), pod('c', 'Pending')], { a: 100, b: 100 }), 4);
});

test('without any metric there is an error', () => {
  assert.throws(() => count(1, [pod('a', 'Pending')], {}), /did not receive metrics for targeted pods/);
});

test('a metric of all pods together is shared out', () => {
  assert.equal(sharedReplicaCount(2, 2, 90_000, { averageValue: 10_000 }), 9);
  assert.equal(sharedReplicaCount(3, 3, 31_000, { averageValue: 10_000 }), 3);
  assert.equal(sharedReplicaCount(2, 2, 60_000, { value: 20_000 }), 6);
});
