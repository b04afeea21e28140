import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import type { Clock } from '@pilothouse/base';
import { startComponentServer } from '../component-server.ts';
import { nodeClock } from '../node-clock.ts';
import { createAuthority, issueCertificate } from './certificate.ts';
import { selfSignedServing } from './self-signed.ts';
import type { TlsPolicy } from './tls-policy.ts';
import { tlsPolicyFrom } from './tls-policy.ts';

test('new connections get a renewed certificate without a restart; a broken file changes nothing', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'served-'));
  const [certFile, keyFile] = [path.join(folder, 'a.crt'), path.join(folder, 'a.key')];
  const life = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 };
  const authority = await createAuthority('test', life.notBefore, life.notAfter);
  const renew = async (commonName: string): Promise<void> => {
    const { certPem, keyPem } = await issueCertificate(authority, {
      commonName,
      hosts: ['127.0.0.1'],
      usage: 'server',
      ...life,
    });
    writeFileSync(certFile, certPem);
    writeFileSync(keyFile, keyPem);
  };
  await renew('first');
  let tick = (): void => undefined;
  const clock: Clock = {
    ...nodeClock,
    setInterval: (callback) => {
      tick = callback;
      return { cancel: () => undefined };
    },
  };
  const server = await startComponentServer({
    address: '127.0.0.1',
    port: 0,
    certFile,
    keyFile,
    clock,
    metrics: () => '',
  });
  const served = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.once('error', reject);
    });
  assert.equal(await served(), 'first');
  await renew('second');
  tick();
  assert.equal(await served(), 'second');
  writeFileSync(keyFile, 'half');
  tick();
  assert.equal(await served(), 'second');
  await renew('third');
  tick();
  assert.equal(await served(), 'third');
  await server.close();
  rmSync(folder, { recursive: true });
});

test('flags of TLS: an older version and other suites than asked for are refused', async () => {
  const { cert, key } = await selfSignedServing('component', nodeClock);
  const start = (policy: TlsPolicy): ReturnType<typeof startComponentServer> =>
    startComponentServer({ address: '127.0.0.1', port: 0, cert, key, policy, metrics: () => '' });
  const hello = (port: number, options: object): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => {
        resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
        socket.destroy();
      });
      socket.once('error', () => resolve('refused'));
    });
  const newest = await start(tlsPolicyFrom('VersionTLS13', []));
  assert.equal(await hello(newest.port, { maxVersion: 'TLSv1.2' }), 'refused');
  assert.match(await hello(newest.port, {}), /^TLSv1\.3 /);
  await newest.close();
  const one = await start(tlsPolicyFrom('', ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384']));
  assert.equal(await hello(one.port, { maxVersion: 'TLSv1.2' }), 'TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384');
  assert.equal(
    await hello(one.port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }),
    'refused',
  );
  await one.close();
  assert.throws(() => tlsPolicyFrom('VersionTLS11', []), /is not supported/);
  assert.throws(() => tlsPolicyFrom('', ['TLS_RSA_WITH_RC4_128_SHA']), /not supported or doesn't exist/);
});
