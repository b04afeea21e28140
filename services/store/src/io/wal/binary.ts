import { CodedError } from '@pilothouse/base';

/** Bytes that do not have the shape they should have, although their checksum is right. */
export class MalformedError extends CodedError {
  constructor(message: string) {
    super('malformed', message);
  }
}

/** Builds bytes: little-endian fixed numbers, base-128 varints, length-prefixed strings of bytes. */
export class ByteWriter {
  #buffer: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#buffer = new Uint8Array(capacity);
    this.#view = new DataView(this.#buffer.buffer);
  }

  #reserve(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = needed;
    return at;
  }

  uint8(value: number): void {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
  }

  uint32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  uint64(value: bigint): void {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, value, true);
  }

  /** A safe non-negative integer. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.uint8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.uint8(rest);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  string(text: string): void {
    this.bytes(Buffer.from(text, 'utf8'));
  }

  get length(): number {
    return this.#length;
  }

  /** Begins anew in the same memory. */
  reset(): void {
    this.#length = 0;
  }

  /** The bytes so far, until the next write. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** The bytes so far, in an array of their own. */
  finish(): Uint8Array {
    return this.#length * 2 > this.#buffer.length
      ? this.#buffer.subarray(0, this.#length)
      : this.#buffer.slice(0, this.#length);
  }
}

/** Reads what {@link ByteWriter} wrote. Byte strings are views of the input. Throws {@link MalformedError} at its end. */
export class ByteReader {
  readonly #buffer: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#buffer.length;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#buffer.length - at)
      throw new MalformedError(`Cannot read ${count} bytes at ${at}: the input ends`);
    this.#at += count;
    return at;
  }

  uint8(): number {
    return this.#buffer[this.#take(1)] as number;
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  uint64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.uint8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      factor *= 0x80;
    }
    throw new MalformedError('A number is out of range');
  }

  bytes(): Uint8Array {
    const length = this.varint();
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  rest(): Uint8Array {
    const at = this.#at;
    this.#at = this.#buffer.length;
    return this.#buffer.subarray(at);
  }

  string(): string {
    return Buffer.from(this.bytes()).toString('utf8');
  }
}
