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
