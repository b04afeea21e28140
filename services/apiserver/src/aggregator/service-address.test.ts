import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { SeededRandom } from '@pilothouse/testkit';
import type { RemoteApi } from './remote-api.ts';
import type { ServiceLookup } from './service-address.ts';
import { serviceAddress, serviceFault } from './service-address.ts';

const api = { service: { namespace: 'ns', name: 's', port: 443 } } as RemoteApi;
const service = (spec: object): KubeObject => ({ metadata: { name: 's', namespace: 'ns' }, spec }) as never;
const slice = (address: string, ready = true, extra: object = {}): KubeObject =>
  ({
    metadata: {},
    addressType: 'IPv4',
    ports: [{ name: 'https', port: 8443 }],
    endpoints: [{ addresses: [address], conditions: { ready } }],
    ...extra,
  }) as never;
const lookup = (found: KubeObject | undefined, slices: KubeObject[] = []): ServiceLookup => ({
  service: () => found,
  endpointSlices: () => slices,
});
const https = { type: 'ClusterIP', clusterIP: '10.0.0.9', ports: [{ name: 'https', port: 443 }] };
const options = { random: new SeededRandom(1), endpointsOnly: false };

test('why a service cannot answer, step by step', () => {
  assert.deepEqual(serviceFault(api, lookup(undefined)), {
    reason: 'ServiceNotFound',
    message: 'service/s in "ns" is not present',
  });
  assert.deepEqual(serviceFault(api, lookup(service({ ports: [{ port: 80 }] }))), {
    reason: 'ServicePortError',
    message: 'service/s in "ns" is not listening on port 443',
  });
  assert.deepEqual(serviceFault(api, lookup(service(https))), {
    reason: 'EndpointsNotFound',
    message: 'cannot find endpointslices for service/s in "ns"',
  });
  assert.deepEqual(serviceFault(api, lookup(service(https), [slice('10.1.1.1', false)])), {
    reason: 'MissingEndpoints',
    message: 'endpointslices for service/s in "ns" have no addresses with port name "https"',
  });
  assert.equal(serviceFault(api, lookup(service(https), [slice('10.1.1.1')])), undefined);
  assert.equal(serviceFault(api, lookup(service({ type: 'ExternalName' }))), undefined);
});

test('a ready endpoint of the primary family comes before the address of the service', () => {
  const six = slice('fd00::1', true, { addressType: 'IPv6' });
  const found = service({ ...https, ipFamilies: ['IPv6', 'IPv4'] });
  assert.deepEqual(serviceAddress(api, lookup(found, [slice('10.1.1.1'), six]), options), {
    host: 'fd00::1',
    port: 8443,
  });
  assert.deepEqual(serviceAddress(api, lookup(found, [slice('10.1.1.1', false)]), options), {
    host: '10.0.0.9',
    port: 443,
  });
  assert.throws(
    () => serviceAddress(api, lookup(found), { ...options, endpointsOnly: true }),
    /no endpoints available for service "s"/,
  );
  assert.throws(
    () => serviceAddress(api, lookup(service({ ...https, clusterIP: 'None' })), options),
    /cannot route to service with ClusterIP "None"/,
  );
});
