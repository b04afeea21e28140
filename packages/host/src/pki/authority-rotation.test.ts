import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { nodeClock } from '../node-clock.ts';
import { AuthorityRotation, SigningKeyRotation } from './authority-rotation.ts';
import { firstCertificate } from './certificate.ts';
import { ensurePki } from './pki-directory.ts';
import { revokeSerials } from './revocation-file.ts';
import { loadSignedRevocationReader } from './revocation-list.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rotation-'));
after(() => fs.rmSync(directory, { recursive: true, force: true }));
const read = (name: string): string => fs.readFileSync(path.join(directory, name), 'utf8');
const count = (text: string): number => text.match(/BEGIN CERTIFICATE/g)?.length ?? 0;

test('an authority is replaced step by step, and each step can be repeated by another process', async () => {
  const before = await ensurePki(directory);
  await revokeSerials(
    directory,
    [new X509Certificate(before.admin.certPem).serialNumber],
    before.ca,
    nodeClock,
  );
  const rotation = (): AuthorityRotation => new AuthorityRotation(directory, 'ca', nodeClock);
  assert.equal(rotation().stage, 'none');
  await rotation().sign();
  assert.equal(rotation().stage, 'none', 'steps come in their order');

  await rotation().trust();
  const next = read('rotation/ca.crt');
  await rotation().trust();
  assert.equal(rotation().stage, 'trusted');
  assert.equal(read('rotation/ca.crt'), next, 'a repeated step makes nothing new');
  assert.equal(count(read('ca.crt')), 2);
  assert.equal(firstCertificate(read('ca.crt')), firstCertificate(before.ca.certPem));
  assert.deepEqual((await ensurePki(directory)).changed, [], 'the old one signs: leaves stay');

  await rotation().sign();
  await rotation().sign();
  assert.equal(rotation().stage, 'signing');
  assert.equal(count(read('ca.crt')), 2);
  const { changed } = await ensurePki(directory);
  assert.deepEqual([...changed].sort(), [
    'admin',
    'apiserver',
    'apiserver-kubelet-client',
    'ca.crl',
    'controller-manager',
    'scheduler',
  ]);
  const admin = new X509Certificate(read('admin.crt'));
  assert.ok(admin.verify(new X509Certificate(next).publicKey));

  await rotation().drop();
  await rotation().drop();
  assert.equal(rotation().stage, 'none');
  assert.equal(read('ca.crt').trim(), next.trim());
  assert.deepEqual((await ensurePki(directory)).changed, []);
  // What was revoked under the old authority stays revoked, by the name that both have.
  const lists = (await loadSignedRevocationReader())(read('ca.crl'), read('ca.crt'));
  assert.equal(lists.has(new X509Certificate(before.admin.certPem)), true);
  assert.equal(lists.has(admin), false);
});

test('a switch that was cut off between key and certificate is finished by the next try', async () => {
  const rotation = new AuthorityRotation(directory, 'front-proxy-ca', nodeClock);
  await ensurePki(directory);
  await rotation.trust();
  fs.copyFileSync(
    path.join(directory, 'rotation/front-proxy-ca.key'),
    path.join(directory, 'front-proxy-ca.key'),
  );
  assert.equal(rotation.stage, 'trusted');
  await rotation.sign();
  assert.equal(rotation.stage, 'signing');
  await rotation.drop();
  assert.ok((await ensurePki(directory)).changed.includes('front-proxy-client'));
});

test('the key of tokens is replaced the same way', async () => {
  await ensurePki(directory);
  const old = read('sa.pub').trim();
  const rotation = new SigningKeyRotation(directory);
  await rotation.trust();
  assert.equal(rotation.stage, 'trusted');
  assert.equal(read('sa.pub').match(/BEGIN PUBLIC KEY/g)?.length, 2);
  await rotation.sign();
  assert.equal(rotation.stage, 'signing');
  await rotation.drop();
  assert.equal(rotation.stage, 'none');
  assert.ok(!read('sa.pub').includes(old));
});

test('leaves with a short life are renewed after two thirds of it', async () => {
  const short = path.join(directory, 'short');
  let nowMs = nodeClock.now();
  const options = { lifetimeMs: 3_600_000, clock: { ...nodeClock, now: () => nowMs } };
  await ensurePki(short, options);
  nowMs += 30 * 60_000;
  assert.deepEqual((await ensurePki(short, options)).changed, []);
  nowMs += 6 * 60_000;
  const { changed } = await ensurePki(short, options);
  assert.ok(changed.includes('apiserver') && changed.includes('etcd/peer') && !changed.includes('ca'));
});
