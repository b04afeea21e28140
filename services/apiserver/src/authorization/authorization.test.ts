import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { silentLogger } from '@pilothouse/base';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { impersonate, impersonationRequest } from '../authentication/impersonation.ts';
import { MemoryObjectAccess } from '../security/memory-object-access.ts';
import { resources } from '../security/object-access.ts';
import { createAuthorization } from './authorization.ts';
import { forbidden } from './forbidden.ts';
import { pathAttributes, resourceAttributes } from './interface.ts';
import { reconciled } from './bootstrap/reconcile.ts';

const alice = { name: 'alice', groups: ['devs', 'system:authenticated'] };
const node = { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] };

async function plane(isEnabled?: (gate: string) => boolean) {
  const objects = new MemoryObjectAccess();
  const authorization = createAuthorization(
    { modes: ['Node', 'RBAC'] },
    { clock: nodeClock, random: nodeRandom, objects, logger: silentLogger, isEnabled },
  );
  await authorization.start();
  await authorization.reconcileBootstrapPolicy();
  return { objects, authorization };
}

const goldenFolder = new URL('../../../../../shared/golden/open/authz/', import.meta.url);

interface GoldenStep {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: KubeObject;
  expect?: { status: number | number[]; body?: KubeObject };
}

const created: Record<string, (typeof resources)[keyof typeof resources]> = {
  roles: resources.roles,
  rolebindings: resources.roleBindings,
  clusterroles: resources.clusterRoles,
  clusterrolebindings: resources.clusterRoleBindings,
};

test('roles of controllers behind a gate are there when it is on', async () => {
  const rewriter = async (isEnabled?: (gate: string) => boolean): Promise<boolean> => {
    const { objects } = await plane(isEnabled);
    const roles = await objects.list(resources.clusterRoles);
    return roles.some(
      ({ metadata }) => metadata.name === 'system:controller:storage-version-migrator-controller',
    );
  };
  assert.equal(await rewriter(), false);
  assert.equal(await rewriter((gate) => gate === 'StorageVersionMigrator'), true);
});

test('access reviews give the answers recorded from a stock server', async (context) => {
  if (!fs.existsSync(goldenFolder)) return context.skip('recordings are not here');
  const { objects, authorization } = await plane();
  let compared = 0;
  for (const file of fs.readdirSync(goldenFolder)) {
    const { steps } = JSON.parse(fs.readFileSync(new URL(file, goldenFolder), 'utf8')) as {
      steps: GoldenStep[];
    };
    for (const step of steps) {
      if (step.method !== 'POST' || step.body === undefined) continue;
      const [, , group, , ...rest] = step.path.split('/');
      if (group === 'rbac.authorization.k8s.io' && step.headers === undefined) {
        const resource = created[rest.at(-1) ?? ''];
        const namespace = rest[0] === 'namespaces' ? rest[1] : undefined;
        if (resource !== undefined) {
          const metadata = { ...step.body.metadata, ...(namespace === undefined ? {} : { namespace }) };
          objects.put(resource, { ...step.body, metadata });
        }
      } else if (
        rest.join('/') === 'subjectaccessreviews' &&
        step.expect?.body?.['status']?.allowed !== undefined
      ) {
        const answer = await authorization.reviewSubject({
          ...step.body,
          metadata: step.body.metadata ?? {},
        });
        assert.deepEqual(
          answer['status'],
          step.expect.body['status'],
          `${file} ${JSON.stringify(step.body['spec'])}`,
        );
        compared++;
      }
    }
  }
  assert.ok(compared > 50, `only ${compared} answers were compared`);
});

test('a refusal reads as upstream words it', () => {
  assert.equal(
    forbidden(resourceAttributes(alice, 'get', { namespace: 'default', resource: 'pods', name: 'x' }), '')
      .message,
    'pods "x" is forbidden: User "alice" cannot get resource "pods" in API group "" in the namespace "default"',
  );
  assert.equal(
    forbidden(pathAttributes(alice, 'get', '/nope'), '').message,
    'forbidden: User "alice" cannot get path "/nope"',
  );
});

test('a binding to a missing role is told in the reason', async () => {
  const { objects, authorization } = await plane();
  objects.put(resources.clusterRoleBindings, {
    metadata: { name: 'b' },
    roleRef: { kind: 'ClusterRole', name: 'gone', apiGroup: 'rbac.authorization.k8s.io' },
    subjects: [{ kind: 'User', name: 'alice' }],
  });
  const result = await authorization.authorizer.authorize(
    resourceAttributes(alice, 'get', { resource: 'pods' }),
  );
  assert.deepEqual(result, {
    decision: 'noOpinion',
    reason: 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
  });
});

test('remembered answers follow every change of roles and bindings', async () => {
  const { objects, authorization } = await plane();
  const question = resourceAttributes(alice, 'get', { namespace: 'ns', resource: 'pods' });
  const decision = async (): Promise<string> => (await authorization.authorizer.authorize(question)).decision;
  const role = (verb: string): void => {
    const rules = [{ apiGroups: [''], resources: ['pods'], verbs: [verb] }];
    objects.put(resources.roles, { metadata: { name: 'r', namespace: 'ns' }, rules });
  };
  assert.equal(await decision(), 'noOpinion');
  role('get');
  objects.put(resources.roleBindings, {
    metadata: { name: 'b', namespace: 'ns' },
    roleRef: { kind: 'Role', name: 'r' },
    subjects: [{ kind: 'User', name: 'alice' }],
  });
  assert.equal(await decision(), 'allow');
  role('list');
  assert.equal(await decision(), 'noOpinion');
  role('get');
  assert.equal(await decision(), 'allow');
  objects.remove(resources.roleBindings, 'ns', 'b');
  assert.equal(await decision(), 'noOpinion');
});

test('nobody gives away more than it holds', async () => {
  const { objects, authorization } = await plane();
  objects.put(resources.clusterRoles, {
    metadata: { name: 'some' },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
  });
  objects.put(resources.clusterRoleBindings, {
    metadata: { name: 'b' },
    roleRef: { kind: 'ClusterRole', name: 'some', apiGroup: 'rbac.authorization.k8s.io' },
    subjects: [{ kind: 'User', name: 'alice' }],
  });
  const role = (rules: object[]): KubeObject => ({
    kind: 'Role',
    metadata: { name: 'r', namespace: 'ns' },
    rules,
  });
  await authorization.checkEscalation(
    role([{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }]),
    undefined,
    alice,
  );
  const greedy = role([{ apiGroups: [''], resources: ['pods', 'secrets'], verbs: ['get', 'list'] }]);
  await assert.rejects(authorization.checkEscalation(greedy, undefined, alice), {
    message:
      'roles.rbac.authorization.k8s.io "r" is forbidden: user "alice" (groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n' +
      '{APIGroups:[""], Resources:["pods"], Verbs:["list"]}\n' +
      '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
  });
  await authorization.checkEscalation(greedy, greedy, alice);
  await authorization.checkEscalation(greedy, undefined, { name: 'root', groups: ['system:masters'] });
  const binding: KubeObject = {
    kind: 'RoleBinding',
    metadata: { name: 'rb', namespace: 'ns' },
    roleRef: { kind: 'ClusterRole', name: 'cluster-admin', apiGroup: 'rbac.authorization.k8s.io' },
    subjects: [{ kind: 'User', name: 'alice' }],
  };
  await assert.rejects(
    authorization.checkEscalation(binding, undefined, alice),
    /not currently held:\n\{APIGroups:\["\*"\]/,
  );
});

test('a node reads what its pods need, no more', async () => {
  const { objects, authorization } = await plane();
  const may = async (verb: string, target: Parameters<typeof resourceAttributes>[2]) =>
    authorization.authorizer.authorize(resourceAttributes(node, verb, target));
  const secret = { resource: 'secrets', namespace: 'ns', name: 's' };
  assert.equal((await may('get', secret)).reason, "no relationship found between node 'a' and this object");
  objects.put(resources.pods, {
    metadata: { name: 'p', namespace: 'ns' },
    spec: {
      nodeName: 'a',
      serviceAccountName: 'default',
      containers: [{ envFrom: [{ configMapRef: { name: 'c' } }] }],
      volumes: [
        { name: 'v', secret: { secretName: 's' } },
        { name: 'w', persistentVolumeClaim: { claimName: 'claim' } },
      ],
    },
  });
  objects.put(resources.persistentVolumes, {
    metadata: { name: 'pv' },
    spec: {
      claimRef: { namespace: 'ns', name: 'claim' },
      csi: { nodePublishSecretRef: { name: 'x', namespace: 'other' } },
    },
  });
  assert.equal((await may('get', secret)).decision, 'allow');
  assert.equal((await may('get', { resource: 'configmaps', namespace: 'ns', name: 'c' })).decision, 'allow');
  assert.equal((await may('get', { resource: 'persistentvolumes', name: 'pv' })).decision, 'allow');
  assert.equal((await may('get', { resource: 'secrets', namespace: 'other', name: 'x' })).decision, 'allow');
  assert.equal((await may('list', { resource: 'secrets', namespace: 'ns' })).reason, 'No Object name found');
  const token = { resource: 'serviceaccounts', subresource: 'token', namespace: 'ns', name: 'default' };
  assert.equal((await may('create', token)).decision, 'allow');
  objects.remove(resources.pods, 'ns', 'p');
  assert.equal((await may('get', secret)).decision, 'noOpinion');
  assert.equal((await may('get', { resource: 'persistentvolumes', name: 'pv' })).decision, 'noOpinion');
});

test('impersonation needs either the old verb or both new ones', async () => {
  const { objects, authorization } = await plane();
  const request = resourceAttributes(alice, 'list', { resource: 'namespaces' });
  const wanted = impersonationRequest({ 'impersonate-user': 'jane', 'impersonate-group': 'x' });
  assert.ok(wanted !== undefined);
  await assert.rejects(impersonate(alice, wanted, request, authorization.authorizer), {
    message:
      'namespaces is forbidden: User "alice" cannot impersonate-on:user-info:list resource "namespaces" in API group "" at the cluster scope',
  });
  const grant = (rules: object[]): void => {
    objects.put(resources.clusterRoles, { metadata: { name: 'i' }, rules });
  };
  objects.put(resources.clusterRoleBindings, {
    metadata: { name: 'i' },
    roleRef: { kind: 'ClusterRole', name: 'i', apiGroup: 'rbac.authorization.k8s.io' },
    subjects: [{ kind: 'User', name: 'alice' }],
  });
  grant([{ apiGroups: [''], resources: ['users', 'groups'], verbs: ['impersonate'] }]);
  assert.deepEqual(await impersonate(alice, wanted, request, authorization.authorizer), {
    user: { name: 'jane', groups: ['x', 'system:authenticated'] },
    mode: undefined,
  });
  grant([
    { apiGroups: [''], resources: ['namespaces'], verbs: ['impersonate-on:user-info:list'] },
    { apiGroups: ['authentication.k8s.io'], resources: ['users'], verbs: ['impersonate:user-info'] },
  ]);
  await assert.rejects(
    impersonate(alice, wanted, request, authorization.authorizer),
    /User "alice" cannot impersonate resource "users"/,
  );
  assert.throws(() => impersonationRequest({ 'impersonate-group': 'x' }), /without impersonating a user/);
});

test('reconciling gives back what a default role lost and leaves the rest', () => {
  const rule = { apiGroups: [''], resources: ['pods'], verbs: ['get'] };
  const other = { apiGroups: [''], resources: ['secrets'], verbs: ['get'] };
  const wanted: KubeObject = { metadata: { name: 'r' }, rules: [rule] };
  assert.deepEqual(reconciled({ metadata: { name: 'r' }, rules: [other] }, wanted)?.['rules'], [other, rule]);
  assert.equal(reconciled({ metadata: { name: 'r' }, rules: [rule, other] }, wanted), undefined);
  const annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' };
  assert.equal(reconciled({ metadata: { name: 'r', annotations }, rules: [] }, wanted), undefined);
});
