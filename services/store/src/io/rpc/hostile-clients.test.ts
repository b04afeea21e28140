import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { silentLogger } from '@pilothouse/base';
import { createAuthority, issueCertificate, nodeClock } from '@pilothouse/host';
import { headerBlock } from '@pilothouse/http2';
import { encodeMessage, etcdserverpb, type MessageInput, type MethodInfo } from '@pilothouse/proto';
import { parseConfig } from '../../config.ts';
import { startStore, type StoreServer } from '../../server.ts';
import { TlsContext } from '../tls-context.ts';
import { ConformanceClient } from './conformance.ts';
import { listen, type Listener } from './listener.ts';

const { KVService, WatchService, MaintenanceService } = etcdserverpb;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-hostile-'));
const bytes = (text: string): Uint8Array => Buffer.from(text);
const handshakeTimeoutMs = 300;
const listeners: Listener[] = [];
let server: StoreServer;
let client: ConformanceClient;
let port = 0;

async function open(secure: boolean): Promise<number> {
  const parsed = parseConfig(
    secure
      ? [`--cert-file=${path.join(directory, 'a.crt')}`, `--key-file=${path.join(directory, 'a.key')}`]
      : [],
    {},
  );
  assert.ok(parsed.kind === 'config');
  const listener = await listen({
    url: { text: 'test', secure, host: '127.0.0.1', port: 0, socketPath: undefined },
    tls: secure ? new TlsContext(parsed.config.clientTls, 'test') : undefined,
    clock: nodeClock,
    logger: silentLogger,
    maxConcurrentStreams: 100,
    what: 'client',
    handshakeTimeoutMs,
    handlers: {
      onStream: (stream) => stream.respond(headerBlock([[':status', '200']]), true),
      onRequest: (_request, response) => response.end('fine'),
    },
  });
  listeners.push(listener);
  return listener.port;
}

/** Milliseconds until the other side ends the connection; rejects after five seconds. */
function untilClosed(connectTo: number, talk: (socket: net.Socket) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const started = Date.now();
    const socket = net.connect(connectTo, '127.0.0.1', () => talk(socket));
    const timer = setTimeout(() => reject(new Error('still open after 5 s')), 5000);
    socket.on('error', () => {});
    socket.resume();
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Date.now() - started);
    });
  });
}

before(async () => {
  const now = Date.now();
  const authority = await createAuthority('ca', now - 60_000, now + 3_600_000);
  const issued = await issueCertificate(authority, {
    commonName: 'a',
    hosts: ['127.0.0.1'],
    usage: 'server',
    notBefore: now - 60_000,
    notAfter: now + 3_600_000,
  });
  fs.writeFileSync(path.join(directory, 'a.crt'), issued.certPem);
  fs.writeFileSync(path.join(directory, 'a.key'), issued.keyPem);
  const parsed = parseConfig(
    [
      `--data-dir=${path.join(directory, 'data')}`,
      '--listen-client-urls=http://127.0.0.1:0',
      '--advertise-client-urls=http://127.0.0.1:0',
      '--listen-peer-urls=http://127.0.0.1:0',
      '--initial-advertise-peer-urls=http://127.0.0.1:0',
      '--heartbeat-interval=20',
      '--election-timeout=100',
    ],
    {},
  );
  assert.ok(parsed.kind === 'config');
  server = await startStore(parsed.config, { logger: silentLogger });
  await server.ready;
  port = Number(/:(\d+)$/.exec(server.clientUrls[0] as string)?.[1]);
  client = new ConformanceClient(`127.0.0.1:${port}`);
});

after(async () => {
  client.close();
  await Promise.all(listeners.map((listener) => listener.close(0)));
  await server.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

test('who never finishes a TLS handshake, a preface or its headers is turned away', async () => {
  const secure = await open(true);
  const clear = await open(false);
  const talks: readonly [number, (socket: net.Socket) => void][] = [
    [secure, () => {}],
    [secure, (socket) => socket.write(Uint8Array.of(22, 3, 1, 2, 0, 1))],
    [clear, () => {}],
    [clear, (socket) => socket.write('PRI * HT')],
    [clear, (socket) => socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ')],
  ];
  const times = await Promise.all(talks.map(([to, talk]) => untilClosed(to, talk)));
  for (const [index, ms] of times.entries()) {
    assert.ok(ms >= handshakeTimeoutMs - 50, `case ${index} had its time (${ms} ms)`);
  }
  assert.equal(await (await fetch(`http://127.0.0.1:${clear}/`)).text(), 'fine', 'others are served');
});

const frameOf = <Req, Res>(method: MethodInfo<Req, Res>, request: MessageInput<Req>): Buffer => {
  const body = encodeMessage(method.request, request);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
};

/** A client that sends requests and takes no byte of the answers: its windows are as small as HTTP/2 allows to begin with. */
async function deaf(): Promise<{
  call<Req, Res>(method: MethodInfo<Req, Res>, request: MessageInput<Req>): http2.ClientHttp2Stream;
  close(): void;
}> {
  const session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => {});
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  return {
    call(method, request) {
      const stream = session.request({
        ':method': 'POST',
        ':path': method.path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      stream.write(frameOf(method, request));
      return stream;
    },
    close: () => session.destroy(),
  };
}

async function sentBytes(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^etcd_network_client_grpc_sent_bytes_total (\d+)/m.exec(text)?.[1]);
}

/** Milliseconds that a put takes, of 200 with keys below `prefix`. */
async function timePuts(prefix: string, value: Uint8Array): Promise<number> {
  const started = performance.now();
  for (let index = 0; index < 200; index++)
    await client.ok(KVService.Put, { key: bytes(`${prefix}${index}`), value });
  return (performance.now() - started) / 200;
}

test('a watcher that never reads costs a bounded amount; others get every event and writers do not wait', async () => {
  const value = Buffer.alloc(100_000, 1);
  const aloneMs = await timePuts('alone', value);
  const other = client.bidi(WatchService.Watch);
  other.send({ createRequest: { key: bytes('w'), rangeEnd: bytes('x') } });
  assert.equal((await other.next()).created, true);
  const unread = await deaf();
  for (let index = 0; index < 3; index++)
    unread.call(WatchService.Watch, {
      createRequest: { key: bytes('w'), rangeEnd: bytes('x'), prevKv: true },
    });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const before = await sentBytes();
  const putMs = await timePuts('w', value);
  let seen = 0;
  while (seen < 200) seen += (await other.next()).events.length;
  other.close();
  const sent = (await sentBytes()) - before;
  unread.close();
  // One watcher takes every event, four are served; whoever waited for the deaf ones would wait for ever.
  assert.ok(
    putMs < 20 + 10 * aloneMs,
    `a put takes ${putMs.toFixed(1)} ms, without watchers ${aloneMs.toFixed(1)} ms`,
  );
  // 20 MB for the one that reads; each of the three others may hold its stream's buffer and a batch.
  assert.ok(sent < 20_500_000 + 3 * 2_500_000, `${sent} bytes were made`);
});

test('who asks for large ranges and never reads them is not answered without end', async () => {
  const value = Buffer.alloc(1_000_000, 1);
  for (let index = 0; index < 10; index++)
    await client.ok(KVService.Put, { key: bytes(`big${index}`), value });
  const unread = await deaf();
  const before = await sentBytes();
  for (let index = 0; index < 60; index++)
    unread.call(KVService.Range, { key: bytes('big'), rangeEnd: bytes('bih') }).end();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const sent = (await sentBytes()) - before;
  assert.ok(sent < 90_000_000, `${sent} bytes of 600 MB were made`);
  assert.equal((await client.ok(KVService.Range, { key: bytes('big'), rangeEnd: bytes('bih') })).count, 10);
  unread.close();
});

test('a request that never ends and a stream that nobody uses leave the server as it was', async () => {
  const unread = await deaf();
  for (let index = 0; index < 200; index++)
    unread.call(KVService.Put, { key: bytes('half'), value: bytes('1') });
  await client.ok(MaintenanceService.Status, {});
  assert.equal(
    (await client.ok(KVService.Range, { key: bytes('half') })).count,
    0,
    'a request without an end is not run',
  );
  unread.close();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await client.ok(KVService.Put, { key: bytes('whole') });
});
