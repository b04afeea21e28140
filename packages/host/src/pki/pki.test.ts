import assert from 'node:assert/strict';
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { nodeClock } from '../node-clock.ts';
import { createAuthority, x509 } from './certificate.ts';
import { ensurePki } from './pki-directory.ts';
import { renderKubeconfig } from './kubeconfig.ts';
import { createSigningRequest, parseSigningRequest, signCsr } from './signing-request.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pki-'));
after(() => fs.rmSync(directory, { recursive: true, force: true }));

test('ensurePki makes a plane that verifies, with the names clients use', async () => {
  const pki = await ensurePki(directory, {
    hosts: ['api.example.test', '192.0.2.7'],
    nodes: [{ name: 'node-1' }],
  });
  const server = new X509Certificate(pki.apiServer.certPem);
  for (const host of ['localhost', 'kubernetes.default.svc.cluster.local', 'api.example.test']) {
    assert.equal(server.checkHost(host), host);
  }
  for (const ip of ['127.0.0.1', '::1', '10.96.0.1', '192.0.2.7']) assert.ok(server.checkIP(ip), ip);
  assert.ok(server.checkPrivateKey(createPrivateKey(pki.apiServer.keyPem)));
  assert.ok(server.verify(new X509Certificate(pki.ca.certPem).publicKey));
  const node = new X509Certificate(pki.nodes.get('node-1')?.certPem ?? '').toLegacyObject();
  assert.equal(node.subject.CN, 'system:node:node-1');
  assert.equal(node.subject.O, 'system:nodes');
  assert.equal(new X509Certificate(pki.admin.certPem).toLegacyObject().subject.O, 'system:masters');
  assert.equal(fs.statSync(pki.ca.keyFile).mode & 0o777, 0o600);
  assert.ok(pki.changed.includes('ca'));
});

test('ensurePki changes nothing the second time, and only what a new host or the calendar demands', async () => {
  const options = { hosts: ['api.example.test', '192.0.2.7'] };
  assert.deepEqual((await ensurePki(directory, options)).changed, []);
  assert.deepEqual(
    (await ensurePki(directory, { ...options, hosts: [...options.hosts, 'more.test'] })).changed,
    ['etcd/server', 'etcd/peer', 'apiserver'],
  );
  const later = { ...nodeClock, now: () => nodeClock.now() + 300 * 86_400_000 };
  const { changed } = await ensurePki(directory, { ...options, clock: later });
  assert.ok(changed.includes('admin') && changed.includes('apiserver'));
  assert.ok(!changed.includes('ca') && !changed.includes('sa'));
});

test('the web console has a certificate of its own where it has names', async () => {
  const file = path.join(directory, 'console.crt');
  assert.equal(fs.existsSync(file), false);
  const options = { hosts: ['api.example.test', '192.0.2.7'], consoleHosts: ['console.example.test'] };
  assert.deepEqual(
    (await ensurePki(directory, options)).changed.filter((name) => name === 'console'),
    ['console'],
  );
  const certificate = new X509Certificate(fs.readFileSync(file));
  assert.equal(certificate.checkHost('console.example.test'), 'console.example.test');
  assert.equal(certificate.checkHost('api.example.test'), undefined);
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'it only serves');
});

test('ensurePki refuses a CA without its key', async () => {
  const broken = path.join(directory, 'broken');
  fs.mkdirSync(broken);
  fs.copyFileSync(path.join(directory, 'ca.crt'), path.join(broken, 'ca.crt'));
  await assert.rejects(ensurePki(broken), /only one of .*ca\.crt.* exists/);
});

test('signCsr keeps the subject of the request and gives the usages of the caller', async () => {
  const pki = await ensurePki(directory);
  const { requestPem } = await createSigningRequest('system:node:a', ['system:nodes']);
  const parsed = await parseSigningRequest(requestPem);
  assert.deepEqual([parsed.commonName, parsed.organizations], ['system:node:a', ['system:nodes']]);
  const pem = await signCsr(pki.ca, requestPem, {
    usages: ['digital signature', 'client auth'],
    nowMs: nodeClock.now(),
    lifetimeMs: 3_600_000,
  });
  const certificate = new X509Certificate(pem);
  assert.ok(certificate.verify(new X509Certificate(pki.ca.certPem).publicKey));
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.equal(certificate.toLegacyObject().subject.CN, 'system:node:a');
  await assert.rejects(
    signCsr(pki.ca, requestPem, { usages: ['flying'], nowMs: 0, lifetimeMs: 1 }),
    /unrecognized usage values/,
  );
});

test('renderKubeconfig embeds credentials and names the current context', () => {
  const text = renderKubeconfig({ server: 'https://[::1]:6443', ca: 'CA', token: 'a: b', user: 'yes' });
  assert.match(text, /certificate-authority-data: Q0E=/);
  assert.match(text, /server: "https:\/\/\[::1\]:6443"/);
  assert.match(text, /token: "a: b"/);
  assert.match(text, /- name: "yes"/);
  assert.match(text, /current-context: yes@pilothouse/);
});

test('an RSA authority as kubeadm makes it signs, also in the old key format and as the first of a bundle', async () => {
  const folder = path.join(directory, 'rsa');
  fs.mkdirSync(folder);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keyPem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  const keys = await webcrypto.subtle.importKey(
    'pkcs8',
    privateKey.export({ type: 'pkcs8', format: 'der' }),
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    true,
    ['sign'],
  );
  const library = await x509();
  const publicKey = await webcrypto.subtle.importKey(
    'spki',
    createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    true,
    ['verify'],
  );
  const own = await library.X509CertificateGenerator.createSelfSigned({
    name: 'CN=kubernetes',
    notBefore: new Date(nodeClock.now() - 60_000),
    notAfter: new Date(nodeClock.now() + 86_400_000),
    signingAlgorithm: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    keys: { privateKey: keys, publicKey },
    extensions: [new library.BasicConstraintsExtension(true, undefined, true)],
  });
  const other = await createAuthority('kubernetes', nodeClock.now(), nodeClock.now() + 86_400_000);
  const authority = { certPem: `${own.toString('pem')}\n${other.certPem}`, keyPem };
  const { requestPem } = await createSigningRequest('jane', []);
  const pem = await signCsr(authority, requestPem, {
    usages: ['client auth'],
    nowMs: nodeClock.now(),
    lifetimeMs: 3_600_000,
  });
  assert.ok(new X509Certificate(pem).verify(new X509Certificate(own.toString('pem')).publicKey));
  await assert.rejects(
    signCsr(authority, requestPem, {
      usages: ['client auth'],
      nowMs: nodeClock.now() + 2 * 86_400_000,
      lifetimeMs: 1,
    }),
    /the signer has expired/,
  );
});
