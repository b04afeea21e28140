import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import { silentLogger } from '@pilothouse/base';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { alwaysAllowAuthorizer } from '../authorization/union.ts';
import { MemoryObjectAccess } from '../security/memory-object-access.ts';
import { resources } from '../security/object-access.ts';
import { createAdmission, enabledAdmissionPlugins } from './admission.ts';
import type { AdmissionConfig } from './config.ts';
import type { AdmissionAttributes } from './interface.ts';

const admin = { name: 'admin', groups: ['system:masters'] };
const node = { name: 'system:node:a', groups: ['system:nodes'] };

function plane(config: AdmissionConfig = {}) {
  const objects = new MemoryObjectAccess();
  const chain = createAdmission(config, {
    clock: nodeClock,
    random: nodeRandom,
    objects,
    authorizer: alwaysAllowAuthorizer,
    logger: silentLogger,
  });
  const warnings: string[] = [];
  objects.put(resources.namespaces, { metadata: { name: 'ns' } });
  objects.put(resources.serviceAccounts, { metadata: { name: 'default', namespace: 'ns' } });
  const kinds: Record<string, string> = { pods: 'Pod', namespaces: 'Namespace', services: 'Service' };
  /** Runs both phases; returns the object. */
  const write = async (
    resource: string,
    object: KubeObject | undefined,
    more: Partial<AdmissionAttributes> = {},
  ): Promise<KubeObject> => {
    const attributes: AdmissionAttributes = {
      operation: 'CREATE',
      kind: { group: '', version: 'v1', kind: kinds[resource] ?? resource },
      resource: { group: '', version: 'v1', resource },
      subresource: '',
      name: object?.metadata.name ?? '',
      namespace: 'ns',
      object,
      oldObject: undefined,
      options: {},
      user: admin,
      dryRun: false,
      addWarning: (text) => warnings.push(text),
      addAuditAnnotation: () => undefined,
      ...more,
    };
    await chain.admit(attributes);
    await chain.validate(attributes);
    return attributes.object as KubeObject;
  };
  return { objects, write, warnings };
}

const pod = (spec: object = {}, name = 'p'): KubeObject => ({
  metadata: { name, namespace: 'ns' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});

const withResources = (requests: object, limits: object = {}): KubeObject =>
  pod({ containers: [{ name: 'c', image: 'i', resources: { requests, limits } }] });

function refused(text: string, code = 403): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof StatusError, String(error));
    assert.equal(error.message, text);
    assert.equal(error.httpCode, code);
    return true;
  };
}

test('a pod gets what the default plugins give', async () => {
  const { write } = plane();
  const made = await write('pods', pod());
  const volume = made['spec'].volumes[0];
  assert.match(volume.name, /^kube-api-access-[a-z0-9]{5}$/);
  assert.equal(volume.projected.sources[0].serviceAccountToken.expirationSeconds, 3607);
  assert.equal(made['spec'].containers[0].volumeMounts[0].name, volume.name);
  assert.equal(made['spec'].serviceAccountName, 'default');
  assert.equal(made['spec'].priority, 0);
  assert.equal(made['spec'].preemptionPolicy, 'PreemptLowerPriority');
  assert.deepEqual(
    made['spec'].tolerations.map((each: { key: string }) => each.key),
    ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'],
  );
});

test('a namespace that is missing or ends takes nothing new', async () => {
  const { objects, write } = plane();
  await assert.rejects(
    write('pods', pod(), { namespace: 'none' }),
    refused('namespaces "none" not found', 404),
  );
  objects.put(resources.namespaces, { metadata: { name: 'ns' }, status: { phase: 'Terminating' } });
  await assert.rejects(write('configmaps', { metadata: { name: 'x' } }), (error: unknown) => {
    const { status } = error as StatusError;
    assert.equal(
      status.message,
      'configmaps "x" is forbidden: unable to create new content in namespace ns because it is being terminated',
    );
    assert.deepEqual(status.details?.causes, [
      {
        reason: 'NamespaceTerminating',
        message: 'namespace ns is being terminated',
        field: 'metadata.namespace',
      },
    ]);
    return true;
  });
  await assert.rejects(
    write('namespaces', undefined, { operation: 'DELETE', name: 'default', namespace: 'default' }),
    refused('namespaces "default" is forbidden: this namespace may not be deleted'),
  );
});

test('LimitRanger sets defaults and keeps limits', async () => {
  const { objects, write } = plane();
  const set = (limits: object[]): void => {
    objects.put(resources.limitRanges, { metadata: { name: 'l', namespace: 'ns' }, spec: { limits } });
  };
  const amounts = { cpu: '1', memory: '1Gi' };
  set([{ type: 'Container', min: { cpu: '100m' }, max: amounts, default: amounts, defaultRequest: amounts }]);
  const made = await write('pods', pod());
  assert.equal(
    made.metadata.annotations?.['kubernetes.io/limit-ranger'],
    'LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c',
  );
  assert.deepEqual(made['spec'].containers[0].resources, { limits: amounts, requests: amounts });
  await assert.rejects(
    write('pods', withResources({ cpu: '50m' }, { cpu: '50m' })),
    refused('pods "p" is forbidden: minimum cpu usage per Container is 100m, but request is 50m'),
  );
  set([
    { type: 'Container', maxLimitRequestRatio: { cpu: '2' } },
    { type: 'Pod', max: { cpu: '1' }, min: { memory: '10Mi' } },
  ]);
  await assert.rejects(
    write('pods', withResources({ cpu: '100m', memory: '20Mi' }, { cpu: '500m', memory: '20Mi' })),
    refused(
      'pods "p" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000',
    ),
  );
  await assert.rejects(
    write('pods', pod()),
    refused(
      'pods "p" is forbidden: [cpu max limit to request ratio per Container is 2, but no request is specified or request is 0, minimum memory usage per Pod is 10Mi.  No request is specified, maximum cpu usage per Pod is 1.  No limit is specified]',
    ),
  );
});

test('a quota is charged once per pod, also when many come at once', async () => {
  const { objects, write } = plane();
  objects.put(resources.resourceQuotas, {
    metadata: { name: 'q', namespace: 'ns' },
    spec: { hard: { pods: '3', 'requests.cpu': '1' } },
    status: { hard: { pods: '3', 'requests.cpu': '1' }, used: { pods: '0', 'requests.cpu': '0' } },
  });
  const status = async (): Promise<unknown> =>
    (await objects.get(resources.resourceQuotas, 'ns', 'q'))['status'].used;
  await assert.rejects(
    write('pods', pod()),
    refused('pods "p" is forbidden: failed quota: q: must specify requests.cpu for: c'),
  );
  await assert.rejects(
    write('pods', withResources({ cpu: '2' })),
    refused(
      'pods "p" is forbidden: exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1',
    ),
  );
  await write('pods', withResources({ cpu: '100m' }), { dryRun: true });
  assert.deepEqual(await status(), { pods: '0', 'requests.cpu': '0' });
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => write('pods', withResources({ cpu: '250m' }))),
  );
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 3);
  assert.deepEqual(await status(), { pods: '3', 'requests.cpu': '750m' });
  const last = results.at(-1) as PromiseRejectedResult;
  refused('pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3')(
    last.reason,
  );
});

test('a quota without a status stays out of the way, and scopes choose pods', async () => {
  const { objects, write } = plane();
  objects.put(resources.resourceQuotas, {
    metadata: { name: 'q', namespace: 'ns' },
    spec: { hard: { pods: '0' } },
  });
  await write('pods', pod());
  objects.put(resources.resourceQuotas, {
    metadata: { name: 'be', namespace: 'ns' },
    spec: { hard: { pods: '0' }, scopes: ['BestEffort'] },
    status: { hard: { pods: '0' }, used: { pods: '0' } },
  });
  await assert.rejects(
    write('pods', pod()),
    refused('pods "p" is forbidden: exceeded quota: be, requested: pods=1, used: pods=0, limited: pods=0'),
  );
  await write('pods', withResources({ cpu: '1' }));
});

test('an update is charged for what it adds', async () => {
  const { objects, write } = plane();
  objects.put(resources.resourceQuotas, {
    metadata: { name: 'q', namespace: 'ns' },
    status: {
      hard: { services: '1', 'services.nodeports': '0' },
      used: { services: '1', 'services.nodeports': '0' },
    },
  });
  const service = (type: string): KubeObject => ({
    metadata: { name: 'm' },
    spec: { type, ports: [{ port: 80 }] },
  });
  await write('services', service('ClusterIP'), { operation: 'UPDATE', oldObject: service('ClusterIP') });
  await assert.rejects(
    write('services', service('NodePort'), { operation: 'UPDATE', oldObject: service('ClusterIP') }),
    refused(
      'services "m" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0',
    ),
  );
});

test('pod security refuses, warns, and tells all findings', async () => {
  const { objects, write, warnings } = plane();
  const level = (labels: Record<string, string>): void => {
    objects.put(resources.namespaces, {
      metadata: {
        name: 'ns',
        labels: Object.fromEntries(
          Object.entries(labels).map(([mode, text]) => [`pod-security.kubernetes.io/${mode}`, text]),
        ),
      },
    });
  };
  level({ enforce: 'baseline' });
  const cases: [object, string][] = [
    [{ hostNetwork: true, hostPID: true }, 'host namespaces (hostNetwork=true, hostPID=true)'],
    [{ volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'hostPath volumes (volume "v")'],
    [
      { containers: [{ name: 'c', securityContext: { privileged: true } }] },
      'privileged (container "c" must not set securityContext.privileged=true)',
    ],
    [{ containers: [{ name: 'c', ports: [{ hostPort: 1 }] }] }, 'hostPort (container "c" uses hostPort 1)'],
    [
      { containers: [{ name: 'c', securityContext: { capabilities: { add: ['NET_ADMIN', 'SYS_TIME'] } } }] },
      'non-default capabilities (container "c" must not include "NET_ADMIN", "SYS_TIME" in securityContext.capabilities.add)',
    ],
    [
      { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
      'forbidden sysctls (kernel.msgmax)',
    ],
    [
      { securityContext: { seccompProfile: { type: 'Unconfined' } } },
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
  ];
  for (const [spec, text] of cases) {
    await assert.rejects(
      write('pods', pod(spec)),
      refused(`pods "p" is forbidden: violates PodSecurity "baseline:latest": ${text}`),
    );
  }
  await write('pods', pod());
  assert.deepEqual(warnings, []);
  level({ warn: 'restricted' });
  await write('pods', pod({ hostNetwork: true }));
  assert.deepEqual(warnings, [
    'would violate PodSecurity "restricted:latest": host namespaces (hostNetwork=true), allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  ]);
  await assert.rejects(
    write(
      'namespaces',
      { metadata: { name: 'x', labels: { 'pod-security.kubernetes.io/enforce': 'bogus' } } },
      {
        namespace: '',
      },
    ),
    /Invalid value: "bogus": must be one of privileged, baseline, restricted/,
  );
});

test('a priority comes from a class', async () => {
  const { objects, write } = plane();
  objects.put(resources.priorityClasses, {
    metadata: { name: 'high' },
    value: 10,
    globalDefault: true,
    preemptionPolicy: 'Never',
  });
  const made = await write('pods', pod());
  assert.deepEqual(
    [made['spec'].priority, made['spec'].priorityClassName, made['spec'].preemptionPolicy],
    [10, 'high', 'Never'],
  );
  await assert.rejects(
    write('pods', pod({ priorityClassName: 'none' })),
    refused('pods "p" is forbidden: no PriorityClass with name none was found'),
  );
  await assert.rejects(
    write('pods', pod({ priority: 3 })),
    refused(
      'pods "p" is forbidden: the integer value of priority (3) must not be provided in pod spec; priority admission controller computed 10 from the given PriorityClass name',
    ),
  );
});

test('a node agent writes only what is its own', async () => {
  const { objects, write } = plane({ enable: ['NodeRestriction'] });
  const asNode = { user: node };
  await assert.rejects(
    write('nodes', { metadata: { name: 'b' } }, { ...asNode, namespace: '' }),
    refused('nodes "b" is forbidden: node "a" is not allowed to modify node "b"'),
  );
  const old: KubeObject = { metadata: { name: 'a' }, spec: {} };
  const relabel = (labels: Record<string, string>) =>
    write(
      'nodes',
      { metadata: { name: 'a', labels }, spec: {} },
      {
        ...asNode,
        namespace: '',
        operation: 'UPDATE',
        oldObject: old,
      },
    );
  await assert.rejects(
    relabel({ 'node-role.kubernetes.io/x': 'y' }),
    refused('nodes "a" is forbidden: is not allowed to modify labels: node-role.kubernetes.io/x'),
  );
  await relabel({ fine: 'y', 'topology.kubernetes.io/zone': 'z', 'x.node.kubernetes.io/y': 'z' });
  await assert.rejects(
    write('pods', pod({ nodeName: 'a' }), asNode),
    refused(
      'pods "p" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, node "a" can only create mirror pods',
    ),
  );
  objects.put(resources.pods, pod({ nodeName: 'other' }, 'o'));
  await assert.rejects(
    write('pods', undefined, { ...asNode, operation: 'DELETE', name: 'o' }),
    refused('pods "o" is forbidden: node "a" can only delete pods with spec.nodeName set to itself'),
  );
});

test('flags choose plugins and are checked', () => {
  assert.ok(!enabledAdmissionPlugins({}).includes('NodeRestriction'));
  const names = enabledAdmissionPlugins({ enable: ['NodeRestriction'], disable: ['PodSecurity'] });
  assert.ok(names.includes('NodeRestriction') && !names.includes('PodSecurity'));
  assert.ok(names.indexOf('NodeRestriction') > names.indexOf('ServiceAccount'));
  assert.throws(
    () => enabledAdmissionPlugins({ enable: ['Bogus'] }),
    /enable-admission-plugins plugin "Bogus" is unknown/,
  );
  assert.throws(() => enabledAdmissionPlugins({ enable: ['Priority'], disable: ['Priority'] }), /overlapped/);
});
