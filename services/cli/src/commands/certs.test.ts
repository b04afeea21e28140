import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { loadKubeconfig } from '@pilothouse/client';
import { nodeClock, readRevocationList } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { certificateStatuses } from '../certificates/issued.ts';
import { certs } from './certs.ts';

describe('pilothouse certs', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'certs-'));
  const pki = path.join(directory, 'pki');
  const statuses = () => certificateStatuses(pki, nodeClock.now());
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('makes, shows and renews, keeping the names that were asked for', async () => {
    await certs([
      'init',
      `--cert-dir=${pki}`,
      '--hosts=balancer.example',
      '--nodes=n0',
      '--console-hosts=console.example',
    ]);
    const before = statuses();
    assert.ok(before.some((each) => each.name === 'nodes/n0' && each.subject === 'system:node:n0'));
    assert.ok(before.every((each) => each.daysLeft > 300));
    await certs(['renew', `--cert-dir=${pki}`, 'apiserver']);
    const changed = statuses().filter(
      (each) => !before.some((other) => other.name === each.name && other.sha256 === each.sha256),
    );
    assert.deepEqual(
      changed.map((each) => each.name),
      ['apiserver'],
    );
    await certs(['init', `--cert-dir=${pki}`, '--hosts=balancer.example', '--nodes=n0']);
    assert.deepEqual(
      statuses().find((each) => each.name === 'apiserver')?.sha256,
      changed[0]?.sha256,
      'the renewed certificate still has every host, so init leaves it alone',
    );
    await certs(['renew', `--cert-dir=${pki}`, 'console']);
    const served = new X509Certificate(readFileSync(path.join(pki, 'console.crt')));
    assert.equal(served.checkHost('console.example'), 'console.example');
    assert.ok(
      !before.some((each) => each.sha256 === statuses().find(({ name }) => name === 'console')?.sha256),
    );
  });

  it('names what it does not know', async () => {
    await assert.rejects(certs(['renew', `--cert-dir=${pki}`, 'nobody']), (error) => {
      assert.ok(error instanceof CommandError);
      assert.match(error.message, /^No certificate "nobody" in .*: want one of admin, /);
      return true;
    });
    await assert.rejects(certs(['show', '--cert-dir=/nowhere/at/all']), /No certificates in/);
  });
});

describe('pilothouse certs rotate-ca and revoke in a directory', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'certs-rotate-'));
  const pki = path.join(directory, 'pki');
  const kubeconfigs = path.join(directory, 'kubeconfig');
  after(() => rmSync(directory, { recursive: true, force: true }));
  const read = (name: string): string => readFileSync(path.join(directory, name), 'utf8');
  const authorities = (): number => read('pki/ca.crt').match(/BEGIN CERTIFICATE/g)?.length ?? 0;

  it('takes one step a call and keeps names and addresses', async () => {
    await certs([
      'init',
      `--cert-dir=${pki}`,
      `--kubeconfig-dir=${kubeconfigs}`,
      '--server=https://api.example:6443',
      '--internal-server=https://inside.example:6443',
      '--hosts=api.example',
      '--nodes=n0',
    ]);
    const old = read('pki/ca.crt');
    const step = (): Promise<void> =>
      certs(['rotate-ca', `--cert-dir=${pki}`, `--kubeconfig-dir=${kubeconfigs}`, '--authority=ca']);
    await step();
    assert.equal(authorities(), 2);
    await step();
    assert.equal(authorities(), 2);
    await step();
    assert.equal(authorities(), 1);
    assert.notEqual(read('pki/ca.crt'), old);
    const server = new X509Certificate(read('pki/apiserver.crt'));
    assert.equal(server.checkHost('api.example'), 'api.example');
    assert.ok(server.verify(new X509Certificate(read('pki/ca.crt')).publicKey));
    const admin = loadKubeconfig(path.join(kubeconfigs, 'admin.yaml'));
    assert.equal(admin.server, 'https://api.example:6443');
    assert.equal(admin.ca, read('pki/ca.crt'));
    assert.equal(loadKubeconfig(path.join(kubeconfigs, 'n0.yaml')).server, 'https://inside.example:6443');
    await assert.rejects(certs(['rotate-ca', `--cert-dir=${pki}`, '--authority=x']), /Unknown authority/);
    await assert.rejects(certs(['rotate-ca']), /either --data-dir .* or --cert-dir/);
  });

  it('revokes by name, file and number, and no authority', async () => {
    await certs([
      'revoke',
      `--cert-dir=${pki}`,
      'scheduler',
      path.join(pki, 'nodes/n0.crt'),
      'ABCDEF0123456789',
    ]);
    const { revoked } = await readRevocationList(read('pki/ca.crl'));
    assert.equal(revoked.length, 3);
    assert.ok(revoked.some(({ serial }) => serial === 'abcdef0123456789'));
    await assert.rejects(certs(['revoke', `--cert-dir=${pki}`, 'ca']), /is an authority/);
    await assert.rejects(certs(['revoke', `--cert-dir=${pki}`, 'etcd/client']), /of another authority/);
    await assert.rejects(certs(['revoke', `--cert-dir=${pki}`, 'nobody']), /No certificate "nobody"/);
  });
});
