import { DecodeError } from '../errors.ts';

const truncated = (): DecodeError => new DecodeError('Protobuf', 'unexpected EOF');

/** Reads protobuf from a buffer. Every read checks the bounds; malformed input throws DecodeError. */
export class Reader {
  readonly #buffer: Buffer;
  readonly #end: number;
  position: number;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.byteLength;
    this.position = 0;
  }

  get length(): number {
    return this.#end;
  }

  /** An unsigned varint that must fit 32 bits: tags and lengths. */
  uint32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.position >= this.#end) throw truncated();
      const byte = this.#buffer[this.position++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new DecodeError('Protobuf', 'proto: integer overflow');
  }

  /** A signed 64-bit number; beyond 2^53 the low bits are lost. */
  int64(): number {
    const first = this.#buffer[this.position];
    if (first !== undefined && first < 0x80 && this.position < this.#end) {
      this.position++;
      return first;
    }
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      if (this.position >= this.#end) throw truncated();
      const byte = this.#buffer[this.position++] as number;
      const bits = byte & 0x7f;
      if (index < 4) low += bits * 2 ** (7 * index);
      else if (index === 4) {
        low += (bits & 0x0f) * 2 ** 28;
        high += bits >>> 4;
      } else high += bits * 2 ** (7 * index - 32);
      if (byte < 0x80) {
        high %= 2 ** 32;
        if (high < 2 ** 31) return high * 2 ** 32 + low;
        return low === 0 ? (high - 2 ** 32) * 2 ** 32 : -((2 ** 32 - 1 - high) * 2 ** 32 + (2 ** 32 - low));
      }
    }
    throw new DecodeError('Protobuf', 'proto: integer overflow');
  }

  /** Like {@link int64}, and what is beyond 2^53 is bigint. */
  exactInt64(): number | bigint {
    const start = this.position;
    const value = this.int64();
    if (Number.isSafeInteger(value)) return value;
    let bits = 0n;
    for (let at = start, shift = 0n; at < this.position; at++, shift += 7n)
      bits |= BigInt((this.#buffer[at] as number) & 0x7f) << shift;
    return BigInt.asIntN(64, bits);
  }

  int32(): number {
    return this.int64() | 0;
  }

  bool(): boolean {
    return this.int64() !== 0;
  }

  double(): number {
    const at = this.#advance(8);
    return this.#buffer.readDoubleLE(at);
  }

  /** Reads a length prefix and gives the position after that many bytes. */
  endOfLengthDelimited(): number {
    const length = this.uint32();
    const end = this.position + length;
    if (end > this.#end) throw truncated();
    return end;
  }

  string(): string {
    const end = this.endOfLengthDelimited();
    const start = this.position;
    this.position = end;
    if (end - start < 24) {
      let text = '';
      for (let at = start; at < end; at++) {
        const code = this.#buffer[at] as number;
        if (code >= 0x80) return this.#buffer.toString('utf8', start, end);
        text += String.fromCharCode(code);
      }
      return text;
    }
    return this.#buffer.toString('utf8', start, end);
  }

  /** A view of the bytes, not a copy. */
  bytes(): Buffer {
    const end = this.endOfLengthDelimited();
    const view = this.#buffer.subarray(this.position, end);
    this.position = end;
    return view;
  }

  skip(wireType: number): void {
    switch (wireType) {
      case 0:
        this.int64();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.position = this.endOfLengthDelimited();
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new DecodeError('Protobuf', `proto: illegal wireType ${String(wireType)}`);
    }
  }

  #advance(count: number): number {
    const at = this.position;
    if (at + count > this.#end) throw truncated();
    this.position = at + count;
    return at;
  }
}
