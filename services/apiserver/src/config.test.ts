import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { parseConfig } from './config.ts';

test('parseConfig reads flags as upstream names them', () => {
  const { config, warnings } = parseConfig([
    '--secure-port=0',
    '--etcd-servers=http://127.0.0.1:2379,http://127.0.0.1:2381',
    '--authorization-mode=Node,RBAC',
    '--service-cluster-ip-range',
    '10.0.0.0/16',
    '--allow-privileged',
    '--feature-gates=WatchList=true',
    '--request-timeout=5s',
    '--delete-collection-workers=3',
  ]);
  assert.equal(config.securePort, 0);
  assert.equal(config.store.endpoints.length, 2);
  assert.deepEqual(config.authorization.modes, ['Node', 'RBAC']);
  assert.equal(config.serviceClusterIpRange, '10.0.0.0/16');
  assert.equal(config.allowPrivileged, true);
  assert.deepEqual(config.featureGates, { WatchList: true });
  assert.equal(config.requestTimeoutMs, 5000);
  assert.deepEqual(warnings, ['Flag --delete-collection-workers is known but has no effect yet']);
});

test('parseConfig refuses what it cannot obey', () => {
  assert.throws(
    () => parseConfig(['--sekure-port=1']),
    /Unknown flag --sekure-port; did you mean --secure-port\?/,
  );
  assert.throws(
    () => parseConfig(['--authorization-mode=Foo']),
    /authorization-mode "Foo" is not a valid mode/,
  );
  assert.throws(
    () => parseConfig(['--client-ca-file=/nowhere']),
    /Cannot read "\/nowhere" of --client-ca-file/,
  );
  assert.throws(() => parseConfig(['--tls-cert-file=a']), /--tls-private-key-file is needed together/);
  assert.throws(() => parseConfig(['pods']), /takes flags only/);
});

test('a pair of files in --cert-dir serves where no other certificate is named', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'cert-dir-'));
  try {
    assert.equal(parseConfig([`--cert-dir=${directory}`]).config.tls, undefined);
    const certFile = path.join(directory, 'apiserver.crt');
    const keyFile = path.join(directory, 'apiserver.key');
    for (const file of [certFile, keyFile]) writeFileSync(file, '');
    assert.deepEqual(parseConfig([`--cert-dir=${directory}`]).config.tls, { certFile, keyFile });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
