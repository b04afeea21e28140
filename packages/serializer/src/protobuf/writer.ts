const initialBytes = 4096;
/** A buffer up to this size is kept between objects. */
const keptBytesMax = 1 << 20;

/**
 * Writes protobuf from the last byte to the first, so that the length of a nested message is known when its prefix is
 * written and nothing has to be measured or moved. Callers therefore write fields, elements and entries in reverse.
 */
export class ReverseWriter {
  #buffer: Buffer = Buffer.allocUnsafe(initialBytes);
  /** Index of the first byte written. */
  #start = initialBytes;

  /** An empty list or map was met, which leaves no bytes. */
  sawEmpty = false;

  /** Bytes written so far; the difference of two readings is the length of what was written between them. */
  get length(): number {
    return this.#buffer.length - this.#start;
  }

  /** Makes room before what is written. May replace the buffer: read `#buffer` only after the call. */
  #reserve(count: number): number {
    if (this.#start < count) {
      const written = this.length;
      const next = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, written + count));
      this.#buffer.copy(next, next.length - written, this.#start);
      this.#start = next.length - written;
      this.#buffer = next;
    }
    this.#start -= count;
    return this.#start;
  }

  byte(value: number): void {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
  }

  /** An unsigned number up to 2^53. */
  varint(value: number): void {
    if (value < 0x80) {
      this.byte(value);
      return;
    }
    let count = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) count++;
    let at = this.#reserve(count);
    let rest = value;
    for (; count > 1; count--) {
      this.#buffer[at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[at] = rest;
  }

  /** A signed number as int32 and int64 are written: negative ones take ten bytes. */
  int(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0) {
      this.varint(value);
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    const count = Math.max(1, Math.ceil(rest.toString(2).length / 7));
    let at = this.#reserve(count);
    for (let index = 1; index < count; index++) {
      this.#buffer[at++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[at] = Number(rest);
  }

  double(value: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeDoubleLE(value, at);
  }

  /** The text with its length prefix. */
  string(text: string): void {
    const characters = text.length;
    if (characters < 48) {
      let at = this.#reserve(characters);
      let index = 0;
      for (; index < characters; index++) {
        const code = text.charCodeAt(index);
        if (code >= 0x80) break;
        this.#buffer[at++] = code;
      }
      if (index === characters) {
        this.varint(characters);
        return;
      }
      this.#start += characters;
    }
    const length = Buffer.byteLength(text);
    const at = this.#reserve(length);
    this.#buffer.write(text, at, length);
    this.varint(length);
  }

  /** The bytes with their length prefix. */
  bytes(value: Uint8Array): void {
    this.raw(value);
    this.varint(value.length);
  }

  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
  }

  /** A copy of what was written. */
  finish(): Buffer {
    return Buffer.from(this.#buffer.subarray(this.#start));
  }

  /** Forgets what was written; a buffer that one large object has blown up is given back. */
  reset(): void {
    if (this.#buffer.length > keptBytesMax) this.#buffer = Buffer.allocUnsafe(initialBytes);
    this.#start = this.#buffer.length;
  }
}
