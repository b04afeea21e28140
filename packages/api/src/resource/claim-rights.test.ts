import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { newAdminAccess, rightsOfClaimStatus } from './claim-rights.ts';

const device = { driver: 'd.example.com', pool: 'p', device: 'd' };
const onNode = (name: string): object => ({
  nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }],
});
const allocation = { devices: { results: [{ request: 'r', ...device }] }, nodeSelector: onNode('n1') };
const claim = (status: object): KubeObject => ({
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceClaim',
  metadata: { name: 'c', namespace: 'n' },
  status,
});
const driverPod = (node: string) => ({
  name: 'system:serviceaccount:drivers:d',
  extra: { 'authentication.kubernetes.io/node-name': [node] },
});
const rights = (status: object, old: object, user: Parameters<typeof rightsOfClaimStatus>[2]): string[] =>
  rightsOfClaimStatus(claim(status), claim(old), user, 'patch').map(
    (each) => `${each.subresource} ${each.verbs.join('|')} ${each.name}`,
  );

test('allocation and consumers take the right to bind', () => {
  const user = { name: 'u' };
  assert.deepEqual(rights({ allocation }, {}, user), ['binding patch ']);
  assert.deepEqual(rights({ allocation, reservedFor: [{ uid: 'x' }] }, { allocation }, user), [
    'binding patch ',
  ]);
  assert.deepEqual(rights({ allocation, reservedFor: [] }, { allocation }, user), []);
});

test('each driver whose devices changed has to be allowed, on its own node by a lesser right', () => {
  const devices = [{ ...device, data: { a: 1 } }];
  const changed = { allocation, devices };
  assert.deepEqual(rights(changed, { allocation }, { name: 'u' }), [
    'driver arbitrary-node:patch d.example.com',
  ]);
  assert.deepEqual(rights(changed, { allocation }, driverPod('n1')), [
    'driver associated-node:patch|arbitrary-node:patch d.example.com',
  ]);
  assert.deepEqual(rights(changed, { allocation }, driverPod('n2')), [
    'driver arbitrary-node:patch d.example.com',
  ]);
  assert.deepEqual(rights({ allocation }, changed, driverPod('n2')), [
    'driver arbitrary-node:patch d.example.com',
  ]);
  assert.deepEqual(rights(changed, changed, { name: 'u' }), []);
});

test('devices for administration are noticed when they first appear', () => {
  const given = { allocation: { devices: { results: [device, { ...device, adminAccess: true }] } } };
  assert.equal(
    newAdminAccess(claim(given), claim({}))?.text,
    'status.allocation.devices.results[1].adminAccess',
  );
  assert.equal(newAdminAccess(claim(given), claim(given)), undefined);
  assert.equal(newAdminAccess(claim({ allocation }), claim({})), undefined);
});
