import assert from 'node:assert/strict';
import { connect as connectHttp2, constants } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { createAuthority, issueCertificate } from '@pilothouse/host';
import type { TlsMaterial } from './http-server.ts';
import type { ApiServer } from './server.ts';
import { testServer } from './testing/test-server.ts';
import type { FakeConfigMaps } from './testing/fake-registry.ts';

let server: ApiServer;
let configMaps: FakeConfigMaps;
let port: number;
let first: TlsMaterial;
let second: TlsMaterial;

before(async () => {
  const now = Date.now();
  const life = { notBefore: now - 60_000, notAfter: now + 3_600_000 };
  const authority = await createAuthority('test', life.notBefore, life.notAfter);
  const issue = (): Promise<TlsMaterial> =>
    issueCertificate(authority, { commonName: 'server', hosts: ['127.0.0.1'], usage: 'server', ...life });
  first = await issue();
  second = await issue();
  ({ server, configMaps } = await testServer({ tls: first }));
  ({ port } = await server.listen('127.0.0.1', 0));
});
after(() => server.close());

const base = '/api/v1/namespaces/default/configmaps';

function post(name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        path: base,
        method: 'POST',
        rejectUnauthorized: false,
        headers: { 'content-type': 'application/json' },
      },
      (response) => response.resume().on('end', () => resolve(response.statusCode ?? 0)),
    );
    request.on('error', reject);
    request.end(JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } }));
  });
}

test('one port serves HTTP/1.1 and HTTP/2', async () => {
  assert.equal(await post('over-http1'), 201);
  const client = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  const stream = client.request({ [constants.HTTP2_HEADER_PATH]: `${base}/over-http1` });
  let status = 0;
  stream.on('response', (headers) => (status = Number(headers[':status'])));
  let body = '';
  for await (const chunk of stream.setEncoding('utf8')) body += String(chunk);
  client.close();
  assert.equal(status, 200);
  assert.equal((JSON.parse(body) as { kind: string }).kind, 'ConfigMap');
});

test('a watch streams events as lines and ends at its timeout', async () => {
  configMaps.objects.clear();
  const lines = await new Promise<string[]>((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port, path: `${base}?watch=1&timeoutSeconds=1`, rejectUnauthorized: false },
      (response) => {
        assert.equal(response.headers['content-type'], 'application/json');
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve(text.trim().split('\n')));
        void post('seen');
      },
    );
    request.on('error', reject);
    request.end();
  });
  assert.equal(lines.length, 1);
  const event = JSON.parse(lines[0] as string) as { type: string; object: { metadata: { name: string } } };
  assert.deepEqual([event.type, event.object.metadata.name], ['ADDED', 'seen']);
  assert.equal(configMaps.watchers.size, 0);
});

test('a watch ends when its client leaves', async () => {
  const client = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  const stream = client.request({ [constants.HTTP2_HEADER_PATH]: `${base}?watch=1` });
  await new Promise((resolve) => stream.once('response', resolve));
  assert.equal(configMaps.watchers.size, 1);
  stream.close();
  client.close();
  for (let turn = 0; turn < 100 && configMaps.watchers.size > 0; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(configMaps.watchers.size, 0);
});

test('a watch over WebSocket', async () => {
  configMaps.objects.clear();
  const socket = new WebSocket(`wss://127.0.0.1:${port}${base}?watch=1`, { rejectUnauthorized: false });
  const message = new Promise<string>((resolve, reject) => {
    socket.once('message', (data: Buffer) => resolve(data.toString('utf8')));
    socket.once('error', reject);
  });
  await new Promise((resolve) => socket.once('open', resolve));
  await post('framed');
  assert.equal((JSON.parse(await message) as { type: string }).type, 'ADDED');
  socket.close();
});

test('an upgrade that is refused gets a Status', async () => {
  const socket = new WebSocket(`wss://127.0.0.1:${port}/api/v1/nope?watch=1`, { rejectUnauthorized: false });
  const status = await new Promise<number>((resolve) => {
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.once('error', () => undefined);
  });
  assert.equal(status, 404);
});

test('a new certificate serves new connections', async () => {
  const serial = (): Promise<string> =>
    new Promise((resolve) => {
      const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.end();
      });
    });
  const before = await serial();
  server.setTls(second);
  assert.notEqual(await serial(), before);
});

test('closing ends watches and is not ready meanwhile', async () => {
  const client = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  const stream = client.request({ [constants.HTTP2_HEADER_PATH]: `${base}?watch=1` });
  await new Promise((resolve) => stream.once('response', resolve));
  const ended = new Promise((resolve) => stream.resume().once('end', resolve));
  await server.close();
  await ended;
  const answer = await server.app.inject('/readyz').catch(() => undefined);
  assert.notEqual(answer?.statusCode, 200);
  client.close();
});
