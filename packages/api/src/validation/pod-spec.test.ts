import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldPath } from '@pilothouse/apimachinery';
import { validatePodSpec, validatePodTemplateSpec } from './pod-spec.ts';
import type { Json } from './values.ts';

const container = (more: Json = {}): Json => ({
  name: 'a',
  image: 'i',
  terminationMessagePolicy: 'File',
  imagePullPolicy: 'Always',
  ...more,
});
const spec = (more: Json = {}, ofContainer: Json = {}): Json => ({
  containers: [container(ofContainer)],
  restartPolicy: 'Always',
  dnsPolicy: 'ClusterFirst',
  terminationGracePeriodSeconds: 30,
  ...more,
});
const found = (of: Json, meta: Json = { name: 'p' }): string[] =>
  validatePodSpec(of, meta, new FieldPath('spec')).map((each) => `${each.field}: ${each.message}`);
const fields = (of: Json): string[] => found(of).map((each) => each.slice(0, each.indexOf(': ')));

test('on the host network the ports of containers are those of the host, in a template when they are given', () => {
  const ports = { ports: [{ containerPort: 80, protocol: 'TCP' }] };
  const init = container({ name: 'i', ports: [{ containerPort: 80, hostPort: 81, protocol: 'TCP' }] });
  const whole = spec({ hostNetwork: true, initContainers: [init] }, ports);
  assert.deepEqual(fields(whole), ['spec.containers[0].ports[0].hostPort']);
  assert.deepEqual(validatePodTemplateSpec({ spec: whole }, new FieldPath('spec.template')), []);
});

test('settings of a namespace that is shared with the host are refused', () => {
  const sysctls = ['net.a', 'net/b.c/d', 'kernel.sem', 'fs.mqueue.x', 'vm.x'].map((name) => ({
    name,
    value: '1',
  }));
  assert.deepEqual(fields(spec({ hostNetwork: true, securityContext: { sysctls } })), [
    'spec.securityContext.sysctls[0].name',
    'spec.securityContext.sysctls[1].name',
  ]);
  assert.deepEqual(fields(spec({ hostIPC: true, securityContext: { sysctls } })), [
    'spec.securityContext.sysctls[2].name',
    'spec.securityContext.sysctls[3].name',
  ]);
});

test("what containers ask for fits into the pod's own resources", () => {
  const sidecar = container({ name: 's', restartPolicy: 'Always', resources: { requests: { cpu: '1' } } });
  const own = { resources: { requests: { cpu: '1' }, limits: { memory: '2Gi' } } };
  const resources = { requests: { cpu: '1500m' }, limits: { cpu: '2', memory: '1Gi', gpu: '1' } };
  assert.deepEqual(found(spec({ initContainers: [sidecar], resources }, own)).sort(), [
    'spec.resources.containers[0][memory].limits: Invalid value: "2Gi": must be less than or equal to pod limits of 1Gi',
    'spec.resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
    'spec.resources.requests[cpu]: Invalid value: "1500m": must be greater than or equal to aggregate container requests of 2',
  ]);
});

test('an ephemeral container has none of the members of services, not even empty ones', () => {
  const members = { lifecycle: {}, restartPolicyRules: [], resizePolicy: [], resources: {} };
  const at = 'spec.ephemeralContainers[0]';
  assert.deepEqual(fields(spec({ ephemeralContainers: [container({ name: 'e', ...members })] })), [
    `${at}.resizePolicy`,
    `${at}.restartPolicyRules`,
    `${at}.lifecycle`,
  ]);
  const resources = { limits: {} };
  assert.deepEqual(fields(spec({ ephemeralContainers: [container({ name: 'e', resources })] })), [
    `${at}.resources`,
  ]);
});

test('init containers: rules need a policy, conflicts are told of the first index, resizes restart sidecars only', () => {
  const ports = [81, 81].map((hostPort) => ({ containerPort: 80, hostPort, protocol: 'TCP' }));
  const resizePolicy = [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }];
  const init = [
    container({ name: 'x', restartPolicyRules: [{ action: 'Restart' }] }),
    container({ name: 'y', ports, resizePolicy }),
  ];
  assert.deepEqual(fields(spec({ initContainers: init })), [
    'spec.initContainers[0].restartPolicy',
    'spec.initContainers[0].ports[1].hostPort',
    'spec.initContainers[1].resizePolicy[0].restartPolicy',
  ]);
});

test('mirror pods have no claims of devices', () => {
  const meta = { name: 'p', annotations: { 'kubernetes.io/config.mirror': 'x' } };
  assert.deepEqual(found(spec({ resourceClaims: [{ name: 'c', resourceClaimName: 'd' }] }), meta), [
    '[]: Forbidden: static pods do not support resource claims',
  ]);
});

test('a deadline that no 32 bits hold is refused, also one beyond what numbers hold exactly', () => {
  for (const activeDeadlineSeconds of [0, 2 ** 31, 2n ** 62n])
    assert.deepEqual(fields(spec({ activeDeadlineSeconds })), ['spec.activeDeadlineSeconds']);
});
