import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import type { Random } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import { FakeClock } from '@pilothouse/testkit';
import { Balancer } from './balancer.ts';
import { parseEndpoint } from './endpoint.ts';

const random: Random = { bytes: (length) => new Uint8Array(length), float: () => 0, integer: () => 0 };

function setUp(): { balancer: Balancer; sockets: Duplex[] } {
  const sockets: Duplex[] = [];
  const balancer = new Balancer({
    endpoints: ['http://a:1', 'http://b:1'].map((each) => parseEndpoint(each, false)),
    tls: undefined,
    clock: new FakeClock(),
    random,
    logger: silentLogger,
    metadata: {},
    dial() {
      const socket = new Duplex({ read: () => undefined, write: (_piece, _encoding, done) => done() });
      sockets.push(socket);
      setImmediate(() => socket.emit('connect'));
      return socket;
    },
  });
  return { balancer, sockets };
}

const handlers = { onMessage: () => undefined, onEnd: () => undefined };

test('an endpoint that is left loses its connection when nothing runs on it', async () => {
  const { balancer, sockets } = setUp();
  const first = balancer.connection();
  await first.ready();
  balancer.leave(first);
  const second = balancer.connection();
  await second.ready();
  assert.deepEqual(
    sockets.map((each) => each.destroyed),
    [true, false],
  );
  balancer.close();
});

test('closing also ends connections that were left while a stream ran on them', async () => {
  const { balancer, sockets } = setUp();
  const first = balancer.connection();
  await first.ready();
  first.stream('/etcdserverpb.Watch/Watch', {}, handlers);
  balancer.leave(first);
  await balancer.connection().ready();
  assert.equal(sockets[0]?.destroyed, false);
  balancer.close();
  assert.deepEqual(
    sockets.map((each) => each.destroyed),
    [true, true],
  );
});
