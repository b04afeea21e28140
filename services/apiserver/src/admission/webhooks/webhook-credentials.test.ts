import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { WebhookCredentials } from './webhook-credentials.ts';

const ports = { clock: nodeClock, logger: silentLogger };

async function withUsers(text: string, body: (file: string) => void | Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-credentials-'));
  try {
    const file = path.join(directory, 'kubeconfig.yaml');
    writeFileSync(file, text);
    await body(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('the most exact user of a host counts, then `*`, then the current context', async () => {
  const user = (name: string): string => `{name: "${name}", user: {token: "${name}"}}`;
  const names = ['hook.ns.svc:8443', 'hook.ns.svc', '*.ns.svc', '*.example.com:8443', 'mine'];
  const text = `users: [${names.map(user).join()}]\ncontexts: [{name: c, context: {user: mine}}]\ncurrent-context: c\n`;
  await withUsers(text, async (file) => {
    const credentials = new WebhookCredentials(file, ports);
    const token = async (host: string, port: number) =>
      (await credentials.for(host, port))?.headers['authorization'];
    assert.equal(await token('hook.ns.svc', 8443), 'Bearer hook.ns.svc:8443');
    assert.equal(await token('hook.ns.svc', 443), 'Bearer hook.ns.svc');
    assert.equal(await token('hook.ns.svc', 9443), 'Bearer mine');
    assert.equal(await token('other.ns.svc', 443), 'Bearer *.ns.svc');
    assert.equal(await token('a.b.example.com', 8443), 'Bearer *.example.com:8443');
    assert.equal(await token('example.org', 443), 'Bearer mine');
  });
  await withUsers(`users: [${user('*')}]`, async (file) => {
    assert.equal(
      (await new WebhookCredentials(file, ports).for('h', 1))?.headers['authorization'],
      'Bearer *',
    );
  });
  assert.equal(await new WebhookCredentials('', ports).for('h', 443), undefined);
});

test('a user that runs a program is refused by name', async () => {
  await withUsers('users: [{name: "*", user: {exec: {command: /bin/true}}}]', (file) => {
    assert.throws(
      () => new WebhookCredentials(file, ports),
      /its user has "exec", which this server does not run; use a client/,
    );
  });
});
