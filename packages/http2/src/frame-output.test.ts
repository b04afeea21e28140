import { test } from 'node:test';
import assert from 'node:assert/strict';
import { SeededRandom } from '@pilothouse/testkit';
import { FrameOutput } from './frame-output.ts';
import { frameHeaderBytes, frameType } from './protocol.ts';
import { slabBytes, Slabs } from './slabs.ts';

interface Taken {
  readonly pieces: readonly Uint8Array[];
  readonly expected: Buffer;
}

/** Connections that write by turns; what they wrote is sent sooner or later, in order. */
class Writers {
  readonly outputs: FrameOutput[];
  readonly expected: Buffer[][];
  readonly unsent: Taken[][];

  constructor(count: number) {
    this.outputs = Array.from({ length: count }, () => new FrameOutput(() => {}, true));
    this.expected = this.outputs.map(() => []);
    this.unsent = this.outputs.map(() => []);
  }

  write(at: number, bytes: number, fill: number): void {
    const payload = Buffer.alloc(bytes, fill);
    const pieces = [payload.subarray(0, bytes >> 1), payload.subarray(bytes >> 1)];
    this.outputs[at]?.frameOf(frameType.data, 0, at * 2 + 1, pieces, bytes);
    const head = Buffer.alloc(frameHeaderBytes);
    head.writeUIntBE(bytes, 0, 3);
    head.writeUInt32BE(at * 2 + 1, 5);
    this.expected[at]?.push(head, payload);
  }

  take(at: number): void {
    const pieces = this.outputs[at]?.take() ?? [];
    if (pieces.length === 0) return;
    this.unsent[at]?.push({ pieces, expected: Buffer.concat(this.expected[at] ?? []) });
    this.expected[at] = [];
  }

  /** Reads the oldest output only now, as a slow socket does. */
  send(at: number): void {
    const taken = this.unsent[at]?.shift();
    if (taken === undefined) return;
    assert.ok(Buffer.concat(taken.pieces).equals(taken.expected), 'What was taken stays until it is sent');
    this.outputs[at]?.sent();
  }
}

test('memory that connections share is not used again before it is sent', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed);
    const pick = (count: number): number => Math.floor(random.float() * count);
    const writers = new Writers(5);
    for (let step = 0; step < 600; step++) {
      const at = pick(5);
      const what = pick(10);
      if (what < 6) writers.write(at, pick(10) === 0 ? pick(16_000) : pick(600), step & 255);
      else if (what < 8) writers.take(at);
      else writers.send(at);
    }
    for (let at = 0; at < 5; at++) {
      writers.take(at);
      while ((writers.unsent[at] ?? []).length > 0) writers.send(at);
    }
  }
});

test('sent memory is used again', () => {
  const slabs = new Slabs();
  const first = slabs.share(1000);
  assert.equal(slabs.extend(first, first.at, 1000), 1000);
  const second = slabs.share(slabBytes);
  assert.notEqual(second, first);
  slabs.release(first);
  slabs.extend(second, 0, slabBytes);
  assert.equal(slabs.share(slabBytes), first);
  assert.equal(first.at, 0);
});

test('a stretch grows only where nobody has what follows, and gives back what it did not need', () => {
  const slabs = new Slabs();
  const slab = slabs.share(100);
  const end = slabs.extend(slab, slab.at, 100);
  assert.equal(slabs.share(100), slab);
  const otherEnd = slabs.extend(slab, slab.at, slab.at + 100);
  assert.equal(otherEnd, 200);
  assert.equal(slabs.extend(slab, end, 300), 100);
  slabs.giveBack(slab, 150, otherEnd);
  assert.equal(slab.at, 150);
  slabs.giveBack(slab, 50, end);
  assert.equal(slab.at, 150);
});
