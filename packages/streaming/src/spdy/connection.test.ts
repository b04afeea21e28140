import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { SpdyConnection } from './connection.ts';
import type { SpdyStream } from './stream.ts';

/** Two ends of a pipe in memory. */
function pipePair(): [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(data: Buffer, _encoding, callback) {
        other().push(Buffer.from(data));
        callback();
      },
      final(callback) {
        other().push(null);
        callback();
      },
    });
  const a: Duplex = make(() => b);
  const b: Duplex = make(() => a);
  return [a, b];
}

/** Not `for await`: that destroys a duplex stream at its end. */
function textOf(stream: Duplex): Promise<string> {
  let text = '';
  stream.on('data', (piece: Buffer) => (text += piece.toString()));
  return new Promise((resolve) => stream.once('end', () => resolve(text)));
}

test('streams go both ways, half-close, and carry much', async () => {
  const [a, b] = pipePair();
  new SpdyConnection(b, {
    role: 'server',
    onStream(stream) {
      void textOf(stream).then((text) => stream.end(`${stream.headers['name']}:${text.length}`));
    },
  });
  const client = new SpdyConnection(a, { role: 'client' });
  const streams = await Promise.all(['x', 'y', 'z'].map((name) => client.open({ name })));
  const answers = streams.map((stream) => textOf(stream));
  for (const stream of streams) stream.end(Buffer.alloc(300_000, 0x61));
  assert.deepEqual(await Promise.all(answers), ['x:300000', 'y:300000', 'z:300000']);
});

test('a ping is answered, a stream without a taker is refused', async () => {
  const [a, b] = pipePair();
  const server = new SpdyConnection(b, { role: 'server' });
  const client = new SpdyConnection(a, { role: 'client' });
  await assert.rejects(client.open({ streamtype: 'data' }), /refused the stream/);
  server.close();
});

test('the end of the connection ends its streams after what came before', async () => {
  const [a, b] = pipePair();
  let served: SpdyStream | undefined;
  const gone = new Promise<void>((resolve) => {
    new SpdyConnection(b, {
      role: 'server',
      onStream: (stream) => {
        served = stream;
      },
      onClose: resolve,
    });
  });
  const client = new SpdyConnection(a, { role: 'client' });
  const stream = await client.open({});
  stream.write('last words');
  client.close();
  await gone;
  assert.equal(await textOf(served as SpdyStream), 'last words');
  assert.equal(client.closed, true);
});

test('bytes that are no frames end the connection', async () => {
  const [a, b] = pipePair();
  const gone = new Promise<void>((resolve) => {
    new SpdyConnection(b, { role: 'server', onClose: resolve });
  });
  a.write(Buffer.from('ffff000100000000', 'hex'));
  await gone;
  assert.equal(b.destroyed, true);
});
