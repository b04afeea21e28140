import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { after, test } from 'node:test';
import { nodeClock } from '@pilothouse/host';
import { Http2Connections } from './connections.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

async function served(
  handler: Handler,
): Promise<{ connections: Http2Connections; client: ClientHttp2Session }> {
  const connections = new Http2Connections(handler, nodeClock);
  const server = createServer((socket: Socket) => connections.accept(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => undefined);
  closers.push(() => {
    client.destroy();
    connections.destroy();
    server.close();
  });
  return { connections, client };
}

async function answerOf(stream: ClientHttp2Stream): Promise<{ headers: IncomingHttpHeaders; body: Buffer }> {
  const pieces: Buffer[] = [];
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  const [[headers]] = (await Promise.all([once(stream, 'response'), once(stream, 'end')])) as [
    [IncomingHttpHeaders],
    unknown,
  ];
  return { headers, body: Buffer.concat(pieces) };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

test('an exchange: headers, a body in both directions, events in order', async () => {
  const events: string[] = [];
  const { client } = await served((request, response) => {
    for (const event of ['finish', 'close']) response.on(event, () => events.push(event));
    void bodyOf(request).then((body) => {
      assert.equal(request.method, 'POST');
      assert.equal(request.url, '/a?b=c');
      assert.equal(request.headers['x-mine'], 'yes');
      response.setHeader('X-Answer', ['1', '2']);
      response.writeHead(201, { 'Content-Type': 'text/plain', Connection: 'close' });
      assert.equal(response.headersSent, true);
      response.end(body, () => events.push('ended'));
      assert.equal(response.writableEnded, true);
      events.push('after end');
    });
  });
  const stream = client.request({ ':method': 'POST', ':path': '/a?b=c', 'x-mine': 'yes' });
  const sent = Buffer.alloc(3 << 20, 'abcdefg');
  stream.end(sent);
  const { headers, body } = await answerOf(stream);
  assert.equal(headers[':status'], 201);
  assert.equal(headers['content-type'], 'text/plain');
  assert.equal(headers['x-answer'], '1, 2');
  assert.equal(headers['connection'], undefined);
  assert.ok(body.equals(sent));
  assert.deepEqual(events, ['after end', 'finish', 'ended', 'close']);
});

test('answers without a body: HEAD, 204, 304, and none given', async () => {
  const { client } = await served((request, response) => {
    const status = Number(request.url?.slice(1));
    const isEmpty = status === 200 && request.method === 'GET';
    response.writeHead(status, request.method === 'HEAD' ? { 'content-length': 4 } : {});
    response.end(isEmpty ? undefined : 'body');
  });
  for (const [method, status] of [
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
    ['GET', 200],
  ] as const) {
    const { headers, body } = await answerOf(client.request({ ':method': method, ':path': `/${status}` }));
    assert.equal(headers[':status'], status);
    assert.equal(body.length, 0);
  }
});

test('a client that does not read: writes say so, and go on when it does', async () => {
  const total = 8 << 20;
  let written = 0;
  let waited = 0;
  const { client } = await served((_request, response) => {
    response.writeHead(200);
    const more = async (): Promise<void> => {
      while (written < total) {
        written += 65_536;
        if (response.write(Buffer.alloc(65_536, 1))) continue;
        waited++;
        assert.equal(response.writableNeedDrain, true);
        await once(response, 'drain');
      }
      response.end();
    };
    void more();
  });
  const stream = client.request({ ':path': '/' });
  await once(stream, 'response');
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(written < total / 2, `${written} bytes were written for a client that reads nothing`);
  let read = 0;
  stream.on('data', (piece: Buffer) => (read += piece.length));
  await once(stream, 'end');
  assert.equal(read, written);
  assert.ok(waited > 1);
});

test('a body that nobody reads is sent no further than its window', async () => {
  let release: (() => void) | undefined;
  const { client } = await served((request, response) => {
    release = () => {
      void bodyOf(request).then((body) => response.end(String(body.length)));
    };
  });
  const stream = client.request({ ':method': 'POST', ':path': '/' });
  const size = 4 << 20;
  stream.end(Buffer.alloc(size));
  await until(() => release !== undefined);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(stream.writableLength > 0, 'all of it was taken');
  release?.();
  assert.equal((await answerOf(stream)).body.toString(), String(size));
});

test('a client that leaves: the exchange is over, and says that it broke off', async () => {
  const events: string[] = [];
  let over: (() => void) | undefined;
  const isOver = new Promise<void>((resolve) => (over = resolve));
  const { client } = await served((request, response) => {
    request.on('aborted', () => events.push('aborted'));
    request.on('data', () => events.push('data'));
    request.on('error', () => events.push('error'));
    response.on('close', () => {
      events.push('close');
      assert.equal(response.destroyed, true);
      assert.equal(response.writableEnded, false);
      assert.equal(response.write('late'), false);
      response.end();
      over?.();
    });
  });
  const stream = client.request({ ':method': 'POST', ':path': '/' });
  stream.on('error', () => undefined);
  stream.write('some');
  await until(() => events.includes('data'));
  stream.destroy();
  await isOver;
  assert.deepEqual(events, ['data', 'aborted', 'close']);
});

test('an answer that is broken off does not look whole', async () => {
  const { client } = await served((_request, response) => {
    response.writeHead(200);
    response.write('half');
    setTimeout(() => response.destroy(), 20);
  });
  const stream = client.request({ ':path': '/' });
  stream.resume();
  const [error] = (await once(stream, 'error')) as [Error];
  assert.match(error.message, /INTERNAL_ERROR/);
});

test('shutdown: what is under way is answered, connections then end; idle ones at once', async () => {
  let release: (() => void) | undefined;
  const { connections, client } = await served((_request, response) => {
    release = () => response.end('late');
  });
  const stream = client.request({ ':path': '/' });
  await until(() => release !== undefined);
  connections.shutdown();
  let isGone = false;
  const gone = connections.gone().then(() => (isGone = true));
  await once(client, 'goaway');
  assert.equal(isGone, false);
  release?.();
  assert.equal((await answerOf(stream)).body.toString(), 'late');
  await gone;
});
