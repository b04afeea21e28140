import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { AuthorizationAttributes } from '../../authorization/interface.ts';
import type { CacheView, RestContext } from '../rest/rest-storage.ts';
import { claimHooks } from './claim-hooks.ts';

const result = { request: 'r', driver: 'd.example.com', pool: 'p', device: 'd' };
const claim = (status: object): KubeObject => ({
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceClaim',
  metadata: { name: 'c', namespace: 'n' },
  spec: { devices: { requests: [{ name: 'r', exactly: { adminAccess: true } }] } },
  status,
});
const allocated = { allocation: { devices: { results: [result] } } };
const context = { user: { name: 'u', groups: [] }, verb: 'update', namespace: 'n' } as unknown as RestContext;

async function findings(status: object, old: object | undefined, allow: string[], labelled = false) {
  const asked: AuthorizationAttributes[] = [];
  const labels = labelled ? { 'resource.kubernetes.io/admin-access': 'true' } : {};
  const view = { get: () => ({ metadata: { name: 'n', labels } }) } as unknown as CacheView;
  const hooks = claimHooks(
    () => view,
    {
      authorizer: {
        authorize(attributes) {
          asked.push(attributes);
          const allowed = allow.includes(`${attributes.subresource} ${attributes.verb} ${attributes.name}`);
          return Promise.resolve({ decision: allowed ? 'allow' : 'noOpinion', reason: '' });
        },
      },
    },
    () => true,
  );
  const found = await hooks.findings?.(context, claim(status), old && claim(old), old ? 'status' : '');
  return { asked, found: (found ?? []).map((each) => `${each.field}: ${each.message}`) };
}

test('who may not bind claims or speak for a driver is told which right is missing', async () => {
  const changed = { ...allocated, devices: [{ ...result, data: {} }] };
  const { found, asked } = await findings(changed, {}, []);
  assert.deepEqual(found, [
    'status.allocation: Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="update" permission: resourceclaims.resource.k8s.io is forbidden: User "u" cannot update resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope',
    'status.devices: Forbidden: changing status.devices requires resource="resourceclaims/driver", verb="[arbitrary-node:update]" permission: resourceclaims.resource.k8s.io "d.example.com" is forbidden: User "u" cannot arbitrary-node:update resource "resourceclaims/driver" in API group "resource.k8s.io" in the namespace "n"',
  ]);
  assert.deepEqual(
    asked.map((each) => each.namespace),
    ['', 'n'],
  );
  const rights = ['binding update ', 'driver arbitrary-node:update d.example.com'];
  assert.deepEqual((await findings(changed, {}, rights)).found, []);
});

test('devices for administration need the label, in the spec and in the status', async () => {
  const status = { allocation: { devices: { results: [{ ...result, adminAccess: true }] } } };
  const rights = ['binding update '];
  assert.match(
    (await findings({}, undefined, [])).found.join(),
    /^spec\.devices\.requests\[0\]\.adminAccess/,
  );
  assert.match(
    (await findings(status, {}, rights)).found.join(),
    /^status\.allocation\.devices\.results\[0\]\.adminAccess: Forbidden/,
  );
  assert.deepEqual((await findings({}, undefined, [], true)).found, []);
  assert.deepEqual((await findings(status, {}, rights, true)).found, []);
});
