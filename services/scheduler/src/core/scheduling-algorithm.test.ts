import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { podInfoOf } from './pod-info.ts';
import type { World } from './testing/world.ts';
import { message, node, nodeOf, place, pod, tail, three, useless, world } from './testing/world.ts';

test('a pod that fits nowhere is told why per node', () => {
  // Recorded from a stock kube-scheduler v1.36.3.
  const term = (app: string): object => ({
    topologyKey: 'kubernetes.io/hostname',
    labelSelector: { matchLabels: { app } },
  });
  const cases: [string, World, KubeObject, string][] = [
    ['no nodes', {}, pod('p'), 'no nodes available to schedule pods'],
    [
      'cpu',
      { nodes: three },
      pod('p', { requests: { cpu: '100' } }),
      `0/3 nodes are available: 3 Insufficient cpu.${useless(3)}`,
    ],
    [
      'extended',
      { nodes: three },
      pod('p', { requests: { 'example.com/x': '1' } }),
      `0/3 nodes are available: 3 Insufficient example.com/x.${useless(3)}`,
    ],
    [
      'selector',
      { nodes: three },
      pod('p', { nodeSelector: { disk: 'x' } }),
      `0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.${useless(3)}`,
    ],
    [
      'taint and cordon',
      {
        nodes: [
          node('a', { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] }),
          node('b', { unschedulable: true }),
          node('c', { cpu: '1' }),
        ],
      },
      pod('p', { requests: { cpu: '2' } }),
      `0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable.${useless(3)}`,
    ],
    [
      'named node',
      { nodes: three },
      pod('p', {
        requests: { cpu: '5' },
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['b'] }] }],
            },
          },
        },
      }),
      `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].${useless(3)}`,
    ],
    [
      'affinity',
      { nodes: three },
      pod('p', {
        affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term('none')] } },
      }),
      `0/3 nodes are available: 3 node(s) didn't match pod affinity rules.${useless(3)}`,
    ],
    [
      'anti-affinity',
      { nodes: [node('a')], pods: [pod('x', { nodeName: 'a' }, { labels: { app: 'x' } })] },
      pod('p', {
        affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term('x')] } },
      }),
      `0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.${tail('0/1 nodes are available: 1 No preemption victims found for incoming pod.')}`,
    ],
    [
      'anti-affinity of the other',
      {
        nodes: [node('a')],
        pods: [
          pod('x', {
            nodeName: 'a',
            affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term('p')] } },
          }),
        ],
      },
      pod('p', {}, { labels: { app: 'p' } }),
      `0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.${tail('0/1 nodes are available: 1 No preemption victims found for incoming pod.')}`,
    ],
    [
      'spread without label',
      { nodes: three },
      pod('p', {
        topologySpreadConstraints: [
          { topologyKey: 'rack', maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
        ],
      }),
      `0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints (missing required label).${useless(3)}`,
    ],
    [
      'port',
      {
        nodes: [node('a')],
        pods: [
          {
            ...pod('x', { nodeName: 'a' }),
            spec: {
              nodeName: 'a',
              containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80 }] }],
            },
          },
        ],
      },
      {
        ...pod('p'),
        spec: {
          containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80, hostIP: '10.0.0.1' }] }],
        },
      },
      `0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.${tail('0/1 nodes are available: 1 No preemption victims found for incoming pod.')}`,
    ],
    [
      'too many',
      { nodes: [node('a', { pods: '0' })] },
      pod('p'),
      `0/1 nodes are available: 1 Too many pods.${useless(1)}`,
    ],
    [
      'claim missing',
      { nodes: three },
      pod('p', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'x' } }] }),
      '0/3 nodes are available: persistentvolumeclaim "x" not found. not found',
    ],
    [
      'unbound claim',
      { nodes: three, claims: [{ metadata: { name: 'x', namespace: 'default' }, spec: {} }] },
      pod('p', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'x' } }] }),
      '0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found',
    ],
    [
      'never preempts',
      { nodes: [node('a', { cpu: '1' })], pods: [pod('x', { nodeName: 'a', requests: { cpu: '1' } })] },
      pod('p', { requests: { cpu: '1' }, priority: 5, preemptionPolicy: 'Never' }),
      `0/1 nodes are available: 1 Insufficient cpu.${tail('not eligible due to preemptionPolicy=Never.')}`,
    ],
  ];
  for (const [name, setup, object, expected] of cases)
    assert.equal(message(place(setup, object)), expected, name);
});

test('pods go where there is most room, and where they prefer', () => {
  assert.equal(
    nodeOf(
      place(
        { nodes: [node('a'), node('b')], pods: [pod('x', { nodeName: 'a', requests: { cpu: '2' } })] },
        pod('p', { requests: { cpu: '1' } }),
      ),
    ),
    'b',
  );
  const prefers = pod('p', {
    affinity: {
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 1, preference: { matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] } },
        ],
      },
    },
  });
  assert.equal(nodeOf(place({ nodes: [node('a'), node('b', { labels: { disk: 'ssd' } })] }, prefers)), 'b');
  assert.equal(
    nodeOf(
      place(
        { nodes: [node('a', { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] }), node('b')] },
        pod('p'),
      ),
    ),
    'b',
  );
  const withFriend = pod('p', {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'x' } } },
        ],
      },
    },
  });
  assert.equal(
    nodeOf(
      place({ nodes: three, pods: [pod('x', { nodeName: 'b' }, { labels: { app: 'x' } })] }, withFriend),
    ),
    'b',
  );
});

test('the first of a group that wants to be together may go anywhere', () => {
  const self = pod(
    'p',
    {
      affinity: {
        podAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'x' } } },
          ],
        },
      },
    },
    { labels: { app: 'x' } },
  );
  nodeOf(place({ nodes: three }, self));
});

test('hard spread keeps the skew', () => {
  const spread = {
    topologySpreadConstraints: [
      {
        topologyKey: 'zone',
        maxSkew: 1,
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: { matchLabels: { app: 's' } },
      },
    ],
  };
  const labels = { app: 's' };
  const nodes = [node('a', { labels: { zone: '1' } }), node('b', { labels: { zone: '2' } })];
  const { algorithm, cache } = world({ nodes });
  const zones: string[] = [];
  for (let index = 0; index < 4; index++) {
    const info = podInfoOf(pod(`s${index}`, spread, { labels }));
    const name = nodeOf(algorithm.schedule(info));
    zones.push(name);
    cache.assume(info, name);
  }
  assert.deepEqual(zones.filter((name) => name === 'a').length, 2);
});

test('preemption takes the least important pods and honours budgets', () => {
  const victim = (name: string, nodeName: string, priority: number): KubeObject =>
    pod(name, { nodeName, priority, requests: { cpu: '2' } }, { labels: { app: name } });
  const budget: KubeObject = {
    metadata: { name: 'b', namespace: 'default' },
    spec: { selector: { matchLabels: { app: 'low-a' } } },
    status: { disruptionsAllowed: 0 },
  };
  const setup: World = {
    nodes: [node('a'), node('b'), node('c')],
    pods: [
      victim('low-a', 'a', 1),
      victim('mid-a', 'a', 5),
      victim('low-b', 'b', 2),
      victim('mid-b', 'b', 5),
      victim('top-c', 'c', 9),
      victim('top-c2', 'c', 9),
    ],
    budgets: [budget],
  };
  const placement = place(setup, pod('p', { priority: 10, requests: { cpu: '2' } }));
  assert.equal(placement.kind, 'unschedulable');
  if (placement.kind !== 'unschedulable') return;
  assert.equal(placement.preemption?.nodeName, 'b');
  assert.deepEqual(
    placement.preemption?.victims.map(({ name }) => name),
    ['low-b'],
  );
  assert.equal(placement.nominatedNodeName, 'b');
  assert.equal(placement.message, '0/3 nodes are available: 3 Insufficient cpu.');
});

test('room promised to a pod is not given to one of lower priority', () => {
  const { algorithm, nominator } = world({ nodes: [node('a')] });
  nominator.add(podInfoOf(pod('vip', { priority: 10, requests: { cpu: '3' } })), 'a');
  assert.match(
    message(algorithm.schedule(podInfoOf(pod('p', { requests: { cpu: '2' } })))),
    /Insufficient cpu/,
  );
  nodeOf(algorithm.schedule(podInfoOf(pod('q', { priority: 11, requests: { cpu: '2' } }))));
});

test('a claim that waits for its consumer gets a volume its node can reach', () => {
  const volume = (name: string, host: string, size: string): KubeObject => ({
    metadata: { name },
    spec: {
      storageClassName: 'local',
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: size },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [host] }] },
          ],
        },
      },
    },
    status: { phase: 'Available' },
  });
  const placement = place(
    {
      nodes: three,
      classes: [
        {
          metadata: { name: 'local' },
          provisioner: 'kubernetes.io/no-provisioner',
          volumeBindingMode: 'WaitForFirstConsumer',
        },
      ],
      claims: [
        {
          metadata: { name: 'x', namespace: 'default', uid: 'c' },
          spec: {
            storageClassName: 'local',
            accessModes: ['ReadWriteOnce'],
            resources: { requests: { storage: '5Gi' } },
          },
        },
      ],
      volumes: [volume('small', 'a', '1Gi'), volume('big', 'c', '20Gi'), volume('fit', 'c', '5Gi')],
    },
    pod('p', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'x' } }] }),
  );
  assert.equal(nodeOf(placement), 'c');
  assert.equal(placement.kind === 'placed' && placement.volumes[0]?.volume?.metadata.name, 'fit');
});
