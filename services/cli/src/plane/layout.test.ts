import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planProcesses, type PlaneOptions } from './layout.ts';

const options: PlaneOptions = {
  dataDir: '/data',
  port: 20000,
  members: 1,
  replicas: 1,
  schedulers: 0,
  controllerManagers: 0,
  nodes: 0,
  runtime: 'process',
  apiserverArguments: [],
  storeArguments: [],
  etcdServers: [],
  localStorage: false,
};

const flagsOf = (component: string, given: Partial<PlaneOptions>): readonly string[] =>
  planProcesses({ ...options, ...given }, 'token').find((each) => each.component === component)?.arguments ??
  [];

test('a flag given to up takes the place of the plane own one, however it is spelled', () => {
  const flags = flagsOf('apiserver', {
    apiserverArguments: [
      '--service-account-issuer=https://one',
      '--service-account-issuer=https://two',
      '--authorization_mode=AlwaysAllow',
    ],
  });
  assert.deepEqual(
    flags.filter((each) => /issuer|authorization/.test(each)),
    [
      '--service-account-issuer=https://one',
      '--service-account-issuer=https://two',
      '--authorization_mode=AlwaysAllow',
    ],
  );
  assert.ok(flags.includes('--allow-privileged'));
});

test('gates, admission plugins and keys that verify tokens add up', () => {
  const flags = flagsOf('apiserver', {
    apiserverArguments: ['--feature-gates=A=true', '--service-account-key-file=/old.pub'],
  });
  assert.ok(flags.includes('--feature-gates=LoopbackPods=true') && flags.includes('--feature-gates=A=true'));
  assert.equal(flags.filter((each) => each.startsWith('--service-account-key-file=')).length, 2);
});

test('flags of the store are replaced as well', () => {
  const flags = flagsOf('store', { storeArguments: ['--initial-cluster-token=mine'] });
  assert.deepEqual(
    flags.filter((each) => each.startsWith('--initial-cluster-token')),
    ['--initial-cluster-token=mine'],
  );
});

test('a console comes when it is asked for, its link never by its output, the store only where it is the plane own', () => {
  assert.deepEqual(flagsOf('console', {}), []);
  const flags = flagsOf('console', { console: true });
  assert.ok(flags.includes('--port=20071') && flags.includes('--bind-address=127.0.0.1'));
  assert.ok(flags.includes('--link-file=/data/run/console-link'));
  assert.ok(flags.includes('--etcd-servers=https://127.0.0.1:20011'));
  const foreign = flagsOf('console', { console: true, etcdServers: ['https://etcd:2379'] });
  assert.ok(!foreign.some((each) => each.startsWith('--etcd-')));
});
