import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createAuthority, issueCertificate, nodeClock, nodeRandom } from '@pilothouse/host';
import type { Clock } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import { WebhookEndpoint } from './webhook-endpoint.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-followed-'));
const file = (name: string): string => path.join(directory, name);
const nowMs = nodeClock.now();
const life = { notBefore: nowMs - 60_000, notAfter: nowMs + 3_600_000 };
type Authority = Awaited<ReturnType<typeof createAuthority>>;
let authority: Authority;
let other: Authority;
let server: https.Server;
/** Of the last request: `Bearer x as name over 1234`. */
let seen = { authorization: '', name: '', port: 0 };

const issue = (by: Authority, commonName: string, usage: 'server' | 'client') =>
  issueCertificate(by, { commonName, hosts: usage === 'server' ? ['localhost'] : [], usage, ...life });

before(async () => {
  authority = await createAuthority('one', life.notBefore, life.notAfter);
  other = await createAuthority('two', life.notBefore, life.notAfter);
  const tls = await issue(authority, 'hook', 'server');
  server = https.createServer(
    {
      cert: tls.certPem,
      key: tls.keyPem,
      ca: authority.certPem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const socket = request.socket as TLSSocket;
      const peer = socket.getPeerCertificate() as { subject?: { CN?: string } };
      seen = {
        authorization: request.headers.authorization ?? '',
        name: peer.subject?.CN ?? '',
        port: socket.remotePort ?? 0,
      };
      response.end('{}');
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

let passedMs = 0;
let clock: Clock;
beforeEach(() => {
  passedMs = 0;
  clock = { ...nodeClock, monotonic: () => nodeClock.monotonic() + passedMs };
});

function endpointWith(user: string, logger = silentLogger): WebhookEndpoint {
  const { port } = server.address() as AddressInfo;
  writeFileSync(file('ca.crt'), authority.certPem);
  writeFileSync(
    file('hook.yaml'),
    `clusters: [{name: c, cluster: {server: "https://localhost:${port}/", certificate-authority: ca.crt}}]
users: [{name: u, user: ${user}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`,
  );
  return new WebhookEndpoint(file('hook.yaml'), { clock, random: nodeRandom, logger });
}

test('a token is read again, counts before the one that is written out, and stays when its file is gone', async () => {
  writeFileSync(file('token'), 'first\n');
  const endpoint = endpointWith('{token: written, tokenFile: token}');
  await endpoint.post({}, 5000);
  assert.equal(seen.authorization, 'Bearer first');
  writeFileSync(file('token'), 'second');
  passedMs += 1000;
  await endpoint.post({}, 5000);
  assert.equal(seen.authorization, 'Bearer second');
  renameSync(file('token'), file('gone'));
  passedMs += 1000;
  await endpoint.post({}, 5000);
  assert.equal(seen.authorization, 'Bearer second');
  endpoint.close();
});

test('a client certificate is used once its key is there, over a new connection', async () => {
  const errors: string[] = [];
  const logger = {
    ...silentLogger,
    error: (_text: string, fields?: object) => void errors.push(JSON.stringify(fields)),
  };
  const first = await issue(authority, 'first', 'client');
  const second = await issue(authority, 'second', 'client');
  writeFileSync(file('c.crt'), first.certPem);
  writeFileSync(file('c.key'), first.keyPem);
  const endpoint = endpointWith('{client-certificate: c.crt, client-key: c.key}', logger);
  await endpoint.post({}, 5000);
  const { port } = seen;
  await endpoint.post({}, 5000);
  assert.deepEqual([seen.name, seen.port], ['first', port]);
  writeFileSync(file('c.crt'), second.certPem);
  for (let index = 0; index < 2; index++) {
    passedMs += 1000;
    await endpoint.post({}, 5000);
    assert.deepEqual([seen.name, seen.port], ['first', port]);
  }
  assert.equal(errors.length, 1);
  assert.match(errors[0] ?? '', /certificate and key cannot be used/);
  assert.ok(!errors.join().includes('BEGIN'));
  writeFileSync(file('c.key'), second.keyPem);
  passedMs += 1000;
  await endpoint.post({}, 5000);
  assert.equal(seen.name, 'second');
  assert.notEqual(seen.port, port);
  endpoint.close();
});

test('an authority is read again', async () => {
  const endpoint = endpointWith('{}');
  await endpoint.post({}, 5000);
  writeFileSync(file('ca.crt'), other.certPem);
  passedMs += 1000;
  await assert.rejects(endpoint.post({}, 5000), /certificate/);
  writeFileSync(file('ca.crt'), `${other.certPem}${authority.certPem}`);
  passedMs += 1000;
  await endpoint.post({}, 5000);
  endpoint.close();
});

test('files that cannot be used at the start are refused by name', async () => {
  assert.throws(() => endpointWith('{tokenFile: missing}'), /hook.yaml": ENOENT.*missing/);
  writeFileSync(file('empty'), '\n');
  assert.throws(() => endpointWith('{tokenFile: empty}'), /the token file "empty" is empty/);
  const one = await issue(authority, 'one', 'client');
  const two = await issue(authority, 'two', 'client');
  writeFileSync(file('one.crt'), one.certPem);
  writeFileSync(file('two.key'), two.keyPem);
  assert.throws(
    () => endpointWith('{client-certificate: one.crt, client-key: two.key}'),
    /its client certificate and key cannot be used/,
  );
});
