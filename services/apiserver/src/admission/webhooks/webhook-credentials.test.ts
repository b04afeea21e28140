import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { WebhookCredentials } from './webhook-credentials.ts';

function withUsers(text: string, body: (file: string) => void): void {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-credentials-'));
  try {
    const file = path.join(directory, 'kubeconfig.yaml');
    writeFileSync(file, text);
    body(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('the most exact user of a host counts, then `*`, then the current context', () => {
  const user = (name: string): string => `{name: "${name}", user: {token: "${name}"}}`;
  const names = ['hook.ns.svc:8443', 'hook.ns.svc', '*.ns.svc', '*.example.com:8443', 'mine'];
  const text = `users: [${names.map(user).join()}]\ncontexts: [{name: c, context: {user: mine}}]\ncurrent-context: c\n`;
  withUsers(text, (file) => {
    const credentials = new WebhookCredentials(file);
    const token = (host: string, port: number) => credentials.for(host, port)?.headers['authorization'];
    assert.equal(token('hook.ns.svc', 8443), 'Bearer hook.ns.svc:8443');
    assert.equal(token('hook.ns.svc', 443), 'Bearer hook.ns.svc');
    assert.equal(token('hook.ns.svc', 9443), 'Bearer mine');
    assert.equal(token('other.ns.svc', 443), 'Bearer *.ns.svc');
    assert.equal(token('a.b.example.com', 8443), 'Bearer *.example.com:8443');
    assert.equal(token('example.org', 443), 'Bearer mine');
  });
  withUsers(`users: [${user('*')}]`, (file) => {
    assert.equal(new WebhookCredentials(file).for('h', 1)?.headers['authorization'], 'Bearer *');
  });
  assert.equal(new WebhookCredentials('').for('h', 443), undefined);
});

test('a user that runs a program is refused by name', () => {
  withUsers('users: [{name: "*", user: {exec: {command: /bin/true}}}]', (file) => {
    assert.throws(
      () => new WebhookCredentials(file),
      /its user has "exec", which this server does not run; use a client/,
    );
  });
});
