import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '@pilothouse/testkit';
import { headerBlock } from './hpack/header-block.ts';
import { frame, hello, request, TestServer, uint32 } from './simulation/test-peer.ts';

const head = headerBlock([[':status', '200']]);
const trailers = headerBlock([['x', 'y']]);
const seeds = Number(process.env['FUZZ_SEEDS'] ?? 300);
const firstSeed = Number(process.env['FUZZ_FIRST'] ?? 1);

/** A conversation that is mostly well formed. */
function talk(random: SeededRandom): Buffer {
  const frames: Buffer[] = [hello];
  let next = 1;
  const any = (): number => 1 + 2 * random.integer(Math.max(1, next >> 1));
  for (let count = random.integer(60); count > 0; count--) {
    switch (random.integer(12)) {
      case 0:
      case 1:
      case 2:
        frames.push(request(next, random.integer(2) === 0, { ':path': `/${random.integer(50_000)}` }));
        next += 2;
        break;
      case 3:
      case 4:
        frames.push(frame(0, random.integer(2), any(), Buffer.alloc(random.integer(2000))));
        break;
      case 5:
        frames.push(frame(3, 0, any(), uint32(8)));
        break;
      case 6:
        frames.push(frame(8, 0, random.integer(2) * any(), uint32(1 + random.integer(100_000))));
        break;
      case 7:
        frames.push(frame(4, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(random.integer(100_000))])));
        break;
      case 8:
        frames.push(frame(6, 0, 0, Buffer.alloc(8)));
        break;
      case 9:
        frames.push(
          frame(
            random.integer(12),
            random.integer(256),
            random.integer(20),
            Buffer.alloc(random.integer(40)),
          ),
        );
        break;
      default: {
        // A header block in two pieces.
        const block = request(next).subarray(9);
        const cut = random.integer(block.length);
        frames.push(frame(1, 1, next, block.subarray(0, cut)), frame(9, 4, next, block.subarray(cut)));
        next += 2;
      }
    }
  }
  const bytes = Buffer.concat(frames);
  for (let damage = random.integer(4); damage > 1; damage--)
    bytes[random.integer(bytes.length)] = random.integer(256);
  return bytes;
}

/** Answers by the request's path alone, so that two servers do the same. */
function server(): TestServer {
  return new TestServer({ concurrentStreamsMax: 20 }, (stream) => {
    switch (stream.id % 8) {
      case 1:
        stream.answer(head, Buffer.alloc((stream.id % 1000) * 1000), trailers);
        break;
      case 3:
        stream.respond(head);
        stream.write(Buffer.alloc(70_000));
        break;
      case 5:
        stream.respond(head, true);
        break;
      default:
    }
  });
}

test(`${seeds} conversations: however they are cut, a server does the same, and nothing gets out of hand`, () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const random = new SeededRandom(seed);
    const bytes = talk(random);
    const whole = server();
    const cut = server();
    try {
      const expected = whole.receive(bytes);
      const actual: string[] = [];
      for (let at = 0; at < bytes.length;) {
        const end = Math.min(bytes.length, at + 1 + random.integer(random.integer(4) === 0 ? 3 : 3000));
        cut.connection.receive(Buffer.from(bytes.subarray(at, end)));
        at = end;
      }
      actual.push(...cut.report());
      const plain = (lines: readonly string[]): string[] => {
        const content = new Map<string, number>();
        const others = lines.filter((line) => {
          const match = /^content (\d+) (\d+)$/.exec(line);
          if (match === null) return true;
          content.set(match[1] as string, (content.get(match[1] as string) ?? 0) + Number(match[2]));
          return false;
        });
        return [...others, ...[...content].map(([id, count]) => `content ${id} ${count}`)];
      };
      // A frame that is cut off is content already, and no frame yet.
      assert.deepEqual(plain(actual), plain(expected));
      assert.ok(whole.connection.streamCount <= 20);
      for (const stream of whole.streams.values()) {
        assert.ok(stream.unsentBytes >= 0);
        assert.ok(stream.unsentBytes === 0 || !stream.isClosed);
      }
      // Whatever was said, the end closes every stream once.
      whole.connection.closed();
      const closed = whole.report().filter((line) => line.startsWith('closed'));
      assert.equal(new Set(closed).size, closed.length);
      assert.equal(whole.connection.streamCount, 0);
    } catch (error) {
      throw new Error(`Seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});

test('bytes that are nothing', () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const random = new SeededRandom(seed);
    const peer = new TestServer();
    peer.receive(hello);
    for (let count = 0; count < 20; count++) {
      const bytes = Buffer.alloc(random.integer(500));
      for (let at = 0; at < bytes.length; at++) bytes[at] = random.integer(random.integer(3) === 0 ? 256 : 8);
      peer.receive(bytes);
    }
  }
});
