import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { defaultProfile } from './default-profile.ts';
import { podInfoOf } from './pod-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { QueuedPod } from './scheduling-queue.ts';
import { SchedulingQueue } from './scheduling-queue.ts';

function pod(name: string, spec: object = {}): PodInfo {
  return podInfoOf({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'd', uid: name },
    spec: { containers: [], ...spec },
  });
}
function popped(queue: SchedulingQueue): QueuedPod {
  const item = queue.pop();
  assert.ok(item);
  return item;
}
const node = (labels: Record<string, string>): KubeObject => ({
  metadata: { name: 'n', labels },
  spec: {},
  status: { allocatable: { cpu: '1', memory: '1Gi', pods: '1' } },
});

const profile = defaultProfile();

test('pods leave by priority, then by age', () => {
  const queue = new SchedulingQueue(() => profile);
  queue.add(pod('old'), 1);
  queue.add(pod('new'), 2);
  queue.add(pod('vip', { priority: 5 }), 3);
  queue.add(pod('gone'), 0);
  queue.remove('gone');
  assert.deepEqual(
    [popped(queue).pod.name, popped(queue).pod.name, popped(queue).pod.name, queue.pop()],
    ['vip', 'old', 'new', undefined],
  );
});

test('a gated pod waits until its gates are gone', () => {
  const queue = new SchedulingQueue(() => profile);
  queue.add(pod('g', { schedulingGates: [{ name: 'x' }] }), 0);
  assert.equal(queue.pop(), undefined);
  assert.equal(queue.counts.gated, 1);
  queue.update(pod('g'), 1);
  assert.equal(queue.counts.gated, 0);
  assert.equal(popped(queue).pod.name, 'g');
});

test('a failed pod waits for an event that may help it, and for the end of its backoff', () => {
  const queue = new SchedulingQueue(() => profile);
  queue.add(pod('p', { nodeSelector: { disk: 'ssd' } }), 0);
  queue.requeue(popped(queue), new Set(['NodeAffinity']), 0);
  queue.moveOnEvent({ resource: 'Node', action: 'add', object: node({}), old: undefined }, 10);
  assert.equal(queue.counts.unschedulable, 1, 'a node without the label does not help');
  queue.moveOnEvent({ resource: 'Node', action: 'add', object: node({ disk: 'ssd' }), old: undefined }, 20);
  assert.deepEqual([queue.counts.backoff, queue.pop()], [1, undefined]);
  assert.equal(queue.tick(500), 500);
  assert.equal(queue.tick(1_000), undefined);
  const again = popped(queue);
  assert.equal(again.attempts, 1);
  queue.requeue(again, new Set(['NodeAffinity']), 1_000);
  queue.moveOnEvent(
    { resource: 'Node', action: 'add', object: node({ disk: 'ssd' }), old: undefined },
    4_000,
  );
  assert.equal(popped(queue).attempts, 2, 'after the backoff it is active at once');
});

test('a failure that nothing is to blame for is tried again after a growing backoff', () => {
  const queue = new SchedulingQueue(() => profile);
  queue.add(pod('p'), 0);
  let now = 0;
  for (const backoff of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
    queue.requeue(popped(queue), new Set(), now);
    assert.equal(queue.tick(now), backoff);
    now += backoff;
    queue.tick(now);
  }
});

test('a pod is tried again after five minutes at the latest', () => {
  const queue = new SchedulingQueue(() => profile);
  queue.add(pod('p'), 0);
  queue.requeue(popped(queue), new Set(['NodeAffinity']), 0);
  queue.tick(300_000);
  assert.equal(queue.pop(), undefined);
  queue.tick(300_001);
  assert.equal(popped(queue).pod.name, 'p');
});
