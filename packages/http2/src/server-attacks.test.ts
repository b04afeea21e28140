import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerBlock } from './hpack/header-block.ts';
import { errorCode } from './protocol.ts';
import { frame, hello, request, requestBlock, TestServer, uint32 } from './simulation/test-peer.ts';

// What is known to have brought HTTP/2 servers down, each until it is turned away or shown to cost nothing.

const head = headerBlock([[':status', '200']]);
const calm = `ended ${errorCode.enhanceYourCalm}`;

/** Sends `make(n)` until the server gives up; the count. Fails at `most`. */
function untilCalm(server: TestServer, most: number, make: (index: number) => Uint8Array): number {
  for (let index = 0; index < most; index++) {
    const lines = server.receive(make(index));
    if (server.isEnded) {
      assert.ok(
        lines.some((line) => line.startsWith(calm)),
        lines.join('\n'),
      );
      return index;
    }
  }
  throw new assert.AssertionError({ message: `still served after ${most}` });
}

function open(...given: ConstructorParameters<typeof TestServer>): TestServer {
  const server = new TestServer(...given);
  server.receive(hello);
  return server;
}

test('rapid reset (CVE-2023-44487): streams that are cancelled as soon as they are opened', () => {
  const server = open();
  const count = untilCalm(server, 2000, (index) =>
    Buffer.concat([request(1 + 2 * index), frame(3, 0, 1 + 2 * index, uint32(8))]),
  );
  assert.equal(count, 1000);
  // Slowly it may go on for ever.
  const slow = open();
  for (let index = 0; index < 3000; index++) {
    slow.nowMs += 50;
    slow.receive(request(1 + 2 * index), frame(3, 0, 1 + 2 * index, uint32(8)));
  }
  assert.equal(slow.isEnded, false);
});

test('made-you-reset (CVE-2025-8671): faults that make the server reset streams', () => {
  const faults: readonly ((id: number) => Uint8Array)[] = [
    (id) => frame(8, 0, id, uint32(0)),
    (id) => Buffer.concat([frame(8, 0, id, uint32(2 ** 31 - 1))]),
    (id) => frame(2, 0, id, Buffer.concat([uint32(id), Buffer.of(0)])),
    (id) => frame(2, 0, id, Buffer.of(0)),
    (id) => frame(0, 1, id, Buffer.of(0)),
  ];
  for (const fault of faults) {
    const count = untilCalm(open(), 2000, (index) =>
      Buffer.concat([request(1 + 2 * index), fault(1 + 2 * index)]),
    );
    assert.ok(count <= 1000, String(count));
  }
});

test('more streams than allowed are refused, and who goes on is turned away', () => {
  const server = open({ concurrentStreamsMax: 10 });
  const count = untilCalm(server, 2000, (index) => request(1 + 2 * index));
  assert.equal(server.streams.size, 10);
  assert.ok(count < 1020);
});

test('floods of PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA and unknown frames', () => {
  const floods: readonly ((id: number) => Uint8Array)[] = [
    () => frame(6, 0, 0, Buffer.alloc(8)),
    () => frame(4, 0, 0),
    () => frame(4, 0, 0, Buffer.of(0, 4, 0, 0, 0, 1)),
    (index) => frame(2, 0, 1, Buffer.of(0, 0, 0, 5, index & 255)),
    () => frame(8, 0, 0, uint32(1)),
    () => frame(0, 0, 1),
    () => frame(0, 8, 1, Buffer.of(3, 0, 0, 0)),
    () => frame(99, 0, 0),
    () => frame(7, 0, 0, Buffer.alloc(8)),
  ];
  for (const flood of floods) {
    const server = open();
    server.receive(request(1, false));
    untilCalm(server, 10_100, flood);
    assert.ok(server.sentBytes < 400_000, `${server.sentBytes} bytes were sent`);
  }
  // As many in the course of a day are fine, and so is whoever pings with every call.
  const slow = open();
  for (let index = 0; index < 20_000; index++) {
    slow.nowMs += 2;
    slow.receive(frame(6, 0, 0, Buffer.alloc(8)));
  }
  assert.equal(slow.isEnded, false);
  const busy = open({}, (stream) => stream.respond(head, true));
  for (let index = 0; index < 20_000; index++)
    busy.receive(request(1 + 2 * index), frame(6, 0, 0, Buffer.alloc(8)), frame(8, 0, 0, uint32(1)));
  assert.equal(busy.isEnded, false);
});

test('CONTINUATION flood (CVE-2024-27316): a header block without end, in large, small and empty pieces', () => {
  for (const size of [16_384, 100, 0]) {
    const server = open();
    server.receive(frame(1, 1, 1, requestBlock()));
    const count = untilCalm(server, 100, () => frame(9, 0, 1, Buffer.alloc(size)));
    assert.ok(count < 30, String(count));
  }
});

test('HPACK bombs: a table full of one large value, asked for again and again, is not unpacked', () => {
  const server = open({ headerListBytesMax: 64 * 1024 });
  const fill = Buffer.concat([
    requestBlock(),
    // A literal that enters the table: name `a`, a value of 4000 bytes.
    Buffer.of(0x40, 1, 0x61, 0x7f, 0xa1, 0x1e),
    Buffer.alloc(4000, 0x62),
  ]);
  assert.match(server.receive(frame(1, 5, 1, fill)).join(), /request 1/);
  const lines = server.receive(
    frame(1, 5, 3, Buffer.concat([requestBlock(), Buffer.alloc(16_000, 0x80 | 62)])),
  );
  assert.deepEqual(lines, ['> HEADERS 3 flags 5 :status=431']);
  assert.match(server.receive(request(5)).join(), /request 5/, 'the connection goes on');
});

test('header lists that are too large are answered with 431', () => {
  const server = open({ headerListBytesMax: 1000 });
  assert.deepEqual(server.receive(request(1, true, { x: 'y'.repeat(850) })), [
    '> HEADERS 1 flags 5 :status=431',
  ]);
  const many = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`x${at}`, '']));
  assert.deepEqual(server.receive(request(3, false, many)), [
    '> HEADERS 3 flags 5 :status=431',
    '> RST_STREAM 3 0',
  ]);
  assert.equal(server.connection.streamCount, 0);
});

test('a window that is never opened holds what the application wrote and no more; frames do not pile up', () => {
  const server = open({}, (stream) => {
    stream.respond(head);
    while (stream.write(Buffer.alloc(16_384)));
  });
  server.receive(frame(4, 0, 0, Buffer.of(0, 4, 0, 0, 0, 0)));
  for (let index = 0; index < 100; index++) server.receive(request(1 + 2 * index));
  assert.ok(server.sentBytes < 10_000, `${server.sentBytes} bytes were sent`);
  for (const stream of server.streams.values()) assert.equal(stream.unsentBytes, 256 * 1024);
  // Opened byte by byte (Data Dribble) it counts as frames that bring nothing only as far as nothing passes.
  const began = server.sentBytes;
  for (let index = 0; index < 1000; index++) server.receive(frame(8, 0, 1, uint32(1)));
  assert.equal(server.sentBytes - began, 10_000);
});

test('a header block or a frame that comes drop by drop has its time and no more', () => {
  const block = request(1, true, { x: 'y'.repeat(1000) });
  const server = open({ headTimeoutMs: 10_000 });
  for (let at = 0; at < block.length && !server.isEnded; at++) {
    server.receive(block.subarray(at, at + 1));
    server.nowMs += 100;
    server.connection.tick();
  }
  assert.equal(server.isEnded, true);
  assert.ok(server.nowMs <= 10_100, String(server.nowMs));
});

test('a client that resets streams which it has begun to read is no attacker', () => {
  const server = open({}, (stream) => stream.respond(head));
  for (let index = 0; index < 5000; index++)
    server.receive(request(1 + 2 * index), frame(3, 0, 1 + 2 * index, uint32(8)));
  assert.equal(server.isEnded, false);
});
