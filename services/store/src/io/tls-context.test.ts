import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { createAuthority, issueCertificate } from '@pilothouse/host';
import type { TlsFiles } from '../config.ts';
import { TlsContext } from './tls-context.ts';

test('a server takes renewed files and authorities, also when a call to another member saw them first', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tls-context-'));
  const file = (name: string): string => path.join(directory, name);
  const life = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 };
  const authorities = [
    await createAuthority('etcd-ca', life.notBefore, life.notAfter),
    await createAuthority('etcd-ca', life.notBefore, life.notAfter),
  ] as const;
  const issue = async (authority: 0 | 1, commonName: string) =>
    issueCertificate(authorities[authority], { commonName, hosts: ['127.0.0.1'], usage: 'peer', ...life });
  const save = (pair: { certPem: string; keyPem: string }): void => {
    fs.writeFileSync(file('a.crt'), pair.certPem);
    fs.writeFileSync(file('a.key'), pair.keyPem);
  };
  fs.writeFileSync(file('ca.crt'), authorities[0].certPem);
  save(await issue(0, 'first'));
  const context = new TlsContext(
    {
      certFile: file('a.crt'),
      keyFile: file('a.key'),
      trustedCaFile: file('ca.crt'),
      clientCertAuth: true,
      crlFile: '',
      clientCertFile: '',
      clientKeyFile: '',
      allowedCns: [],
      allowedHostnames: [],
      ciphers: '',
      minVersion: 'TLSv1.2',
      maxVersion: undefined,
    } as unknown as TlsFiles,
    'peer-cert-file',
  );
  const server = tls.createServer(context.serverOptions(), (socket) => socket.end('hello'));
  context.renew(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const served = (client: { certPem: string; keyPem: string }): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = tls.connect({
        host: '127.0.0.1',
        port: (server.address() as AddressInfo).port,
        rejectUnauthorized: false,
        cert: client.certPem,
        key: client.keyPem,
      });
      socket.on('data', () => resolve(String(socket.getPeerCertificate().subject.CN)));
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('refused')));
    });
  const next = await issue(1, 'client');
  assert.equal(await served(await issue(0, 'client')), 'first');
  await assert.rejects(served(next));
  fs.writeFileSync(file('ca.crt'), `${authorities[0].certPem}${authorities[1].certPem}`);
  save(await issue(1, 'second'));
  context.clientOptions();
  assert.equal(await served(next), 'second');
  server.close();
  fs.rmSync(directory, { recursive: true });
});

test('a certificate that is none is refused by name, before anything listens', () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tls-context-'));
  const certFile = path.join(directory, 'none.crt');
  fs.writeFileSync(certFile, 'not PEM');
  const files = { certFile, keyFile: certFile, trustedCaFile: '', crlFile: '' } as TlsFiles;
  assert.throws(() => new TlsContext(files, 'listen-client-urls'), {
    name: 'StartupError',
    message: /none\.crt.*--listen-client-urls/,
  });
  fs.rmSync(directory, { recursive: true, force: true });
});
