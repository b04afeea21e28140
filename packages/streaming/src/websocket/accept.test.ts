import assert from 'node:assert/strict';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { Server } from 'node:http';
import { acceptWebSocket } from './accept.ts';

let server: Server;
before(async () => {
  server = createServer();
  server.on('upgrade', (request, socket, head) => {
    void acceptWebSocket(request, socket, head, ['SPDY/3.1+portforward.k8s.io', 'v4.channel.k8s.io', '']);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
after(() => {
  server.close();
  server.closeAllConnections();
});

function offer(protocols: string | undefined): Promise<{ status: number; protocol: unknown }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...(protocols === undefined ? {} : { 'sec-websocket-protocol': protocols }),
      },
    });
    const done = (answer: IncomingMessage): void => {
      answer.socket.destroy();
      resolve({ status: answer.statusCode ?? 0, protocol: answer.headers['sec-websocket-protocol'] });
    };
    request.once('upgrade', done);
    request.once('response', done);
    request.once('error', reject);
    request.end();
  });
}

test('the first common protocol is chosen, with a slash in its name or without', async () => {
  assert.deepEqual(await offer('SPDY/3.1+portforward.k8s.io'), {
    status: 101,
    protocol: 'SPDY/3.1+portforward.k8s.io',
  });
  assert.deepEqual(await offer('v9.channel.k8s.io, v4.channel.k8s.io'), {
    status: 101,
    protocol: 'v4.channel.k8s.io',
  });
  assert.deepEqual(await offer(undefined), { status: 101, protocol: undefined });
  assert.deepEqual(await offer('chat'), { status: 403, protocol: undefined });
});
