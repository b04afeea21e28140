import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { MemoryKeyValueStore } from '../../storage/memory/memory-key-value-store.ts';
import { createRegistry } from '../registry.ts';
import { startBootstrap } from './bootstrap.ts';

test('two servers make the objects that must exist, once, and are both endpoints', async () => {
  const store = new MemoryKeyValueStore({ now: () => Date.now() });
  const open = async (hostname: string, advertiseAddress: string) => {
    const registry = createRegistry({
      store,
      clock: nodeClock,
      random: nodeRandom,
      serviceCidrs: ['10.0.0.0/16'],
    });
    await registry.start();
    const bootstrap = startBootstrap({
      registry,
      clock: nodeClock,
      random: nodeRandom,
      logger: silentLogger,
      hostname,
      advertiseAddress,
      port: 6443,
      clusterAuthentication: {
        'client-ca-file': '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
      },
    });
    return { registry, bootstrap };
  };
  const [a, b] = await Promise.all([open('a', '192.0.2.1'), open('b', '192.0.2.2')]);
  await Promise.all([a.bootstrap.done, b.bootstrap.done]);
  const { client } = a.registry;
  const names = async (group: string, version: string, resource: string): Promise<string[]> =>
    (await client.list(group, version, resource)).map((object) => object.metadata.name ?? '');
  assert.deepEqual(await names('', 'v1', 'namespaces'), [
    'default',
    'kube-node-lease',
    'kube-public',
    'kube-system',
  ]);
  assert.equal((await names('flowcontrol.apiserver.k8s.io', 'v1', 'flowschemas')).length, 11);
  assert.equal((await names('flowcontrol.apiserver.k8s.io', 'v1', 'prioritylevelconfigurations')).length, 8);
  assert.equal((await names('coordination.k8s.io', 'v1', 'leases')).length, 2);
  assert.ok((await names('apiregistration.k8s.io', 'v1', 'apiservices')).includes('v1.apps'));
  const service = await client.get('', 'v1', 'services', 'default', 'kubernetes');
  assert.equal(service['spec'].clusterIP, '10.0.0.1');
  const cidr = await client.get('networking.k8s.io', 'v1', 'servicecidrs', '', 'kubernetes');
  assert.equal(cidr['status'].conditions[0].type, 'Ready');
  // The one that reconciled last saw both.
  const addresses = async (): Promise<string[]> =>
    (await client.get('', 'v1', 'endpoints', 'default', 'kubernetes'))['subsets'][0].addresses.map(
      (address: { ip: string }) => address.ip,
    );
  assert.deepEqual(await addresses(), ['192.0.2.1', '192.0.2.2']);
  assert.ok(a.bootstrap.hookDone('bootstrap-controller'));
  await b.bootstrap.close();
  assert.deepEqual(await addresses(), ['192.0.2.1']);
  await a.bootstrap.close();
  a.registry.close();
  b.registry.close();
});
