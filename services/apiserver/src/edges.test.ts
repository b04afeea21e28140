import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { once } from 'node:events';
import { connect as connectTcp, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { createAuthority, issueCertificate } from '@pilothouse/host';
import type { ApiServer, ApiServerOptions } from './server.ts';
import type { FakeConfigMaps } from './testing/fake-registry.ts';
import { testServer } from './testing/test-server.ts';

const base = '/api/v1/namespaces/default/configmaps';

async function started(
  options: Partial<ApiServerOptions>,
): Promise<{ server: ApiServer; configMaps: FakeConfigMaps; port: number }> {
  const now = Date.now();
  const life = { notBefore: now - 60_000, notAfter: now + 3_600_000 };
  const authority = await createAuthority('test', life.notBefore, life.notAfter);
  const tls = await issueCertificate(authority, {
    commonName: 'server',
    hosts: ['127.0.0.1'],
    usage: 'server',
    ...life,
  });
  const made = await testServer({ tls, ...options });
  const { port } = await made.server.listen('127.0.0.1', 0);
  return { ...made, port };
}

function session(port: number): ClientHttp2Session {
  const client = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  client.on('error', () => undefined);
  return client;
}

async function call(
  client: ClientHttp2Session,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
  const stream = client.request({ ':path': path, ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return { status: Number(answer[':status']), headers: answer, body: Buffer.concat(pieces) };
}

const object = (name: string, data = 'x'): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { data } });
const json = { ':method': 'POST', 'content-type': 'application/json' };

/** HTTP/1.1 by hand: what the server says to these bytes. */
function raw(port: number): { socket: TLSSocket; said: () => string; closed: Promise<unknown> } {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  let text = '';
  socket.on('data', (piece: Buffer) => (text += piece.toString()));
  socket.on('error', () => undefined);
  return { socket, said: () => text, closed: once(socket, 'close') };
}

test('HTTP/2: bodies, errors, HEAD, and a large list with gzip', async () => {
  const { server, port } = await started({});
  const client = session(port);
  for (let index = 0; index < 20; index++) {
    assert.equal((await call(client, base, json, object(`o-${index}`, 'y'.repeat(20_000)))).status, 201);
  }
  assert.equal((await call(client, `${base}/none`)).status, 404);
  const head = await call(client, '/version', { ':method': 'HEAD' });
  assert.equal(head.body.length, 0);
  const plain = await call(client, base);
  const packed = await call(client, base, { 'accept-encoding': 'gzip' });
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.ok(packed.body.length < plain.body.length / 2);
  assert.deepEqual(gunzipSync(packed.body), plain.body);
  assert.equal((await call(client, base, json, 'x'.repeat(3 * 1024 * 1024 + 1))).status, 413);
  client.close();
  await server.close();
});

test('a body that trickles ends at the deadline, and the connection goes on', async () => {
  const { server, port } = await started({ requestTimeoutMs: 150 });
  const client = session(port);
  const stream = client.request({ ':path': base, ...json });
  stream.write('{');
  const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
  assert.equal(answer[':status'], 504);
  stream.close();
  assert.equal((await call(client, '/version')).status, 200);
  client.close();
  await server.close();
});

test('headers beyond the limit and requests that are no HTTP are refused', async () => {
  const { server, port } = await started({});
  const large = raw(port);
  large.socket.write(`GET /version HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(1024 * 1024 + 1)}\r\n\r\n`);
  await large.closed;
  assert.match(large.said(), /^HTTP\/1\.1 (431|400) /);
  const noise = raw(port);
  noise.socket.write('\0\0\0 this is not HTTP\r\n\r\n');
  await noise.closed;
  assert.match(noise.said(), /^HTTP\/1\.1 400 /);
  const client = session(port);
  assert.equal((await call(client, '/version')).status, 200);
  client.close();
  await server.close();
});

test("a fault in one request is that request's alone", async () => {
  const { server, configMaps, port } = await started({});
  configMaps.get = () => {
    throw new TypeError('a programming error');
  };
  const client = session(port);
  const [broken, fine] = await Promise.all([call(client, `${base}/x`), call(client, '/version')]);
  assert.equal(broken.status, 500);
  assert.equal((JSON.parse(broken.body.toString()) as { reason: string }).reason, 'InternalError');
  assert.equal(fine.status, 200);
  client.close();
  await server.close();
});

test('shutdown: not ready first, requests in flight end, new ones are sent elsewhere', async () => {
  const { server, configMaps, port } = await started({ shutdownDelayMs: 200, shutdownSendRetryAfter: true });
  let release = (): void => undefined;
  const { get } = configMaps;
  configMaps.get = async (...parameters) => {
    await new Promise<void>((resolve) => (release = resolve));
    return get(...parameters);
  };
  const client = session(port);
  const inFlight = call(client, `${base}/x`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = server.close();
  assert.equal((await call(client, '/readyz')).status, 500);
  assert.equal((await call(client, '/livez')).status, 200);
  assert.equal((await call(client, '/version')).status, 200);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const late = session(port);
  const refused = await call(late, '/version');
  assert.equal(refused.status, 429);
  assert.equal(refused.headers['retry-after'], '5');
  assert.equal(refused.body.toString(), 'The apiserver is shutting down, please try again later.\n');
  release();
  assert.equal((await inFlight).status, 404);
  await closed;
  // In the end nobody listens any more.
  await assert.rejects(
    once(connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }), 'secureConnect'),
  );
});

test('watches end spread over the grace period', async () => {
  const { server, port } = await started({ shutdownWatchGraceMs: 300 });
  const client = session(port);
  const ends: number[] = [];
  const streams: Promise<unknown>[] = [];
  for (let index = 0; index < 12; index++) {
    const stream = client.request({ ':path': `${base}?watch=1` });
    await once(stream, 'response');
    streams.push(once(stream.resume(), 'end').then(() => ends.push(performance.now())));
  }
  const before = performance.now();
  await server.close();
  await Promise.all(streams);
  assert.ok(Math.max(...ends) - Math.min(...ends) > 50, 'the watches ended together');
  assert.ok(Math.max(...ends) - before < 2000);
  client.close();
});

/** A link that takes its time, both ways: its port. */
async function slowLink(port: number, delayMs: number): Promise<{ port: number; close(): void }> {
  const later = (from: Socket, to: Socket): void => {
    from.on('data', (piece: Buffer) => setTimeout(() => to.destroyed || to.write(piece), delayMs));
    from.on('end', () => setTimeout(() => to.end(), delayMs));
    from.on('error', () => to.destroy());
  };
  const link = createServer((client) => {
    const server = connectTcp(port, '127.0.0.1');
    later(client, server);
    later(server, client);
  });
  link.unref().listen(0, '127.0.0.1');
  await once(link, 'listening');
  return { port: (link.address() as AddressInfo).port, close: () => link.close() };
}

test('shutdown: what is sent before a client knows of it is answered, or known not to have been looked at', async () => {
  const { server, port } = await started({});
  const link = await slowLink(port, 60);
  const clients = Array.from({ length: 4 }, () => session(link.port));
  await Promise.all(clients.map((client) => once(client, 'connect')));
  // The first of each also waits for the settings.
  await Promise.all(clients.map((client) => call(client, '/version')));
  const underWay = clients.map((client) =>
    call(client, base).then(
      ({ status }) => `answered ${status}`,
      (error: Error) => error.message,
    ),
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  const closed = server.close();
  for (const outcome of await Promise.all(underWay))
    assert.match(outcome, /^answered 200$|NGHTTP2_REFUSED_STREAM$/);
  await closed;
  link.close();
});

test('a chance of GOAWAY moves HTTP/2 clients on, after their answer', async () => {
  const { server, port } = await started({ goawayChance: 1 });
  const client = session(port);
  const gone = once(client, 'goaway');
  assert.equal((await call(client, '/version')).status, 200);
  const [code] = (await gone) as [number];
  assert.equal(code, 0);
  const again = session(port);
  assert.equal((await call(again, '/version')).status, 200);
  again.close();
  client.close();
  await server.close();
});
