// A frame on a peer connection, little-endian: length u32 of the body | crc32c u32 of the body | body.
import { MalformedError } from '../wal/binary.ts';
import { crc32c } from '../../core/crc32c.ts';

export const frameHeadBytes = 8;

export function encodeFrame(body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameHeadBytes + body.length);
  frame.set(body, frameHeadBytes);
  sealFrame(frame);
  return frame;
}

/** Writes the head of a frame whose body is in its place. */
export function sealFrame(frame: Buffer): void {
  frame.writeUInt32LE(frame.length - frameHeadBytes, 0);
  frame.writeUInt32LE(crc32c(frame.subarray(frameHeadBytes)), 4);
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #wanted = frameHeadBytes;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Takes the next bytes; returns the bodies of the frames that are whole now. Throws {@link MalformedError}. */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered < this.#wanted) return [];
    let data = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    const bodies: Buffer[] = [];
    this.#wanted = frameHeadBytes;
    while (data.length >= frameHeadBytes) {
      const length = data.readUInt32LE(0);
      if (length > this.#bytesMax)
        throw new MalformedError(`A frame of ${length} bytes exceeds the limit of ${this.#bytesMax}`);
      if (data.length < frameHeadBytes + length) {
        this.#wanted = frameHeadBytes + length;
        break;
      }
      const body = data.subarray(frameHeadBytes, frameHeadBytes + length);
      if (crc32c(body) !== data.readUInt32LE(4)) throw new MalformedError('A frame has a wrong checksum');
      bodies.push(body);
      data = data.subarray(frameHeadBytes + length);
    }
    this.#chunks = data.length > 0 ? [data] : [];
    this.#buffered = data.length;
    return bodies;
  }
}
