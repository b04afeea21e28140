import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availability } from './api-service-status.ts';

const apiService = (service?: object): never =>
  ({ apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: {}, spec: { service } }) as never;

test('an APIService of another server is not available, and says why', () => {
  assert.equal(
    availability(apiService(), () => true),
    undefined,
  );
  const remote = apiService({ namespace: 'ns', name: 's' });
  const missing = availability(remote, () => false);
  assert.equal(missing?.reason, 'ServiceNotFound');
  assert.equal(missing.message, 'service/s in "ns" is not present');
  assert.equal(
    availability(remote, (namespace, name) => namespace === 'ns' && name === 's')?.reason,
    'FailedDiscoveryCheck',
  );
});
