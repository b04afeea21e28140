import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSchedulerConfiguration } from './scheduler-configuration.ts';

const head = 'apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n';
const parse = (text: string) => parseSchedulerConfiguration(head + text);
const names = (plugins: readonly { name: string }[]): string => plugins.map(({ name }) => name).join(' ');

test('an empty configuration is the default profile', () => {
  const { profiles, queue } = parse('');
  assert.equal(profiles.length, 1);
  const [profile] = profiles;
  assert.equal(profile?.schedulerName, 'default-scheduler');
  assert.equal(
    names(profile?.filter ?? []),
    'NodeUnschedulable NodeName TaintToleration NodeAffinity NodePorts NodeResourcesFit VolumeRestrictions VolumeBinding VolumeZone PodTopologySpread InterPodAffinity DynamicResources',
  );
  assert.deepEqual(
    profile?.score.map(({ plugin, weight }) => `${plugin.name} ${weight}`),
    [
      'TaintToleration 3',
      'NodeAffinity 2',
      'NodeResourcesFit 1',
      'PodTopologySpread 2',
      'InterPodAffinity 2',
      'NodeResourcesBalancedAllocation 1',
      'ImageLocality 1',
    ],
  );
  assert.deepEqual(queue, { initialBackoffMs: 1000, maxBackoffMs: 10_000 });
});

test('plugins are switched and weighed for each profile and extension point', () => {
  const { profiles } = parse(`
podMaxBackoffSeconds: 30
percentageOfNodesToScore: 40
profiles:
- schedulerName: default-scheduler
- schedulerName: packing
  percentageOfNodesToScore: 100
  plugins:
    multiPoint:
      enabled: [{name: ImageLocality, weight: 5}]
      disabled: [{name: InterPodAffinity}]
    score:
      enabled: [{name: NodeResourcesFit, weight: 10}]
      disabled: [{name: PodTopologySpread}]
    preScore:
      disabled: [{name: PodTopologySpread}]
    postFilter:
      disabled: [{name: "*"}]
`);
  assert.deepEqual(
    profiles.map(({ percentageOfNodesToScore }) => percentageOfNodesToScore),
    [40, 100],
  );
  const packing = profiles[1];
  assert.equal(packing?.preemption, undefined);
  assert.ok(!names(packing?.filter ?? []).includes('InterPodAffinity'));
  assert.ok(names(packing?.filter ?? []).includes('PodTopologySpread'));
  assert.deepEqual(
    packing?.score.map(({ plugin, weight }) => `${plugin.name} ${weight}`),
    [
      'NodeResourcesFit 10',
      'TaintToleration 3',
      'NodeAffinity 2',
      'NodeResourcesBalancedAllocation 1',
      'ImageLocality 5',
    ],
  );
});

test('what cannot be meant is refused', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['podInitialBackoffSeconds: 0', /^podInitialBackoffSeconds: Invalid value: 0: must be greater than 0$/],
    ['podMaxBackoffSecond: 3', /^strict decoding error: unknown field "podMaxBackoffSecond"$/],
    ['percentageOfNodesToScore: 101', /not in valid range \[0-100\]/],
    [
      'profiles: [{}, {schedulerName: a}, {schedulerName: a}]',
      /profiles\[0\]\.schedulerName: Required value, profiles\[2\]\.schedulerName: Duplicate value: "profiles\[1\]\.schedulerName"/,
    ],
    ['profiles: [{plugins: {filter: {enabled: [{name: Mine}]}}}]', /FilterPlugin "Mine" does not exist$/],
    [
      'profiles: [{plugins: {filter: {enabled: [{name: ImageLocality}]}}}]',
      /plugin "ImageLocality" does not extend FilterPlugin plugin$/,
    ],
    [
      'profiles: [{plugins: {bind: {disabled: [{name: "*"}]}}}]',
      /at least one bind plugin is needed for profile with scheduler name "default-scheduler"$/,
    ],
    [
      'profiles: [{plugins: {preFilter: {disabled: [{name: NodePorts}]}}}]',
      /plugin "NodePorts" is enabled for filter and disabled for preFilter, which it needs$/,
    ],
    [
      'profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]}]',
      /^profiles\[0\]\.pluginConfig\[0\]\.args\.hardPodAffinityWeight: Invalid value: 101: not in valid range \[0, 100\]$/,
    ],
    [
      'profiles: [{pluginConfig: [{name: InterPodAffinity, args: {weight: 1}}]}]',
      /decoding args for plugin InterPodAffinity: strict decoding error: unknown field "weight"/,
    ],
    [
      'profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Most}}}]}]',
      /scoringStrategy\.type: Unsupported value: "Most": supported values: "LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"/,
    ],
    [
      'profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}}]}]',
      /defaultingType: Invalid value: "System": when \.defaultConstraints are not empty/,
    ],
    ['extenders: [{urlPrefix: "http://x"}]', /^extenders: Forbidden: this scheduler asks no extenders/],
  ];
  for (const [text, message] of cases) assert.throws(() => parse(text), { message }, text);
  assert.throws(
    () => parseSchedulerConfiguration('kind: Pod\napiVersion: v1'),
    /expected KubeSchedulerConfiguration/,
  );
});

test('leader election and the kubeconfig may stand in the file', () => {
  const { leaderElection, kubeconfig } = parse(`
clientConnection: {kubeconfig: /etc/scheduler.yaml}
leaderElection: {leaderElect: true, leaseDuration: 30s, renewDeadline: 1m10s, resourceName: mine}
`);
  assert.equal(kubeconfig, '/etc/scheduler.yaml');
  assert.deepEqual(leaderElection, {
    leaderElect: true,
    leaseDurationMs: 30_000,
    renewDeadlineMs: 70_000,
    resourceName: 'mine',
  });
});
