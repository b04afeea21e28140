import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SpdyFrame } from './frame.ts';
import { encodeFrame, FrameDecoder, SpdyError } from './frame.ts';
import { decodePairs, encodePairs, HeaderPacker, HeaderUnpacker } from './header-block.ts';

/** Written by moby/spdystream v0.5.1, the library that clients and nodes of the field use. */
const recorded = Buffer.from(
  '800300010000002a0000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c25a5c92929907000000ffff' +
    '800300010000002f0000000300000000000002a5470c295029930829b08bc079c3c2c0c280818181b30812c199a084cf6800000000ffff' +
    '000000010000000668656c6c6f0a' +
    '0000000101000000' +
    '800300060000000400000007' +
    '80030003000000080000000300000005' +
    '80030007000000080000000300000000',
  'hex',
);

test('frames of another implementation are understood, however they are cut', async () => {
  for (const step of [1, 7, recorded.length]) {
    const decoder = new FrameDecoder();
    const frames: SpdyFrame[] = [];
    for (let at = 0; at < recorded.length; at += step)
      frames.push(...decoder.push(Buffer.from(recorded.subarray(at, at + step))));
    assert.deepEqual(
      frames.map((each) => each.type),
      ['synStream', 'synStream', 'data', 'data', 'ping', 'rstStream', 'goAway'],
    );
    const [first, second, data, fin, ping, reset, goAway] = frames as [
      SpdyFrame & { type: 'synStream' },
      SpdyFrame & { type: 'synStream' },
      ...SpdyFrame[],
    ];
    const unpacker = new HeaderUnpacker();
    assert.deepEqual({ ...(await unpacker.unpack(first.block)) }, { streamtype: 'stdin' });
    assert.deepEqual(
      { ...(await unpacker.unpack(second.block)) },
      { streamtype: 'data', port: '8080', requestid: '0' },
    );
    unpacker.close();
    assert.deepEqual(data, { type: 'data', streamId: 1, fin: false, data: Buffer.from('hello\n') });
    assert.deepEqual(fin, { type: 'data', streamId: 1, fin: true, data: Buffer.alloc(0) });
    assert.deepEqual(ping, { type: 'ping', id: 7 });
    assert.deepEqual(reset, { type: 'rstStream', streamId: 3, status: 5 });
    assert.deepEqual(goAway, { type: 'goAway', lastStreamId: 3, status: 0 });
    // Everything but the header blocks is written as the other implementation writes it.
    assert.equal(
      Buffer.concat(frames.map((each) => encodeFrame(each))).toString('hex'),
      recorded.toString('hex'),
    );
  }
});

test('header blocks are one zlib stream of stored pieces', async () => {
  const packer = new HeaderPacker();
  const first = packer.pack({ streamType: 'stdin' });
  assert.equal(
    first.toString('hex'),
    '78bbe3c6a7c2' +
      '001b00e4ff' +
      '00000001' +
      '0000000a73747265616d74797065' +
      '00000005737464696e' +
      '000000ffff',
  );
  const second = packer.pack({ port: '80', long: 'x'.repeat(70_000) });
  const unpacker = new HeaderUnpacker();
  assert.deepEqual({ ...(await unpacker.unpack(first)) }, { streamtype: 'stdin' });
  assert.deepEqual({ ...(await unpacker.unpack(second)) }, { port: '80', long: 'x'.repeat(70_000) });
  await assert.rejects(unpacker.unpack(Buffer.from('ffffffff', 'hex')), SpdyError);
});

test('a block that claims more than it has is refused', () => {
  assert.deepEqual({ ...decodePairs(encodePairs({ a: 'b' })) }, { a: 'b' });
  assert.throws(() => decodePairs(Buffer.from('00000001000000ff61', 'hex')), SpdyError);
  assert.throws(() => decodePairs(Buffer.from('7fffffff', 'hex')), SpdyError);
  assert.throws(() => decodePairs(Buffer.alloc(0)), SpdyError);
});

test('frames that cannot be are refused', () => {
  assert.throws(() => new FrameDecoder().push(Buffer.from('8002000100000000', 'hex')), /version 2/);
  assert.throws(() => new FrameDecoder().push(Buffer.from('8003000600000000', 'hex')), /want at least 4/);
  assert.throws(() => new FrameDecoder(100).push(Buffer.from('0000000100000065', 'hex')), /too long/);
});

test('random bytes give frames or a SpdyError, nothing else', async () => {
  let seed = 7;
  const next = (): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >>> 8;
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(Array.from({ length: 8 + (next() % 64) }, () => next() & 0xff));
    if (round % 2 === 0) {
      bytes.writeUInt16BE(0x8003, 0);
      bytes.writeUInt16BE(next() % 12, 2);
      bytes.writeUInt32BE(next() % 48, 4);
    }
    try {
      for (const frame of new FrameDecoder(4096).push(bytes)) encodeFrame(frame);
    } catch (error) {
      assert.ok(error instanceof SpdyError, String(error));
    }
    if (round % 100 === 0) {
      const unpacker = new HeaderUnpacker();
      await unpacker
        .unpack(bytes)
        .catch((error: unknown) => assert.ok(error instanceof SpdyError, String(error)));
      unpacker.close();
    }
  }
});
