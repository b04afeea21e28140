import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { diagnose } from '../commands/diagnose.ts';
import { redact, redactArgument } from './redact.ts';
import { tarOf } from './tar.ts';

const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ';
const key = '-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAkeymaterial\n-----END RSA PRIVATE KEY-----';
const secrets: readonly (readonly [text: string, secret: string])[] = [
  [`authorization: Bearer ${jwt}`, jwt],
  ['Authorization: Bearer opaque-credential', 'opaque-credential'],
  [`{"msg":"x","token":"${jwt}"}`, jwt],
  [`before\n${key}\nafter`, 'keymaterial'],
  ['-----BEGIN PRIVATE KEY-----\ncut-off-keymaterial', 'cut-off-keymaterial'],
  ['{"password":"hunter2"}', 'hunter2'],
  ['{"data":{"client_secret":"s3cr3t-value"}}', 's3cr3t-value'],
  ['redis://user:hunter2@redis:6379/0', 'hunter2'],
  ['joined with abcdef.0123456789abcdef', '0123456789abcdef'],
  ['GET /x?access_token=opaque123x&y=1', 'opaque123x'],
  ['client-key-data: TUlJRXBBSUJBQUs=', 'TUlJRXBBSUJBQUs='],
];

test('secrets are taken out of texts, the rest stays', () => {
  for (const [text, secret] of secrets) {
    const left = redact(text);
    assert.ok(!left.includes(secret), `${secret} is still in: ${left}`);
  }
  for (const harmless of [
    '{"level":"info","msg":"Serving","port":6443}',
    '--service-account-private-key-file=/data/pki/sa.key',
    '{"automountServiceAccountToken":false,"tokenExpirationSeconds":3600}',
    'apiserver_request_total{verb="GET",code="200"} 17',
  ])
    assert.equal(redact(harmless), harmless);
  assert.equal(redactArgument('--redis-url=redis://r:6379'), '--redis-url=[removed]');
  assert.equal(redactArgument('--secure-port=6443'), '--secure-port=6443');
});

test('tar reads the archive', () => {
  const archive = tarOf(
    [
      { name: 'a/b.txt', text: 'hello' },
      { name: 'c', text: '' },
    ],
    1_700_000_000,
  );
  const listed = spawnSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' });
  assert.equal(listed.stdout, 'a/b.txt\nc\n');
  const text = spawnSync('tar', ['-xOf', '-', 'a/b.txt'], { input: archive, encoding: 'utf8' });
  assert.equal(text.stdout, 'hello');
});

test('the archive of a plane that does not answer has its logs and says what is missing, and no secret', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'diagnose-'));
  try {
    for (const each of ['run', 'logs', 'pki/etcd'])
      mkdirSync(path.join(directory, each), { recursive: true });
    for (const file of [
      'ca.crt',
      'admin.crt',
      'admin.key',
      'etcd/ca.crt',
      'etcd/client.crt',
      'etcd/client.key',
    ])
      writeFileSync(path.join(directory, 'pki', file), key);
    const state = {
      supervisorPid: 0,
      ready: false,
      server: 'https://127.0.0.1:1',
      processes: [{ component: 'apiserver', name: 'apiserver-0', pid: process.pid, address: '127.0.0.1:1' }],
    };
    writeFileSync(path.join(directory, 'run', 'state.json'), JSON.stringify(state));
    const lines = secrets.map(([text]) => text).join('\n');
    writeFileSync(
      path.join(directory, 'logs', 'apiserver-0.log'),
      `${'old line\n'.repeat(10_000)}${lines}\nlast line\n`,
    );
    const output = path.join(directory, 'out.tar.gz');
    await diagnose([`--data-dir=${directory}`, `--output=${output}`, '--log-bytes=4096']);
    const all = spawnSync('tar', ['-xOzf', output], { encoding: 'utf8' }).stdout;
    for (const [, secret] of secrets) assert.ok(!all.includes(secret), `${secret} is in the archive`);
    assert.match(all, /last line/);
    assert.match(all, /Cannot be had/);
    assert.match(all, /"git_version": "v1\.36\.3"/);
    assert.ok(all.length < 40_000, 'only the end of the log is taken');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
