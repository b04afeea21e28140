import { test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { silentLogger } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { SeededRandom } from '@pilothouse/testkit';
import { startGateway } from '../gateway-command.ts';
import { startTcpGateway } from './tcp-gateway.ts';

/** Answers with its name and what came, once the client has ended its side. */
function echo(name: string): Promise<{ port: number; close: () => void }> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = name;
    socket.on('data', (piece) => (text += piece.toString()));
    socket.on('end', () => socket.end(text));
    socket.on('error', () => {});
  });
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () =>
      resolve({ port: (server.address() as net.AddressInfo).port, close: () => void server.close() }),
    ),
  );
}

function ask(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.connect(port, '127.0.0.1', () => socket.end(text));
    socket.on('data', (piece) => (answer += piece.toString()));
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

test('connections are spread, an endpoint that is gone is left out and comes back', async () => {
  const [a, b] = [await echo('a'), await echo('b')];
  const endpoints = [a, b].map(({ port }) => ({ host: '127.0.0.1', port, priority: 0, weight: 0 }));
  const gateway = await startTcpGateway({
    listen: { host: '127.0.0.1', port: 0 },
    endpoints,
    retryDelayMs: 50,
    clock: nodeClock,
    random: new SeededRandom(3),
    logger: silentLogger,
  });
  const many = async (): Promise<Set<string>> =>
    new Set(await Promise.all(Array.from({ length: 20 }, () => ask(gateway.port, '!'))));
  assert.deepEqual([...(await many())].sort(), ['a!', 'b!']);
  a.close();
  assert.deepEqual([...(await many())], ['b!']);
  const again = net.createServer((socket) => socket.end('again'));
  await new Promise<void>((resolve) => again.listen(a.port, '127.0.0.1', resolve));
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.ok((await many()).has('again'));
  again.close();
  b.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual([...(await many())], ['']);
  await gateway.close();
});

test('the command: flags, endpoints of DNS, and an endpoint that is the gateway itself', async () => {
  const a = await echo('a');
  const lookup = {
    services: (name: string) =>
      name === '_etcd-client._tcp.example.com'
        ? Promise.resolve([{ host: 'm1', port: a.port, priority: 0, weight: 0 }])
        : Promise.reject(new Error(`no ${name}`)),
    addresses: () => Promise.resolve(['127.0.0.1']),
  };
  const run = (...flags: string[]) => startGateway(['start', ...flags], silentLogger, lookup);
  const plain = await run('--listen-addr=127.0.0.1:0', `--endpoints=http://127.0.0.1:${a.port}`);
  assert.ok(plain);
  assert.equal(await ask(plain.port, '1'), 'a1');
  await plain.close();
  const insecure = '--insecure-discovery';
  await assert.rejects(run('--listen-addr=127.0.0.1:0', '--discovery-srv=example.com'), /SRV records/);
  await assert.rejects(
    run(`--listen-addr=127.0.0.1:${a.port}`, '--discovery-srv=example.com', insecure),
    /own address/,
  );
  await assert.rejects(run('--endpoints=nowhere'), /Invalid value "nowhere" for --endpoints: want host:port/);
  await assert.rejects(startGateway(['stop'], silentLogger, lookup), /gateway start/);
  a.close();
});
