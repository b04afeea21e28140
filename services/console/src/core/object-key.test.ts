import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConsoleError } from '../errors.ts';
import { objectKey } from './object-key.ts';

const key = (group: string, resource: string, namespace: string, name: string): string =>
  objectKey({ group, resource, namespace, name });

test('keys are those of the API server', () => {
  assert.equal(key('', 'pods', 'default', 'web'), 'pods/default/web');
  assert.equal(key('', 'services', 'default', 'web'), 'services/specs/default/web');
  assert.equal(key('', 'nodes', '', 'node-0'), 'minions/node-0');
  assert.equal(key('apps', 'deployments', 'a', 'b'), 'deployments/a/b');
  assert.equal(key('events.k8s.io', 'events', 'a', 'b'), 'events/a/b');
  assert.equal(
    key('rbac.authorization.k8s.io', 'clusterroles', '', 'system:node'),
    'clusterroles/system:node',
  );
  assert.equal(
    key('apiregistration.k8s.io', 'apiservices', '', 'v1.apps'),
    'apiregistration.k8s.io/apiservices/v1.apps',
  );
  assert.equal(key('shop.example', 'orders', 'a', 'b'), 'shop.example/orders/a/b');
});

test('no other name leads to the key of an object', () => {
  for (const [group, resource, namespace, name] of [
    // A group that is the folder of secrets, a resource that is a namespace.
    ['secrets', 'default', '', 'token'],
    ['', 'secrets', '', 'default/token'],
    ['', 'secrets', '', 'token'],
    ['', 'nodes', 'default', 'token'],
    ['', 'configmaps', '../secrets/default', 'token'],
    ['', 'configmaps', 'default', '../../secrets/default/token'],
    ['', 'configmaps', 'default', '..'],
    ['', 'configmaps', 'default', ''],
    ['', 'configmaps', 'default', '%2e%2e'],
    ['shop.example', 'orders/a', '', 'b'],
    ['shop.example/orders', 'a', '', 'b'],
    ['', 'bindings', 'default', 'a'],
    ['authorization.k8s.io', 'selfsubjectaccessreviews', '', 'a'],
  ] as const)
    assert.throws(() => key(group, resource, namespace, name), ConsoleError, `${group} ${resource} ${name}`);
});
