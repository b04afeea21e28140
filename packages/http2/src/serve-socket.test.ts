import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net from 'node:net';
import { after, test } from 'node:test';
import { SeededRandom } from '@pilothouse/testkit';
import { headerBlock, serveSocket, type ServerConnection, type ServerStream } from './index.ts';
import { frame, hello, request } from './simulation/test-peer.ts';

const head = headerBlock([
  [':status', '200'],
  ['content-type', 'text/plain'],
]);
const connections: ServerConnection[] = [];
const sockets = new Set<net.Socket>();
let onRequest: (stream: ServerStream, path: string) => void = () => {};
const server = net.createServer((socket) => {
  sockets.add(socket);
  connections.push(
    serveSocket(socket, {
      monotonic: () => performance.now(),
      after: (delayMs, callback) => {
        const timer = setTimeout(callback, delayMs);
        return { cancel: () => clearTimeout(timer) };
      },
      onRequest: (stream, headers) => onRequest(stream, headers[':path'] ?? ''),
    }),
  );
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as net.AddressInfo;

after(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

function get(session: http2.ClientHttp2Session, body: Buffer, path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': path });
    const pieces: Buffer[] = [];
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.on('end', () => resolve(Buffer.concat(pieces)));
    stream.on('error', reject);
    stream.end(body);
  });
}

test('many pieces of all sizes arrive in order, by two streams at a time and with pauses', async () => {
  const random = new SeededRandom(7);
  const pieces = Array.from({ length: 3000 }, (_, index) => {
    const length = random.integer(10) === 0 ? random.integer(60_000) : random.integer(3000);
    return Buffer.alloc(length, index % 251);
  });
  const whole = Buffer.concat(pieces);
  onRequest = (stream) => {
    let at = 0;
    const send = (): void => {
      while (at < pieces.length) {
        const some = pieces.slice(at, (at += 1 + random.integer(90)));
        if (
          !stream.writeMany(
            some,
            some.reduce((sum, { length }) => sum + length, 0),
          )
        )
          return;
      }
      stream.end();
    };
    stream.receiver = {
      receiveData: () => {},
      receiveEnd() {
        stream.respond(head);
        send();
      },
      streamClosed: () => {},
      streamDrained: send,
    };
  };
  const session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 1 << 20 } });
  const bodies = await Promise.all([1, 2].map(() => get(session, Buffer.alloc(0), '/many')));
  session.close();
  for (const body of bodies) assert.ok(body.equals(whole), `${body.length} of ${whole.length} bytes`);
});

test("Node's client gets back what it sends: small and large, many at a time", async () => {
  onRequest = (stream) => {
    const pieces: Buffer[] = [];
    stream.receiver = {
      receiveData: (piece) => void pieces.push(piece),
      receiveEnd() {
        stream.respond(head);
        for (const piece of pieces) stream.write(piece);
        stream.end(headerBlock([['x-end', '1']]));
      },
      streamClosed: () => {},
    };
  };
  const session = http2.connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 500 });
  const sizes = [0, 1, 100, 16_384, 16_385, 70_000, 3_000_000];
  await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const body = Buffer.alloc(sizes[index % sizes.length] as number, index);
      assert.ok((await get(session, body, '/echo')).equals(body), `call ${index}`);
    }),
  );
  assert.equal(connections.at(-1)?.streamCount, 0);
  await new Promise<void>((resolve) => session.close(resolve));
});

test('a client that takes nothing makes the server hold little, however much it asks', async () => {
  const answer = Buffer.alloc(1 << 20);
  let answers = 0;
  onRequest = (stream) => {
    answers++;
    stream.answer(head, answer, undefined);
  };
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  // Windows as large as they come: only the socket holds the server back.
  socket.write(
    Buffer.concat([
      hello,
      frame(4, 0, 0, Buffer.of(0, 4, 0x7f, 0xff, 0xff, 0xff)),
      frame(8, 0, 0, Buffer.of(0x7f, 0, 0, 0)),
    ]),
  );
  for (let index = 0; index < 200; index++) socket.write(request(1 + 2 * index));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(answers, 200);
  const own = connections.at(-1)?.owner as net.Socket;
  assert.ok(own.writableLength < 8 << 20, `${own.writableLength} bytes wait in the socket`);
  // The whole is still delivered to one who begins to read.
  let received = 0;
  await new Promise<void>((resolve) => {
    socket.on('data', (piece: Buffer) => {
      received += piece.length;
      if (received > 200 << 20) resolve();
    });
    socket.resume();
  });
  socket.destroy();
});

test('who floods without reading is not read either', async () => {
  onRequest = (stream) => stream.respond(head, true);
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  socket.write(hello);
  let sent = 0;
  const flood = (): void => {
    while (sent < 3_000_000 && !socket.destroyed) {
      const batch = Buffer.concat(Array.from({ length: 1000 }, (_, at) => request(1 + 2 * (sent + at))));
      sent += 1000;
      if (!socket.write(batch)) return;
    }
  };
  socket.on('drain', flood);
  flood();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const own = connections.at(-1)?.owner as net.Socket;
  assert.ok(own.writableLength < 10 << 20, `${own.writableLength} bytes wait in the socket`);
  assert.ok(sent < 3_000_000, 'the flood stands still');
  socket.destroy();
});

/** A client with windows as large as they come that asks once and reads when it is told to. */
function slowClient(path: string): { readonly socket: net.Socket; content(bytes: number): Promise<Buffer> } {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  const windows = [
    frame(4, 0, 0, Buffer.of(0, 4, 0x7f, 0xff, 0xff, 0xff)),
    frame(8, 0, 0, Buffer.of(0x7f, 0, 0, 0)),
  ];
  socket.write(Buffer.concat([hello, ...windows, request(1, true, { ':path': path })]));
  const content = async (wanted: number): Promise<Buffer> => {
    const payloads: Buffer[] = [];
    let got = 0;
    let rest = Buffer.alloc(0);
    for await (const piece of socket as AsyncIterable<Buffer>) {
      rest = Buffer.concat([rest, piece]);
      while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
        const end = 9 + rest.readUIntBE(0, 3);
        if (rest[3] === 0) {
          payloads.push(rest.subarray(9, end));
          got += end - 9;
        }
        rest = rest.subarray(end);
      }
      if (got >= wanted) break;
    }
    return Buffer.concat(payloads);
  };
  return { socket, content };
}

test('what a slow client was sent stays as it was while others are served', async () => {
  const pieces = 5000;
  const pieceOf = (fill: number, index: number): Buffer =>
    Buffer.alloc(900, `${fill}:${index};`.padStart(18, '.'));
  let hasBegun = false;
  onRequest = (stream, path) => {
    // Of the flood before, requests may still come.
    if (path === '/') return;
    hasBegun = true;
    const fill = path === '/slow' ? 1 : 2;
    stream.respond(head);
    let index = 0;
    const turn = (): void => {
      for (let count = 0; count < 5 && index < pieces; count++) {
        const piece = pieceOf(fill, index++);
        stream.writePieces([piece.subarray(0, 400), piece.subarray(400)], piece.length);
      }
      if (index < pieces) setImmediate(turn);
    };
    turn();
  };
  const slow = slowClient('/slow');
  while (!hasBegun) await new Promise((resolve) => setTimeout(resolve, 5));
  const fast = slowClient('/fast');
  const bytes = pieces * 900;
  const expected = (fill: number): Buffer =>
    Buffer.concat(Array.from({ length: pieces }, (_, index) => pieceOf(fill, index)));
  assert.ok((await fast.content(bytes)).equals(expected(2)), 'the fast client');
  assert.ok((await slow.content(bytes)).equals(expected(1)), 'the slow client');
  slow.socket.destroy();
  fast.socket.destroy();
});
