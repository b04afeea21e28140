import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSchedulerConfiguration } from '../config/scheduler-configuration.ts';
import { podInfoOf } from './pod-info.ts';
import type { Profile } from './profile.ts';
import { message, node, nodeOf, place, pod, three, useless, world } from './testing/world.ts';

const configured = (text: string): Profile =>
  parseSchedulerConfiguration(
    `apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles: [${text}]`,
  ).profiles[0] as Profile;

test('a profile may fill nodes up, and keep its pods to some of them', () => {
  const pods = [pod('there', { nodeName: 'b', requests: { cpu: '2', memory: '4Gi' } })];
  const strategy = '{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated}}}';
  const packing = configured(`{pluginConfig: [${strategy}]}`);
  const small = pod('small', { requests: { cpu: '1', memory: '2Gi' } });
  assert.notEqual(nodeOf(place({ nodes: three, pods }, small)), 'b');
  assert.equal(nodeOf(place({ nodes: three, pods, profile: packing }, small)), 'b');
  const required =
    'requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: pool, operator: In, values: [x]}]}]}';
  const kept = configured(`{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {${required}}}}]}`);
  const nodes = [node('a'), node('b', { labels: { pool: 'x' } })];
  assert.equal(nodeOf(place({ nodes, profile: kept }, pod('p'))), 'b');
  assert.equal(
    message(place({ nodes: three, profile: kept }, pod('q'))),
    `0/3 nodes are available: 3 node(s) didn't match scheduler-enforced node affinity.${useless(3)}`,
  );
});

test('without preemption nobody is evicted', () => {
  const nodes = [node('a', { cpu: '1' })];
  const pods = [pod('low', { nodeName: 'a', priority: 0, requests: { cpu: '1' } })];
  const profile = configured('{plugins: {postFilter: {disabled: [{name: DefaultPreemption}]}}}');
  const high = pod('high', { priority: 10, requests: { cpu: '1' } });
  const placement = place({ nodes, pods, profile }, high);
  assert.equal(
    message(placement),
    '0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate',
  );
  assert.equal(placement.kind === 'unschedulable' && placement.preemption, undefined);
});

test('default constraints of a profile hold for pods that have none of their own', () => {
  const constraint = '{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}';
  const profile = configured(
    `{pluginConfig: [{name: PodTopologySpread, args: {defaultingType: List, defaultConstraints: [${constraint}]}}]}`,
  );
  const nodes = [node('a', { labels: { zone: '1' } }), node('b', { labels: { zone: '2' } })];
  const labels = { app: 'x' };
  const pods = [pod('one', { nodeName: 'b' }, { labels })];
  const given = world({ nodes, pods, profile, selector: new Map([['app', 'x']]) });
  for (let time = 0; time < 3; time++)
    assert.equal(nodeOf(given.algorithm.schedule(podInfoOf(pod('two', {}, { labels })))), 'a');
});

test('a volume with a zone is used in that zone', () => {
  const claims = [
    {
      metadata: {
        name: 'data',
        namespace: 'default',
        annotations: { 'pv.kubernetes.io/bind-completed': 'yes' },
      },
      spec: { volumeName: 'v' },
      status: { phase: 'Bound' },
    },
  ];
  const volumes = [{ metadata: { name: 'v', labels: { 'topology.kubernetes.io/zone': 'x__y' } }, spec: {} }];
  const zone = (value: string): object => ({ labels: { 'topology.kubernetes.io/zone': value } });
  const user = pod('user', { volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }] });
  assert.equal(
    nodeOf(place({ nodes: [node('a', zone('w')), node('b', zone('y'))], claims, volumes }, user)),
    'b',
  );
  assert.equal(
    message(place({ nodes: [node('a', zone('w'))], claims, volumes }, user)),
    `0/1 nodes are available: 1 node(s) had no available volume zone.${useless(1)}`,
  );
  // A node that is nowhere is anywhere.
  assert.equal(nodeOf(place({ nodes: [node('c')], claims, volumes }, user)), 'c');
});
