import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { SchedulerCache } from './cache.ts';
import { defaultPlugins } from './default-profile.ts';
import type { ClusterView } from './framework.ts';
import { Nominator } from './nominator.ts';
import { podInfoOf } from './pod-info.ts';
import type { Placement } from './scheduling-algorithm.ts';
import { SchedulingAlgorithm } from './scheduling-algorithm.ts';

interface World {
  readonly nodes?: readonly KubeObject[];
  readonly pods?: readonly KubeObject[];
  readonly budgets?: readonly KubeObject[];
  readonly claims?: readonly KubeObject[];
  readonly volumes?: readonly KubeObject[];
  readonly classes?: readonly KubeObject[];
}

const named = (objects: readonly KubeObject[] | undefined, name: string): KubeObject | undefined =>
  objects?.find((object) => object.metadata.name === name);

function world(setup: World): {
  algorithm: SchedulingAlgorithm;
  cache: SchedulerCache;
  nominator: Nominator;
} {
  const cache = new SchedulerCache();
  for (const node of setup.nodes ?? []) cache.setNode(node);
  for (const pod of setup.pods ?? []) cache.setPod(pod);
  const cluster: ClusterView = {
    namespaceLabels: (namespace) => ({ 'kubernetes.io/metadata.name': namespace }),
    defaultSelector: () => undefined,
    claim: (_namespace, name) => named(setup.claims, name),
    volume: (name) => named(setup.volumes, name),
    volumes: () => setup.volumes ?? [],
    storageClass: (name) => named(setup.classes, name),
    disruptionBudgets: () => setup.budgets ?? [],
    claimUsers: () => [],
  };
  const nominator = new Nominator();
  const random = { integer: () => 0, float: () => 0, bytes: (length: number) => new Uint8Array(length) };
  return {
    algorithm: new SchedulingAlgorithm({ cache, nominator, cluster, plugins: defaultPlugins, random }),
    cache,
    nominator,
  };
}

function node(
  name: string,
  options: {
    cpu?: string;
    labels?: Record<string, string>;
    taints?: object[];
    unschedulable?: boolean;
    pods?: string;
    extended?: Record<string, string>;
  } = {},
): KubeObject {
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...options.labels } },
    spec: { taints: options.taints ?? [], unschedulable: options.unschedulable ?? false },
    status: {
      allocatable: {
        cpu: options.cpu ?? '4',
        memory: '8Gi',
        pods: options.pods ?? '110',
        ...options.extended,
      },
    },
  };
}

let next = 0;
function pod(
  name: string,
  spec: Record<string, unknown> = {},
  meta: Partial<KubeObject['metadata']> = {},
): KubeObject {
  const { requests, ...rest } = spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: `uid-${name}-${next++}`, ...meta },
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests } }], ...rest },
    status: {},
  };
}

function place(setup: World, object: KubeObject): Placement {
  return world(setup).algorithm.schedule(podInfoOf(object));
}
function nodeOf(placement: Placement): string {
  assert.equal(placement.kind, 'placed', placement.kind === 'unschedulable' ? placement.message : '');
  return placement.kind === 'placed' ? placement.nodeName : '';
}
function message(placement: Placement): string {
  assert.equal(placement.kind, 'unschedulable');
  return placement.kind === 'unschedulable' ? placement.message : '';
}
const three = [node('a'), node('b'), node('c')];
const tail = (text: string): string => ` no new claims to deallocate, preemption: ${text}`;
const useless = (count: number): string =>
  tail(`0/${count} nodes are available: ${count} Preemption is not helpful for scheduling.`);

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
