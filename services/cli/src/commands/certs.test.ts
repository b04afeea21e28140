import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { nodeClock } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { certificateStatuses, certs } from './certs.ts';

describe('pilothouse certs', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'certs-'));
  const pki = path.join(directory, 'pki');
  const statuses = () => certificateStatuses(pki, nodeClock.now());
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('makes, shows and renews, keeping the names that were asked for', async () => {
    await certs(['init', `--cert-dir=${pki}`, '--hosts=balancer.example', '--nodes=n0']);
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
