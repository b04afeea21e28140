import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { dropDeallocated, validateClaimStatus } from './claim-status.ts';

const device = { driver: 'd.example.com', pool: 'p', device: 'd' };
const allocation = { devices: { results: [{ request: 'r', ...device }] } };
const consumer = { resource: 'pods', name: 'p', uid: 'u' };

const claim = (status: object): KubeObject => ({
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceClaim',
  metadata: { name: 'c', namespace: 'n' },
  spec: { devices: { requests: [{ name: 'r' }] } },
  status,
});
const fieldsOf = (status: object, before: object = {}): string[] =>
  validateClaimStatus(claim(status), claim(before)).map((each) => each.field);

test('a claim is reserved only when it is allocated', () => {
  assert.deepEqual(fieldsOf({ reservedFor: [consumer] }), ['status.reservedFor']);
  assert.deepEqual(fieldsOf({ reservedFor: [consumer], allocation }), []);
});

test('an allocation does not change, and names requests of the claim', () => {
  const other = { devices: { results: [{ request: 'x', ...device }] } };
  assert.deepEqual(fieldsOf({ allocation: other }, { allocation }), ['status.allocation']);
  assert.deepEqual(fieldsOf({ allocation: other }), ['status.allocation.devices.results[0].request']);
});

test('drivers tell of allocated devices only; what they told goes with the allocation', () => {
  assert.deepEqual(fieldsOf({ devices: [device] }), ['status.devices[0]']);
  const freed = claim({ devices: [device] });
  dropDeallocated(freed, claim({ allocation, devices: [device] }));
  assert.deepEqual(freed['status'], {});
});
