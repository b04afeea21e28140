import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podRequests } from './resources.ts';

const container = (cpu: string, restartPolicy?: string): object => ({
  name: cpu,
  resources: { requests: { cpu } },
  ...(restartPolicy === undefined ? {} : { restartPolicy }),
});
const cpuOf = (spec: object): number => podRequests({ metadata: {}, spec }).cpu;

test('a pod takes the larger of its containers with sidecars and of its init phase', () => {
  assert.equal(cpuOf({ containers: [container('1'), container('500m')] }), 1500);
  assert.equal(cpuOf({ containers: [container('1')], initContainers: [container('3')] }), 3000);
  assert.equal(
    cpuOf({ containers: [container('1')], initContainers: [container('1', 'Always'), container('3')] }),
    4000,
  );
  assert.equal(
    cpuOf({ containers: [container('1')], initContainers: [container('3'), container('1', 'Always')] }),
    3000,
  );
  assert.equal(cpuOf({ containers: [container('1')], overhead: { cpu: '100m' } }), 1100);
  assert.equal(
    cpuOf({ containers: [container('1')], resources: { requests: { cpu: '2' } }, overhead: { cpu: '1' } }),
    3000,
  );
});

test('containers without requests count for scores only', () => {
  const pod = { metadata: {}, spec: { containers: [{ name: 'c' }] } };
  assert.deepEqual([podRequests(pod).cpu, podRequests(pod).memory], [0, 0]);
  assert.deepEqual([podRequests(pod, true).cpu, podRequests(pod, true).memory], [100, 200 * 1024 * 1024]);
});
