import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireReachable } from './reachable.ts';
import { parseTargetName, workloadPath } from './target-name.ts';

test('names of targets: name, name:port, scheme:name:port', () => {
  for (const [id, wanted] of [
    ['a', ['http', 'a', '']],
    ['a:80', ['http', 'a', '80']],
    ['https:a:', ['https', 'a', '']],
    [':a:web', ['http', 'a', 'web']],
    ['', undefined],
    ['ftp:a:1', undefined],
    ['a:b:c:d', undefined],
    ['http::1', undefined],
  ] as const) {
    const parsed = parseTargetName(id);
    assert.deepEqual(parsed && [parsed.scheme, parsed.name, parsed.port], wanted, id);
  }
});

test('paths behind proxy keep their slash and are encoded again', () => {
  const none = new URLSearchParams();
  assert.equal(workloadPath('', none, false), '');
  assert.equal(workloadPath('', none, true), '/');
  assert.equal(workloadPath('a b/c?#', new URLSearchParams('x=1&x=2'), true), '/a%20b/c%3F%23/?x=1&x=2');
});

test('no client gets this server to connect to itself, to link-local or to multicast addresses', () => {
  for (const address of [
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '169.254.169.254',
    '::ffff:169.254.169.254',
    'fe80::1',
    'ff02::1',
    '224.0.0.1',
    '0.0.0.0',
    '::',
    '255.255.255.255',
    '',
    'localhost',
    '10.0.0.1.example.org',
  ])
    assert.throws(() => requireReachable(address, false), /address not allowed/, address);
  for (const address of ['10.1.2.3', '192.168.0.1', '8.8.8.8', 'fd00::1', '2001:db8::1'])
    requireReachable(address, false);
  requireReachable('127.64.0.2', true);
  assert.throws(() => requireReachable('169.254.169.254', true), /address not allowed/);
});
