import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeInfo } from '../node-info.ts';
import { podInfoOf } from '../pod-info.ts';
import type { ScoringStrategy } from './resource-scoring.ts';
import { balanceScore, defaultResourceWeights, strategyScore } from './resource-scoring.ts';

type Amounts = Readonly<Record<string, string>>;
let next = 0;
const pod = (requests: Amounts) =>
  podInfoOf({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', uid: String(next++) },
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests } }] },
    status: {},
  });

function node(allocatable: Amounts, used: Amounts): NodeInfo {
  const info = new NodeInfo('n');
  info.setNode({ metadata: { name: 'n' }, status: { allocatable: { pods: '10', ...allocatable } } });
  info.addPod(pod(used));
  return info;
}

const large = { cpu: '10', memory: '20', 'example.com/gpu': '8' };
// Worked by hand from the formulas; memory in bytes, so that its default for containers without requests would show.
const wanted = { cpu: '1', memory: '6' };

test('strategies: the emptiest node, the fullest, and a line by utilization', () => {
  const used = node(large, { cpu: '3', memory: '4', 'example.com/gpu': '2' });
  const score = (strategy: ScoringStrategy, requests: Amounts = wanted): number =>
    strategyScore(strategy, pod(requests), used);
  // cpu 4 of 10 (60 left), memory 10 of 20 (50 left).
  assert.equal(score({ type: 'LeastAllocated', resources: defaultResourceWeights }), 55);
  assert.equal(score({ type: 'MostAllocated', resources: defaultResourceWeights }), 45);
  const weighed = [
    { name: 'cpu', weight: 1 },
    { name: 'example.com/gpu', weight: 3 },
  ];
  // A resource that the pod does not request says nothing; one that it does: 4 of 8.
  assert.equal(score({ type: 'MostAllocated', resources: weighed }), 40);
  assert.equal(
    score({ type: 'MostAllocated', resources: weighed }, { ...wanted, 'example.com/gpu': '2' }),
    47,
  );
  const shape = [
    { utilization: 0, score: 0 },
    { utilization: 50, score: 8 },
    { utilization: 100, score: 10 },
  ];
  // 40 % is 64 and 50 % is 80; a resource whose line says 0 is left out.
  assert.equal(score({ type: 'RequestedToCapacityRatio', resources: defaultResourceWeights, shape }), 72);
  const late = [
    { utilization: 40, score: 0 },
    { utilization: 60, score: 10 },
  ];
  assert.equal(
    score({ type: 'RequestedToCapacityRatio', resources: defaultResourceWeights, shape: late }),
    50,
  );
});

test('balance: 75 where nothing changes, more where the pod evens out what is used', () => {
  const score = (used: Amounts, requests: Amounts): number =>
    balanceScore(defaultResourceWeights, pod(requests), node(large, used));
  assert.equal(score({ cpu: '2', memory: '4' }, { cpu: '1', memory: '2' }), 75);
  // Before: 0.6 and 0.1, deviation 0.25 (75); after: 0.6 and 0.6 (100).
  assert.equal(score({ cpu: '6', memory: '2' }, { memory: '10' }), 87);
  // Before even (100); after 0.9 and 0.1, deviation 0.4 (60).
  assert.equal(score({ cpu: '1', memory: '2' }, { cpu: '8' }), 55);
});
