import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectHttp2 } from 'node:http2';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import type { Clock } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import type { CertificateAndKey } from '@pilothouse/host';
import {
  createAuthority,
  createRevocationList,
  createSigningKey,
  filePollMs,
  FlagError,
  issueCertificate,
  nodeClock,
} from '@pilothouse/host';
import { parseConfig } from './config.ts';
import type { RunningApiServer } from './start.ts';
import { startApiServer } from './start.ts';
import { MemoryKeyValueStore } from './storage/memory/memory-key-value-store.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'credentials-'));
const file = (name: string): string => path.join(folder, name);
const nowMs = Date.now();
const life = { notBefore: nowMs - 60_000, notAfter: nowMs + 3_600_000 };
/** Files are looked at often, all else has its time. */
const clock: Clock = {
  ...nodeClock,
  setInterval: (callback, ms) => nodeClock.setInterval(callback, ms === filePollMs ? 30 : ms),
};
let authorities: CertificateAndKey[];
let running: RunningApiServer;
const sessions: ClientHttp2Session[] = [];

const issue = (authority: number, commonName: string, hosts?: string[]): Promise<CertificateAndKey> =>
  issueCertificate(authorities[authority] as CertificateAndKey, {
    commonName,
    usage: hosts === undefined ? 'client' : 'server',
    ...(hosts === undefined ? {} : { hosts }),
    ...life,
  });
const trust = (...numbers: number[]): void =>
  writeFileSync(file('ca.crt'), numbers.map((each) => authorities[each]?.certPem).join(''));

function savePair(name: string, pair: CertificateAndKey): void {
  writeFileSync(file(`${name}.crt`), pair.certPem);
  writeFileSync(file(`${name}.key`), pair.keyPem);
}

function session(pair?: CertificateAndKey): ClientHttp2Session {
  const opened = connectHttp2(running.url, {
    rejectUnauthorized: false,
    ...(pair === undefined ? {} : { cert: pair.certPem, key: pair.keyPem }),
  });
  opened.on('error', () => undefined);
  sessions.push(opened);
  return opened;
}

function ask(
  on: ClientHttp2Session,
  options: { path?: string; token?: string; body?: object } = {},
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const stream = on.request({
      ':path': options.path ?? '/api/v1/namespaces',
      ':method': options.body === undefined ? 'GET' : 'POST',
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
    });
    let status = 0;
    let body = '';
    stream.on('response', (headers) => (status = Number(headers[':status'])));
    stream.setEncoding('utf8').on('data', (piece: string) => (body += piece));
    stream.on('end', () => resolve({ status, body }));
    stream.on('error', reject);
    stream.end(options.body === undefined ? undefined : JSON.stringify(options.body));
  });
}

async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`never: ${what}`);
}

const flags = (): string[] => [
  '--secure-port=0',
  '--bind-address=127.0.0.1',
  '--anonymous-auth=false',
  '--authorization-mode=AlwaysAllow',
  `--client-ca-file=${file('ca.crt')}`,
  `--client-crl-file=${file('ca.crl')}`,
  `--tls-cert-file=${file('server.crt')}`,
  `--tls-private-key-file=${file('server.key')}`,
  `--tls-sni-cert-key=${file('sni.crt')},${file('sni.key')}:*.example.test`,
  '--service-account-issuer=https://issuer.test',
  `--service-account-key-file=${file('sa.pub')}`,
  `--service-account-signing-key-file=${file('sa.key')}`,
];

before(async () => {
  authorities = [
    await createAuthority('kubernetes', life.notBefore, life.notAfter),
    await createAuthority('kubernetes', life.notBefore, life.notAfter),
  ];
  trust(0);
  writeFileSync(file('ca.crl'), '');
  savePair('server', await issue(0, 'first', ['127.0.0.1']));
  savePair('sni', await issue(0, 'sni', ['other.test']));
  const { privatePem, publicPem } = await createSigningKey();
  writeFileSync(file('sa.key'), privatePem);
  writeFileSync(file('sa.pub'), publicPem);
  running = await startApiServer(parseConfig(flags()).config, {
    clock,
    logger: silentLogger,
    store: new MemoryKeyValueStore({ now: () => Date.now() }),
  });
});

after(async () => {
  for (const each of sessions) each.destroy();
  await running.close();
  rmSync(folder, { recursive: true });
});

test('an authority of clients comes and goes without a restart, on open connections too', async () => {
  const [old, next] = [session(await issue(0, 'jane')), session(await issue(1, 'joe'))];
  assert.equal((await ask(old)).status, 200);
  assert.equal((await ask(next)).status, 401);
  trust(0, 1);
  await eventually('the new authority is trusted', async () => (await ask(next)).status === 200);
  assert.equal((await ask(old)).status, 200);
  trust(1);
  await eventually('the old authority is gone', async () => (await ask(old)).status === 401);
  assert.equal((await ask(next)).status, 200);
  trust(0, 1);
  await eventually('both again', async () => (await ask(old)).status === 200);
});

test('a revoked certificate gets 401 at once, also on its open connection, and its watches end', async () => {
  const [bad, good] = [await issue(0, 'bad'), await issue(0, 'good')];
  const [revoked, kept] = [session(bad), session(good)];
  assert.equal((await ask(revoked)).status, 200);
  const watching = session(bad).request({ ':path': '/api/v1/namespaces?watch=true' });
  watching.on('error', () => undefined);
  await new Promise((resolve) => watching.once('response', resolve));
  const ended = new Promise((resolve) => watching.once('close', resolve));
  writeFileSync(
    file('ca.crl'),
    await createRevocationList(
      authorities[0] as CertificateAndKey,
      [{ serial: new X509Certificate(bad.certPem).serialNumber, revokedMs: nowMs }],
      { nowMs, lifetimeMs: 86_400_000 },
    ),
  );
  let seen401 = false;
  await eventually('401 on the open connection', async () => {
    const status = await ask(revoked).then(
      (answer) => answer.status,
      () => 0,
    );
    seen401 ||= status === 401;
    return status !== 200;
  });
  assert.ok(seen401);
  assert.equal((await ask(session(bad))).status, 401);
  assert.equal((await ask(kept)).status, 200);
  await ended;
  // A list of somebody else changes nothing.
  const stranger = await createAuthority('kubernetes', life.notBefore, life.notAfter);
  writeFileSync(file('ca.crl'), await createRevocationList(stranger, [], { nowMs, lifetimeMs: 1000 }));
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal((await ask(session(bad))).status, 401);
});

test('serving certificates: a renewed one, and one by the name that is asked for', async () => {
  const served = (servername?: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connectTls(
        {
          host: '127.0.0.1',
          port: running.address.port,
          rejectUnauthorized: false,
          ...(servername === undefined ? {} : { servername }),
        },
        () => {
          resolve(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        },
      );
      socket.on('error', reject);
    });
  assert.equal(await served(), 'first');
  assert.equal(await served('a.example.test'), 'sni');
  assert.equal(await served('a.b.example.test'), 'first');
  assert.equal(await served('other.test'), 'first', 'names of the flag replace those of the certificate');
  savePair('sni', await issue(0, 'sni-renewed', ['other.test']));
  savePair('server', await issue(0, 'second', ['127.0.0.1']));
  await eventually('renewed', async () => (await served()) === 'second');
  await eventually('renewed by name', async () => (await served('A.EXAMPLE.test')) === 'sni-renewed');
});

test('keys of service accounts: a new one verifies, then signs, then the old one is gone', async () => {
  const jane = session(await issue(0, 'jane'));
  await ask(jane, {
    path: '/api/v1/namespaces/default/serviceaccounts',
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } },
  });
  const token = async (): Promise<string> => {
    const { status, body } = await ask(jane, {
      path: '/api/v1/namespaces/default/serviceaccounts/robot/token',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    });
    assert.equal(status, 201, body);
    return (JSON.parse(body) as { status: { token: string } }).status.token;
  };
  const keyId = (text: string): string =>
    (JSON.parse(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;
  const anonymous = session();
  const old = await token();
  assert.equal((await ask(anonymous, { token: old })).status, 200);
  const oldPublic = readFileSync(file('sa.pub'), 'utf8');
  const { privatePem, publicPem } = await createSigningKey();
  writeFileSync(file('sa.pub'), `${publicPem}${oldPublic}`);
  await eventually('both keys are told', async () => {
    const { body } = await ask(jane, { path: '/openid/v1/jwks' });
    return (JSON.parse(body) as { keys: unknown[] }).keys.length === 2;
  });
  writeFileSync(file('sa.key'), privatePem);
  await eventually('the new key signs', async () => keyId(await token()) !== keyId(old));
  assert.equal((await ask(anonymous, { token: await token() })).status, 200);
  assert.equal((await ask(anonymous, { token: old })).status, 200);
  writeFileSync(file('sa.pub'), publicPem);
  await eventually('the old key is gone', async () => (await ask(anonymous, { token: old })).status === 401);
  assert.equal((await ask(anonymous, { token: await token() })).status, 200);
});

test('the metric tells what is in force, and a list that cannot be used stops a start', async () => {
  const { body } = await ask(session(await issue(0, 'jane')), { path: '/metrics' });
  assert.match(body, /^pilothouse_file_in_force\{file="client-ca-file",hash="sha256:[0-9a-f]{64}"\} 1$/m);
  assert.match(body, /file="service-account-signing-key-file"/);
  writeFileSync(file('ca.crl'), 'nonsense');
  await assert.rejects(
    startApiServer(parseConfig(flags()).config, {
      logger: silentLogger,
      store: new MemoryKeyValueStore({ now: () => Date.now() }),
    }),
    (error) => error instanceof FlagError && /for --client-crl-file/.test(error.message),
  );
});
