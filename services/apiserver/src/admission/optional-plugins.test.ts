import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import { silentLogger } from '@pilothouse/base';
import { nodeRandom } from '@pilothouse/host';
import { FakeClock } from '@pilothouse/testkit';
import type { Authorizer } from '../authorization/interface.ts';
import { MemoryObjectAccess } from '../security/memory-object-access.ts';
import { resources } from '../security/object-access.ts';
import { createAdmission } from './admission.ts';
import type { AdmissionAttributes } from './interface.ts';
import type { PluginConfigs } from './plugin-configs.ts';

/** One plugin alone, with user `u` who may do what `rights` say: `delete configmaps/a`. */
function alone(name: string, configs: PluginConfigs = {}, rights: readonly string[] = []) {
  const objects = new MemoryObjectAccess();
  const clock = new FakeClock();
  const annotations: Record<string, string> = {};
  const authorizer: Authorizer = {
    authorize: async ({ verb, resource, subresource, name: object }) => ({
      decision: rights.includes(`${verb} ${resource}${subresource === '' ? '' : `/${subresource}`} ${object}`)
        ? 'allow'
        : 'noOpinion',
      reason: '',
    }),
  };
  const chain = createAdmission(
    { enable: [name], disable: [] },
    { clock, random: nodeRandom, objects, authorizer, logger: silentLogger, configs },
  );
  objects.put(resources.namespaces, { metadata: { name: 'ns' } });
  objects.put(resources.serviceAccounts, { metadata: { name: 'default', namespace: 'ns' } });
  const write = async (object: KubeObject, more: Partial<AdmissionAttributes> = {}): Promise<KubeObject> => {
    const kind = more.kind?.kind ?? 'Pod';
    const attributes: AdmissionAttributes = {
      operation: more.oldObject === undefined ? 'CREATE' : 'UPDATE',
      kind: { group: '', version: 'v1', kind },
      resource: { group: '', version: 'v1', resource: `${kind.toLowerCase()}s` },
      subresource: '',
      name: object.metadata.name ?? '',
      namespace: 'ns',
      object,
      oldObject: undefined,
      options: {},
      user: { name: 'u', groups: [] },
      dryRun: false,
      addWarning: () => undefined,
      addAuditAnnotation: (key, value) => void (annotations[key] = value),
      ...more,
    };
    await chain.admit(attributes);
    await chain.validate(attributes);
    return attributes.object as KubeObject;
  };
  return { objects, clock, write, annotations };
}

const pod = (spec: object = {}): KubeObject => ({
  metadata: { name: 'p', namespace: 'ns' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});

function status(code: number, text: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof StatusError && error.httpCode === code && text.test(error.message);
}

const kindOf = (kind: string) => ({ kind: { group: '', version: 'v1', kind } });

test('EventRateLimit: a bucket fills with time, users have their own, a dry run is free', async () => {
  const limit = { type: 'User', qps: 2, burst: 2, cacheSize: 1 } as const;
  const { write, clock } = alone('EventRateLimit', { eventLimits: [limit] });
  const event = (more: object = {}) => write({ metadata: { name: 'e' } }, { ...kindOf('Event'), ...more });
  await event();
  await event();
  await assert.rejects(event(), status(429, /^Too many requests: limit reached on type User for key u$/));
  await event({ dryRun: true });
  await write(
    { metadata: { name: 'e' } },
    { kind: { group: 'events.k8s.io', version: 'v1', kind: 'Event' } },
  );
  clock.advance(500);
  await event();
  await assert.rejects(event(), status(429, /limit reached/));
  await event({ user: { name: 'v', groups: [] } });
  // One bucket is kept: that of u was thrown away and is full again.
  await event();
});

test('AlwaysPullImages looks at updates that bring an image', async () => {
  const { write } = alone('AlwaysPullImages');
  const old = pod({ containers: [{ name: 'c', image: 'i', imagePullPolicy: 'Never' }] });
  const same = await write(structuredClone(old), { oldObject: old });
  assert.equal(same['spec'].containers[0].imagePullPolicy, 'Never');
  const other = await write(pod({ containers: [{ name: 'c', image: 'j', imagePullPolicy: 'Never' }] }), {
    oldObject: old,
  });
  assert.equal(other['spec'].containers[0].imagePullPolicy, 'Always');
});

test('PodTolerationRestriction: what covers another stays alone; seconds count', async () => {
  const { write, objects } = alone('PodTolerationRestriction', {
    tolerations: { default: [{ key: 'd', operator: 'Exists' }] },
  });
  const made = await write(
    pod({ tolerations: [{ key: 'd', operator: 'Equal', value: 'x', effect: 'NoSchedule' }] }),
  );
  const own = (made['spec'].tolerations as { key?: string }[]).filter(({ key }) => key === 'd');
  assert.deepEqual(own, [{ key: 'd', operator: 'Exists' }]);
  objects.put(resources.namespaces, {
    metadata: {
      name: 'ns',
      annotations: {
        'scheduler.alpha.kubernetes.io/defaultTolerations': '',
        'scheduler.alpha.kubernetes.io/tolerationsWhitelist':
          '[{"operator":"Exists","effect":"NoExecute","tolerationSeconds":400}]',
      },
    },
  });
  const toleration = (tolerationSeconds: number) =>
    write(pod({ tolerations: [{ key: 'k', operator: 'Exists', effect: 'NoExecute', tolerationSeconds }] }));
  await toleration(300);
  await assert.rejects(toleration(500), status(500, /conflict with its namespace whitelist/));
});

test("OwnerReferencesPermissionEnforcement asks for the right to delete, and for the owner's finalizers", async () => {
  const reference = (block: boolean) => [
    { apiVersion: 'v1', kind: 'Secret', name: 's', uid: 'u1', blockOwnerDeletion: block },
  ];
  const map = (ownerReferences?: object[]): KubeObject =>
    ({
      metadata: { name: 'a', namespace: 'ns', ...(ownerReferences ? { ownerReferences } : {}) },
    }) as KubeObject;
  const name = 'OwnerReferencesPermissionEnforcement';
  const options = kindOf('ConfigMap');
  await alone(name).write(map(reference(false)), options);
  await assert.rejects(
    alone(name).write(map(reference(true)), options),
    status(403, /you can't set finalizers on/),
  );
  await alone(name, {}, ['update secrets/finalizers s']).write(map(reference(true)), options);
  await alone(name, {}, ['update */finalizers *']).write(map(reference(true)), options);
  const change = { ...options, oldObject: map(reference(true)) };
  await assert.rejects(
    alone(name).write(map(), change),
    status(403, /ownerRef on a resource you can't delete/),
  );
  await alone(name, {}, ['delete configmaps a']).write(map(), change);
  await alone(name).write(map(reference(true)), change);
});

test('ResourceQuota: what is limited needs a quota', async () => {
  const { write, objects } = alone('ResourceQuota', {
    limitedResources: [
      { apiGroup: '', resource: 'pods', matchContains: ['requests.example.com/gpu'], matchScopes: [] },
    ],
  });
  const gpu = () =>
    write(
      pod({ containers: [{ name: 'c', image: 'i', resources: { requests: { 'example.com/gpu': '1' } } }] }),
    );
  await write(pod());
  await assert.rejects(gpu(), status(403, /insufficient quota to consume: requests.example.com\/gpu$/));
  objects.put(resources.resourceQuotas, {
    metadata: { name: 'q', namespace: 'ns' },
    spec: { hard: { 'requests.example.com/gpu': '1' } },
    status: { hard: { 'requests.example.com/gpu': '1' }, used: { 'requests.example.com/gpu': '0' } },
  });
  await gpu();
  await assert.rejects(gpu(), status(403, /exceeded quota: q/));
});

test('PodSecurity: configured defaults, exemptions and what the record says', async () => {
  const level = { level: 'baseline', version: 'latest' } as const;
  const { write, annotations, objects } = alone('PodSecurity', {
    podSecurity: {
      defaults: { enforce: level, audit: { level: 'restricted', version: 'latest' }, warn: level },
      exemptions: { usernames: ['free'], namespaces: [], runtimeClasses: ['vm'] },
    },
  });
  await assert.rejects(
    write(pod({ hostNetwork: true })),
    status(403, /violates PodSecurity "baseline:latest": host namespaces/),
  );
  assert.match(
    annotations['pod-security.kubernetes.io/audit-violations'] ?? '',
    /would violate PodSecurity "restricted:latest"/,
  );
  await write(pod({ hostNetwork: true }), { user: { name: 'free', groups: [] } });
  assert.equal(annotations['pod-security.kubernetes.io/exempt'], 'user');
  objects.put(
    { group: 'node.k8s.io', version: 'v1', resource: 'runtimeclasses' },
    { metadata: { name: 'vm' }, handler: 'vm' },
  );
  await write(pod({ hostNetwork: true, runtimeClassName: 'vm' }));
  assert.equal(annotations['pod-security.kubernetes.io/exempt'], 'runtimeClass');
});
