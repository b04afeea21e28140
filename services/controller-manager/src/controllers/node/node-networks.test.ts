import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeNetworks } from './node-networks.ts';

test('each node gets the lowest free network and keeps it', () => {
  const networks = new NodeNetworks('200.1.254.0/23', 24);
  assert.equal(networks.allocate('a'), '200.1.254.0/24');
  assert.equal(networks.allocate('b'), '200.1.255.0/24');
  assert.equal(networks.allocate('a'), '200.1.254.0/24');
  assert.equal(networks.allocate('c'), undefined);
  networks.release('200.1.254.0/24', 'a');
  assert.equal(networks.allocate('c'), '200.1.254.0/24');
});

test('networks that nodes have are not given away', () => {
  const networks = new NodeNetworks('10.0.0.0/16', 24);
  networks.occupy('10.0.0.0/24', 'x');
  assert.equal(networks.allocate('y'), '10.0.1.0/24');
});

test('a cluster network that is too small is refused', () => {
  assert.throws(() => new NodeNetworks('10.0.0.0/25', 24), /Cannot cut \/24 networks/);
});
