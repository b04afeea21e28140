import assert from 'node:assert/strict';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { acceptRemoteCommand, isSpdy } from '@pilothouse/streaming';
import { WebSocket, WebSocketServer } from 'ws';
import { nodeClock } from '@pilothouse/host';
import { nodeDialer } from './node-dialer.ts';

/** A node that speaks SPDY alone: gives back its input in capitals and ends with status 3. */
async function oldNode(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const options = { stdin: true, stdout: true, stderr: true, tty: false };
  const streams = await acceptRemoteCommand(request, socket, head, options, nodeClock);
  let text = '';
  streams?.stdin?.on('data', (data: Buffer) => (text += data.toString()));
  streams?.stdin?.once('end', () => {
    streams.stdout?.write(text.toUpperCase());
    void streams.finish({ exitCode: 3 });
  });
}

let node: Server;
let front: Server;
let nodePort: number;
let frontPort: number;
let seen: Record<string, string | string[] | undefined>;

before(async () => {
  node = createServer((request, response) => {
    seen = request.headers;
    if (request.url === '/containerLogs/bad') {
      response.writeHead(400).end('container "c" in pod "b" is waiting to start: x');
      return;
    }
    if (request.url === '/page') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<a href="/x">x</a>');
      return;
    }
    if (request.url === '/moved') {
      response.writeHead(302, { location: '/there?x=1' }).end();
      return;
    }
    response.setHeader('Content-Type', 'text/plain');
    response.end(`log of ${request.url}\n`);
  });
  const sockets = new WebSocketServer({ noServer: true });
  node.on('upgrade', (request, socket, head) => {
    if (isSpdy(request)) {
      void oldNode(request, socket, head);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (accepted) => sockets.emit('connection', accepted));
  });
  sockets.on('connection', (socket) =>
    socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`)),
  );
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve));
  nodePort = (node.address() as AddressInfo).port;
  const dialer = nodeDialer(nodeClock);
  const target = (port: number) => ({
    scheme: 'http' as const,
    host: '127.0.0.1',
    port,
    path: '/containerLogs/a/b/c?tailLines=1',
    asKubelet: true,
  });
  const options = { stdin: true, stdout: true, stderr: true, tty: false };
  const stream = dialer.stream(target(nodePort), { type: 'command', nodeTakesWebSockets: false, options });
  front = createServer((request, response) => {
    const url = request.url ?? '';
    if (url === '/gone-log') dialer.log(target(1), 'b').handle(request, response);
    else if (url === '/bad-log')
      dialer.log({ ...target(nodePort), path: '/containerLogs/bad' }, 'b').handle(request, response);
    else if (url === '/stream') stream.handle(request, response);
    else if (url.startsWith('/p/proxy'))
      dialer
        .proxy({ ...target(nodePort), asKubelet: false, path: url.slice('/p/proxy'.length) })
        .handle(request, response);
    else dialer.proxy(target(url === '/gone' ? 1 : nodePort)).handle(request, response);
  });
  front.on('upgrade', (request, socket, head) => {
    const handler = request.url === '/old-node' ? stream : dialer.proxy(target(nodePort));
    handler.upgrade?.(request, socket, head);
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  frontPort = (front.address() as AddressInfo).port;
});
after(() => {
  node.close();
  front.close();
  node.closeAllConnections();
  front.closeAllConnections();
});

function get(path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port: frontPort, path, headers: { authorization: 'Bearer secret' } },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    request.on('error', reject);
    request.end();
  });
}

test('a request goes to the node without the credentials of the client', async () => {
  assert.deepEqual(await get('/'), { status: 200, body: 'log of /containerLogs/a/b/c?tailLines=1\n' });
  assert.equal(seen['authorization'], undefined);
});

test('an upgrade is passed through both ways', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${frontPort}/`);
  await new Promise((resolve) => socket.once('open', resolve));
  const answer = new Promise<string>((resolve) =>
    socket.once('message', (data: Buffer) => resolve(data.toString())),
  );
  socket.send('hi');
  assert.equal(await answer, 'echo hi');
  socket.terminate();
});

test('a target that is gone gives a Status, in the words for its path', async () => {
  const { status, body } = await get('/gone');
  assert.equal(status, 503);
  assert.equal(
    (JSON.parse(body) as { message: string }).message,
    'error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused',
  );
  const log = await get('/gone-log');
  assert.equal(log.status, 500);
  assert.match(
    (JSON.parse(log.body) as { message: string }).message,
    /^Internal error occurred: Get "http:\/\/127.0.0.1:1\/containerLogs\/a\/b\/c\?tailLines=1": dial tcp 127.0.0.1:1: connect: connection refused$/,
  );
});

test('a refused log becomes a Status', async () => {
  const { status, body } = await get('/bad-log');
  assert.equal(status, 400);
  const { reason, message } = JSON.parse(body) as { reason: string; message: string };
  assert.deepEqual([reason, message], ['BadRequest', 'container "c" in pod "b" is waiting to start: x']);
});

test('an upgrade is required where streams are', async () => {
  const { status, body } = await get('/stream');
  assert.equal(status, 400);
  assert.match(body, /Upgrade request required/);
});

test('a page keeps to the proxy: slash, links and redirects', async () => {
  assert.deepEqual(await get('/p/proxy?q=1'), { status: 301, body: '' });
  const page = await get('/p/proxy/page');
  assert.equal(page.body, '<a href="/p/proxy/x">x</a>');
  assert.equal(seen['x-forwarded-uri'], '/p/proxy/page');
  assert.equal(seen['host'], `127.0.0.1:${frontPort}`);
  const moved = await new Promise<string | undefined>((resolve) => {
    httpRequest({ host: '127.0.0.1', port: frontPort, path: '/p/proxy/moved' }, (response) => {
      response.resume();
      resolve(response.headers.location);
    }).end();
  });
  assert.equal(moved, '/p/proxy/there?x=1');
});

test('WebSocket version 5 is turned into SPDY for a node that knows nothing newer', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${frontPort}/old-node`, ['v5.channel.k8s.io']);
  const frames: { channel: number; text: string }[] = [];
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('message', (data: Buffer) =>
    frames.push({ channel: data[0] as number, text: data.subarray(1).toString() }),
  );
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(Buffer.from('\u0000hello'));
  socket.send(Buffer.from([255, 0]));
  await closed;
  const out = frames.filter((each) => each.channel === 1).map((each) => each.text);
  assert.equal(out.join(''), 'HELLO');
  const status = JSON.parse(frames.find((each) => each.channel === 3)?.text ?? '{}') as { reason: string };
  assert.equal(status.reason, 'NonZeroExitCode');
});
