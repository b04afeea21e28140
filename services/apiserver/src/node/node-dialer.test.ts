import assert from 'node:assert/strict';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { Server } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { nodeDialer } from './node-dialer.ts';

let node: Server;
let front: Server;
let nodePort: number;
let frontPort: number;
let seen: Record<string, string | string[] | undefined>;

before(async () => {
  node = createServer((request, response) => {
    seen = request.headers;
    response.setHeader('Content-Type', 'text/plain');
    response.end(`log of ${request.url}\n`);
  });
  const sockets = new WebSocketServer({ server: node });
  sockets.on('connection', (socket) =>
    socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`)),
  );
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve));
  nodePort = (node.address() as AddressInfo).port;
  const dialer = nodeDialer();
  const target = (port: number) => ({
    scheme: 'http' as const,
    host: '127.0.0.1',
    port,
    path: '/containerLogs/a/b/c?tailLines=1',
    asKubelet: true,
  });
  front = createServer((request, response) => {
    dialer.proxy(target(request.url === '/gone' ? 1 : nodePort)).handle(request, response);
  });
  front.on('upgrade', (request, socket, head) =>
    dialer.proxy(target(nodePort)).upgrade?.(request, socket, head),
  );
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

test('a node that is gone gives a Status', async () => {
  const { status, body } = await get('/gone');
  assert.equal(status, 500);
  assert.match((JSON.parse(body) as { message: string }).message, /ECONNREFUSED/);
});
