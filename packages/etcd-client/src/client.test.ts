import { afterEach, mock, test } from 'node:test';
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { decodeMessage, encodeMessage, etcdserverpb, type MessageInput } from '@pilothouse/proto';
import type { Clock, Random } from '@pilothouse/base';
import { createEtcdClient, EtcdError, prefixEnd, type EtcdClient } from './index.ts';
import { Connection, Deframer, frame } from './connection.ts';
import { parseEndpoint } from './endpoint.ts';

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback, delayMs) {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  setInterval(callback, periodMs) {
    const handle = setInterval(callback, periodMs);
    return { cancel: () => clearInterval(handle) };
  },
};
/** Always picks the first endpoint first. */
const random: Random = { bytes: (length) => new Uint8Array(length), float: () => 0, integer: () => 0 };
const bytes = (text: string): Uint8Array => Buffer.from(text);

type Serve = (stream: http2.ServerHttp2Stream, path: string) => void;

/** An etcd that does what the test says, stream by stream. */
class FakeEtcd {
  readonly #server = http2.createServer();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  serve: Serve;
  calls = 0;

  constructor(serve: Serve) {
    this.serve = serve;
    this.#server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('error', () => {});
    });
    this.#server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      this.calls++;
      this.serve(stream, String(headers[':path']));
    });
  }
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  cut(): void {
    for (const session of this.#sessions) session.destroy();
  }
  close(): void {
    this.cut();
    this.#server.close();
  }
}

const reply = (stream: http2.ServerHttp2Stream, message: Uint8Array): void => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(frame(message));
};
const refuse = (stream: http2.ServerHttp2Stream, status: number, message: string): void =>
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status, 'grpc-message': message },
    { endStream: true },
  );
const answerRange: Serve = (stream) => {
  stream.on('data', () => {});
  stream.on('end', () => reply(stream, encodeMessage(etcdserverpb.RangeResponse, { count: 7 })));
};

let closers: { close(): void }[] = [];
afterEach(() => {
  for (const closer of closers) closer.close();
  closers = [];
});

async function setUp(...servers: FakeEtcd[]): Promise<EtcdClient> {
  const endpoints = await Promise.all(servers.map((server) => server.listen()));
  const client = createEtcdClient({ endpoints, clock, random });
  closers.push(client, ...servers);
  return client;
}

test('a call goes to the next endpoint at once when the first refuses the connection, also a write', async () => {
  const server = new FakeEtcd((stream) => {
    stream.resume();
    stream.on('end', () =>
      reply(stream, encodeMessage(etcdserverpb.PutResponse, { header: { revision: 9 } })),
    );
  });
  const url = await server.listen();
  const client = createEtcdClient({ endpoints: ['http://127.0.0.1:1', url], clock, random });
  closers.push(client, server);
  const started = performance.now();
  assert.equal((await client.kv.put({ key: bytes('a') })).header?.revision, 9);
  assert.ok(performance.now() - started < 1000);
});

test('after a broken connection a read is repeated elsewhere, a write is not', async () => {
  const broken = new FakeEtcd((stream) => stream.session?.destroy());
  const healthy = new FakeEtcd(answerRange);
  const client = await setUp(broken, healthy);
  assert.equal((await client.kv.range({ key: bytes('a') })).count, 7);
  assert.equal(healthy.calls, 1);
  const again = await setUp(new FakeEtcd((stream) => stream.session?.destroy()), new FakeEtcd(answerRange));
  await assert.rejects(
    again.kv.put({ key: bytes('a') }),
    (error: unknown) => error instanceof EtcdError && error.isUnavailable && !error.notSent,
  );
});

test("the server's status and text come through verbatim and are not retried", async () => {
  const server = new FakeEtcd((stream) =>
    refuse(stream, 11, 'etcdserver: mvcc: required revision has been compacted'),
  );
  const client = await setUp(server);
  await assert.rejects(
    client.kv.range({ key: bytes('a') }),
    (error: unknown) => error instanceof EtcdError && error.isCompacted && error.grpcStatus === 11,
  );
  assert.equal(server.calls, 1);
});

test('a deadline ends a call that nobody answers', async () => {
  const client = await setUp(new FakeEtcd((stream) => stream.resume()));
  await assert.rejects(client.kv.range({ key: bytes('a') }, { timeoutMs: 50 }), { code: 'deadlineExceeded' });
  const abort = new AbortController();
  const call = client.kv.range({ key: bytes('a') }, { signal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  await assert.rejects(call, { code: 'canceled' });
});

test('large replies in many frames arrive whole', async () => {
  const value = Buffer.alloc(3_000_000, 7);
  const client = await setUp(
    new FakeEtcd((stream) => {
      stream.resume();
      stream.on('end', () =>
        reply(stream, encodeMessage(etcdserverpb.RangeResponse, { kvs: [{ key: bytes('k'), value }] })),
      );
    }),
  );
  const { kvs } = await client.kv.range({ key: bytes('k') });
  assert.ok(Buffer.from(kvs[0]?.value ?? []).equals(value));
});

test('watches share a stream, resume after the last revision seen, and end when compacted', async () => {
  const creates: etcdserverpb.WatchCreateRequest[] = [];
  const send = (stream: http2.ServerHttp2Stream, message: MessageInput<etcdserverpb.WatchResponse>): void =>
    void stream.write(frame(encodeMessage(etcdserverpb.WatchResponse, message)));
  let round = 0;
  let streams = 0;
  const server = new FakeEtcd((stream) => {
    streams++;
    const mine = ++round;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    const deframer = new Deframer();
    stream.on('data', (chunk: Buffer) =>
      deframer.push(chunk, (message) => {
        const { createRequest } = decodeMessage(etcdserverpb.WatchRequest, message);
        if (!createRequest) return;
        creates.push(createRequest);
        const { watchId } = createRequest;
        send(stream, { watchId, created: true, header: { revision: 20 } });
        if (mine === 1) {
          send(stream, {
            watchId,
            header: { revision: 22 },
            events: [{ kv: { key: bytes('a'), modRevision: 22 } }],
          });
          if (creates.length === 2) setTimeout(() => server.cut(), 10);
        } else if (Buffer.from(createRequest.key).toString() === 'a') {
          send(stream, { watchId: -1, header: { revision: 30 } });
        } else send(stream, { watchId, canceled: true, compactRevision: 25 });
      }),
    );
  });
  const client = await setUp(server);
  const log: string[] = [];
  await new Promise<void>((resolve) => {
    const handler = (name: string): Parameters<EtcdClient['watcher']['watch']>[1] => ({
      onEvents: (events) => log.push(`${name} event ${events[0]?.kv?.modRevision}`),
      onProgress: (revision) => log.push(`${name} progress ${revision}`),
      onEnd: (error) => {
        log.push(`${name} end ${error.isCompacted} ${error.compactRevision}`);
        if (name === 'b') resolve();
      },
    });
    client.watcher.watch({ key: bytes('a'), rangeEnd: prefixEnd(bytes('a')) }, handler('a'));
    client.watcher.watch({ key: bytes('b'), startRevision: 5 }, handler('b'));
  });
  assert.equal(streams, 2);
  assert.deepEqual(
    creates.map(({ key, startRevision }) => `${Buffer.from(key).toString()}@${startRevision}`),
    ['a@0', 'b@5', 'a@23', 'b@23'],
  );
  assert.deepEqual(log, ['a event 22', 'b event 22', 'a progress 30', 'b end true 25']);
});

test('a watch stream that a server without a leader refuses is opened again', async () => {
  let refusals = 0;
  const server = new FakeEtcd((stream) => {
    if (++refusals < 3) {
      refuse(stream, 14, 'etcdserver: no leader');
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.once('data', () =>
      stream.write(
        frame(
          encodeMessage(etcdserverpb.WatchResponse, { watchId: 1, created: true, header: { revision: 4 } }),
        ),
      ),
    );
  });
  const client = await setUp(server);
  const revision = await new Promise((resolve) =>
    client.watcher.watch({ key: bytes('a') }, { onCreated: resolve, onEvents() {}, onEnd() {} }),
  );
  assert.deepEqual([revision, refusals], [4, 3]);
});

test('a large request goes out as the windows of the server open', async () => {
  let received = 0;
  const etcd = new FakeEtcd((stream) => {
    stream.on('data', (piece: Buffer) => (received += piece.length));
    stream.on('end', () => reply(stream, encodeMessage(etcdserverpb.PutResponse, {})));
  });
  const client = await setUp(etcd);
  const value = Buffer.alloc(1_500_000, 'v');
  await client.kv.put({ key: bytes('k'), value });
  assert.ok(received > value.length);
});

test('more calls than a server takes at a time wait for their turn', async () => {
  let open = 0;
  let most = 0;
  const server = http2.createServer({ settings: { maxConcurrentStreams: 3 } });
  server.on('stream', (stream) => {
    most = Math.max(most, ++open);
    stream.on('data', () => {});
    stream.on('close', () => open--);
    stream.on('end', () =>
      setTimeout(() => reply(stream, encodeMessage(etcdserverpb.RangeResponse, { count: 7 })), 5),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(server);
  const client = createEtcdClient({
    endpoints: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`],
    clock,
    random,
  });
  closers.unshift(client);
  // The first call brings the server's settings.
  await client.kv.range({ key: bytes('k') });
  const answers = await Promise.all(Array.from({ length: 10 }, () => client.kv.range({ key: bytes('k') })));
  assert.ok(answers.every(({ count }) => count === 7));
  assert.equal(most, 3);
});

test('a server that says goodbye finishes what it began; the next call goes to another', async () => {
  const leaving = new FakeEtcd((stream) => {
    stream.session?.goaway(0, Number(stream.id));
    setTimeout(() => answerRange(stream, ''), 20);
  });
  const other = new FakeEtcd(answerRange);
  const client = await setUp(leaving, other);
  assert.equal((await client.kv.range({ key: bytes('k') })).count, 7);
  assert.equal((await client.kv.range({ key: bytes('k') })).count, 7);
  assert.deepEqual([leaving.calls, other.calls], [1, 1]);
});

test("a server's text with any character comes through", async () => {
  const etcd = new FakeEtcd((stream) => refuse(stream, 9, 'caf%C3%A9 ~{}|\\^ "etcdserver" @ 100%25'));
  const client = await setUp(etcd);
  await assert.rejects(client.kv.put({ key: bytes('k') }), { message: 'café ~{}|\\^ "etcdserver" @ 100%' });
});

test('a server that does not speak HTTP/2 is an error of the connection', async () => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(server);
  const client = createEtcdClient({
    endpoints: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`],
    clock,
    random,
  });
  closers.unshift(client);
  await assert.rejects(client.kv.put({ key: bytes('k') }), /broke|Cannot reach/);
});

test('prefixEnd() is the first key after all with the prefix', () => {
  assert.deepEqual([...prefixEnd(bytes('ab'))], [0x61, 0x63]);
  const shared = Buffer.from('ab');
  assert.equal(prefixEnd(shared).at(-1), 0x63);
  assert.equal(shared.toString(), 'ab', 'The prefix itself stays as it was');
  assert.deepEqual([...prefixEnd(Uint8Array.of(1, 0xff, 0xff))], [2]);
  assert.deepEqual([...prefixEnd(Uint8Array.of(0xff))], [0]);
});

test('a connection that comes up in the moment in which it is given up does no harm', async () => {
  const server = http2.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const timers: (() => void)[] = [];
  const { connect } = net;
  mock.method(net, 'connect', (options: net.NetConnectOpts) => {
    const socket = connect(options);
    socket.once('connect', () => timers[0]?.());
    return socket;
  });
  try {
    const connection = new Connection(parseEndpoint(`http://127.0.0.1:${port}`, false), {
      clock: {
        ...clock,
        setTimeout(callback) {
          timers.push(callback);
          return { cancel() {} };
        },
      },
      tls: undefined,
      onDown: () => {},
    });
    await assert.rejects(connection.ready(), EtcdError);
    assert.equal(connection.isUp, false);
    assert.equal(timers.length, 1, 'Nothing was started on it');
  } finally {
    mock.restoreAll();
    server.close();
  }
});
