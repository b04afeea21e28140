import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { silentLogger } from '@pilothouse/base';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { Registry } from 'prom-client';
import { alwaysAllowAuthorizer } from '../../authorization/union.ts';
import { AdmissionSeries } from '../../metrics/admission-series.ts';
import { MemoryObjectAccess } from '../../security/memory-object-access.ts';
import { resources } from '../../security/object-access.ts';
import type { AdmissionAttributes } from '../interface.ts';
import { podSecurity } from '../plugins/pod-security.ts';
import type { PodSecurityConfig } from '../plugin-configs.ts';
import { openPolicy } from './namespace-policy.ts';

function plane(labels: Record<string, string> = {}, config?: Partial<PodSecurityConfig>) {
  const objects = new MemoryObjectAccess();
  const plugin = podSecurity({
    clock: nodeClock,
    random: nodeRandom,
    objects,
    authorizer: alwaysAllowAuthorizer,
    logger: silentLogger,
    configs: {
      podSecurity: {
        defaults: openPolicy,
        exemptions: { usernames: [], namespaces: [], runtimeClasses: [], ...config?.exemptions },
      },
    },
  });
  const registry = new Registry();
  plugin.measure?.(new AdmissionSeries(registry));
  const prefixed = (each: Record<string, string>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(each).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value]),
    );
  objects.put(resources.namespaces, { metadata: { name: 'ns', labels: prefixed(labels) } });
  const write = async (resource: string, object: KubeObject, more: Partial<AdmissionAttributes> = {}) => {
    const warnings: string[] = [];
    const annotations: Record<string, string> = {};
    const attributes: AdmissionAttributes = {
      operation: 'CREATE',
      kind: { group: '', version: 'v1', kind: resource === 'namespaces' ? 'Namespace' : 'Pod' },
      resource: { group: '', version: 'v1', resource },
      subresource: '',
      name: object.metadata.name ?? '',
      namespace: 'ns',
      object,
      oldObject: undefined,
      options: {},
      user: { name: 'someone', groups: [] },
      dryRun: false,
      addWarning: (text) => warnings.push(text),
      addAuditAnnotation: (key, value) => {
        annotations[key.replace('pod-security.kubernetes.io/', '')] = value;
      },
      ...more,
    };
    const error = await plugin.validate?.(attributes).catch((thrown: Error) => thrown.message);
    return { error, warnings, annotations };
  };
  const counted = async (name: string): Promise<string[]> =>
    (await registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && !line.endsWith(' 0'))
      .sort();
  const namespace = (each: Record<string, string>): KubeObject => ({
    metadata: { name: 'ns', labels: prefixed(each) },
  });
  return { objects, write, counted, namespace };
}

const pod = (spec: object = {}, name = 'p'): KubeObject => ({
  metadata: { name, namespace: 'ns' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
const deployment = (spec: object): KubeObject => ({
  metadata: { name: 'd' },
  spec: { template: { spec: pod(spec)['spec'] } },
});
const apps = { resource: { group: 'apps', version: 'v1', resource: 'deployments' } };

test('a namespace without labels lets everything pass, and says so', async () => {
  const { write, counted } = plane();
  const { error, annotations } = await write('pods', pod({ hostPID: true }));
  assert.equal(error, undefined);
  assert.deepEqual(annotations, { 'enforce-policy': 'privileged:latest' });
  assert.deepEqual(await counted('pod_security_evaluations_total'), [
    'pod_security_evaluations_total{decision="allow",policy_level="privileged",policy_version="latest",mode="enforce",request_operation="create",resource="pod",subresource=""} 1',
  ]);
});

test('each mode is judged by its own level and release', async () => {
  const { write, counted } = plane({
    enforce: 'baseline',
    'enforce-version': 'v1.33',
    audit: 'baseline',
    'audit-version': 'v1.34',
    warn: 'restricted',
    'warn-version': 'v1.7',
  });
  const probing = pod({
    containers: [{ name: 'c', image: 'i', livenessProbe: { httpGet: { host: 'h', port: 1 } } }],
  });
  const { error, warnings, annotations } = await write('pods', probing);
  assert.equal(error, undefined);
  assert.deepEqual(annotations, {
    'enforce-policy': 'baseline:v1.33',
    'audit-violations':
      'would violate PodSecurity "baseline:v1.34": probe or lifecycle host (container "c" uses probe or lifecycle host "h")',
  });
  assert.deepEqual(warnings, [
    'would violate PodSecurity "restricted:v1.7": runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
  ]);
  const labels = (decision: string, level: string, version: string, mode: string): string =>
    `pod_security_evaluations_total{decision="${decision}",policy_level="${level}",policy_version="${version}",mode="${mode}",request_operation="create",resource="pod",subresource=""} 1`;
  assert.deepEqual(await counted('pod_security_evaluations_total'), [
    labels('allow', 'baseline', 'v1.33', 'enforce'),
    labels('deny', 'baseline', 'v1.34', 'audit'),
    labels('deny', 'restricted', 'v1.7', 'warn'),
  ]);
});

test('who is refused is not warned, and releases to come are one in the metrics', async () => {
  const { write, counted } = plane({ enforce: 'baseline', 'enforce-version': 'v1.400', warn: 'restricted' });
  const { error, warnings } = await write('pods', pod({ hostPID: true }));
  assert.equal(
    error,
    'pods "p" is forbidden: violates PodSecurity "baseline:v1.400": host namespaces (hostPID=true)',
  );
  assert.deepEqual(warnings, []);
  assert.match((await counted('pod_security_evaluations_total')).join(), /policy_version="future"/);
});

test('templates are never refused, and one without a pod is left alone', async () => {
  const { write, counted } = plane({ enforce: 'baseline' });
  const made = await write('deployments', deployment({ hostPID: true }), apps);
  assert.equal(made.error, undefined);
  assert.deepEqual(made.warnings, [
    'would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)',
  ]);
  assert.deepEqual(made.annotations, {});
  assert.match(
    (await counted('pod_security_evaluations_total')).join(),
    /mode="warn".*resource="controller"/,
  );
  const bare = await write('replicationcontrollers', { metadata: { name: 'r' }, spec: {} });
  assert.deepEqual(bare.warnings, []);
  const scaled = await write('deployments', deployment({ hostPID: true }), { ...apps, subresource: 'scale' });
  assert.deepEqual(scaled.warnings, []);
});

test('an update is judged when it runs something else', async () => {
  const { write } = plane({ enforce: 'baseline' });
  const old = pod({ hostPID: true });
  const update = (object: KubeObject, more: Partial<AdmissionAttributes> = {}) =>
    write('pods', object, { operation: 'UPDATE', oldObject: old, ...more });
  const labelled = pod({ hostPID: true, activeDeadlineSeconds: 3 });
  assert.equal((await update({ ...labelled, metadata: { name: 'p', labels: { a: 'b' } } })).error, undefined);
  const other = pod({ hostPID: true, containers: [{ name: 'c', image: 'other' }] });
  assert.match(String((await update(other)).error), /violates PodSecurity/);
  assert.equal((await update(other, { subresource: 'status' })).error, undefined);
  assert.match(String((await update(other, { subresource: 'resize' })).error), /violates PodSecurity/);
  const debugged = pod({ hostPID: true, ephemeralContainers: [{ name: 'e', image: 'i' }] });
  const more = { subresource: 'ephemeralcontainers' };
  assert.match(String((await update(debugged, more)).error), /violates PodSecurity/);
  assert.equal((await update(debugged, { ...more, oldObject: debugged })).error, undefined);
});

test('namespaces, users and runtime classes are exempt', async () => {
  const labels = { enforce: 'baseline' };
  const exemptions = { usernames: [], namespaces: [], runtimeClasses: [] };
  const bad = pod({ hostPID: true, runtimeClassName: 'rc' });
  for (const [reason, config] of [
    ['namespace', { ...exemptions, namespaces: ['ns'] }],
    ['user', { ...exemptions, usernames: ['someone'] }],
    ['runtimeClass', { ...exemptions, runtimeClasses: ['rc'] }],
  ] as const) {
    const { write, counted } = plane(labels, { exemptions: config });
    const { error, annotations } = await write('pods', bad);
    assert.equal(error, undefined);
    assert.deepEqual(annotations, { exempt: reason });
    assert.deepEqual(await counted('pod_security_exemptions_total'), [
      'pod_security_exemptions_total{request_operation="create",resource="pod",subresource=""} 1',
    ]);
    const running = await write('pods', bad, { operation: 'UPDATE', subresource: 'status' });
    assert.deepEqual(running.annotations, {});
  }
});

test('labels that cannot be read are judged as restricted, and told to the audit log', async () => {
  const { write, counted } = plane({ enforce: 'bogus', warn: 'baseline', 'warn-version': 'v1.x' });
  const { error, annotations } = await write('pods', pod());
  assert.match(String(error), /violates PodSecurity "restricted:latest"/);
  assert.equal(
    annotations['error'],
    'Failed to parse policy: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "bogus": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "v1.x": must be "latest" or "v1.x"]',
  );
  assert.deepEqual(await counted('pod_security_errors_total'), [
    'pod_security_errors_total{fatal="false",request_operation="create",resource="pod",subresource=""} 1',
  ]);
});

test('a stricter level or another release warns about pods that run', async () => {
  const { objects, write, namespace } = plane();
  const update = (before: Record<string, string>, after: Record<string, string>) =>
    write('namespaces', namespace(after), { operation: 'UPDATE', oldObject: namespace(before) });
  for (const name of ['b', 'a', 'c']) objects.put(resources.pods, pod({ hostPID: true }, name));
  objects.put(resources.pods, pod({}, 'd'));
  const heading = (level: string): string =>
    `existing pods in namespace "ns" violate the new PodSecurity enforce level "${level}"`;
  const line = 'a (and 2 other pods): host namespaces';
  assert.deepEqual((await update({}, { enforce: 'baseline' })).warnings, [heading('baseline:latest'), line]);
  const levels = { enforce: 'baseline', 'enforce-version': 'v1.30' };
  assert.deepEqual((await update({ enforce: 'baseline' }, levels)).warnings, [
    heading('baseline:v1.30'),
    line,
  ]);
  // A weaker level of the same release cannot break what passed; of another release it can.
  assert.deepEqual((await update({ enforce: 'restricted' }, { enforce: 'baseline' })).warnings, []);
  assert.deepEqual((await update({ enforce: 'restricted' }, levels)).warnings, [
    heading('baseline:v1.30'),
    line,
  ]);
  assert.deepEqual((await update({ enforce: 'baseline' }, { enforce: 'privileged' })).warnings, []);
  assert.deepEqual((await update(levels, { ...levels, audit: 'restricted' })).warnings, []);
});

test('of more pods than are looked at, one of each controller comes first', async () => {
  const { objects, write, namespace } = plane();
  const owned = (name: string, uid: string): KubeObject => ({
    ...pod({}, name),
    metadata: {
      name,
      namespace: 'ns',
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: uid, uid, controller: true }],
    },
  });
  for (let index = 0; index < 3001; index++)
    objects.put(resources.pods, owned(`a-${String(index).padStart(4, '0')}`, 'one'));
  objects.put(resources.pods, { ...owned('z', 'two'), spec: { hostPID: true, containers: [] } });
  const { warnings } = await write('namespaces', namespace({ enforce: 'baseline' }), {
    operation: 'UPDATE',
    oldObject: namespace({}),
  });
  assert.deepEqual(warnings, [
    'new PodSecurity enforce level only checked against the first 3000 of 3002 existing pods',
    'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
    'z: host namespaces',
  ]);
});

test('a namespace gets no labels that cannot be read, and an exempt one hears that they are in vain', async () => {
  const { write, namespace } = plane(
    {},
    {
      exemptions: { usernames: [], namespaces: ['ns'], runtimeClasses: [] },
    },
  );
  const bad = await write('namespaces', namespace({ 'enforce-version': 'v1.9223372036854775808' }));
  assert.match(String(bad.error), /Invalid value: "v1.9223372036854775808": must be "latest" or "v1.x"/);
  const wrong = namespace({ enforce: 'bogus' });
  const kept = await write('namespaces', wrong, { operation: 'UPDATE', oldObject: wrong });
  assert.equal(kept.error, undefined);
  const exempt = await write('namespaces', namespace({ enforce: 'baseline', audit: 'restricted' }));
  assert.deepEqual(exempt.warnings, [
    'namespace "ns" is exempt from Pod Security, and the policy (enforce=baseline:latest, audit=restricted:latest) will be ignored',
  ]);
  const open = await write('namespaces', namespace({ enforce: 'privileged', 'enforce-version': 'v1.3' }));
  assert.deepEqual(open.warnings, []);
});
