/**
 * The protobuf wire format, written for this system's needs: 64-bit counters as numbers, 64-bit identifiers as bigint, bytes
 * without copies, no reflection. Pure: no Node types, so that core code may use it.
 */

/** Bytes that are no message of the asked type. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

const emptyBytes = new Uint8Array(0);
const two32 = 4294967296;

/** Appends wire elements to a buffer that grows. Reusable: {@link Writer.finish} copies the bytes out and starts over. */
export class Writer {
  #buffer: Uint8Array;
  #position = 0;

  constructor(initialBytes = 4096) {
    this.#buffer = new Uint8Array(initialBytes);
  }

  /** Bytes written since the last {@link Writer.finish}. */
  get length(): number {
    return this.#position;
  }

  #grow(more: number): void {
    let size = this.#buffer.length * 2;
    while (size < this.#position + more) size *= 2;
    const next = new Uint8Array(size);
    next.set(this.#buffer.subarray(0, this.#position));
    this.#buffer = next;
  }

  /** A field's tag or any value below 2^32. */
  uint32(value: number): void {
    if (this.#position + 5 > this.#buffer.length) this.#grow(5);
    const buffer = this.#buffer;
    let position = this.#position;
    while (value > 127) {
      buffer[position++] = (value & 127) | 128;
      value >>>= 7;
    }
    buffer[position++] = value;
    this.#position = position;
  }

  #varint64(low: number, high: number): void {
    if (this.#position + 10 > this.#buffer.length) this.#grow(10);
    const buffer = this.#buffer;
    let position = this.#position;
    while (high !== 0) {
      buffer[position++] = (low & 127) | 128;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    while (low > 127) {
      buffer[position++] = (low & 127) | 128;
      low >>>= 7;
    }
    buffer[position++] = low;
    this.#position = position;
  }

  /** A counter: any safe integer, negative ones as ten bytes. */
  int64(value: number): void {
    if (value >= 0 && value < 2147483648) this.uint32(value);
    else this.#varint64(value >>> 0, Math.floor(value / two32) >>> 0);
  }

  /** An identifier, signed or unsigned. */
  bigint64(value: bigint): void {
    const unsigned = BigInt.asUintN(64, value);
    this.#varint64(Number(unsigned & 0xffffffffn), Number(unsigned >> 32n));
  }

  bool(value: boolean): void {
    this.uint32(value ? 1 : 0);
  }

  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    this.raw(value);
  }

  /** Bytes as they are, without a length. */
  raw(value: Uint8Array): void {
    const length = value.length;
    if (this.#position + length > this.#buffer.length) this.#grow(length);
    if (length < 24) {
      for (let index = 0; index < length; index++)
        this.#buffer[this.#position + index] = value[index] as number;
    } else {
      this.#buffer.set(value, this.#position);
    }
    this.#position += length;
  }

  string(value: string): void {
    const mark = this.open();
    for (let index = 0; index < value.length; index++) {
      let point = value.charCodeAt(index);
      if (this.#position + 4 > this.#buffer.length) this.#grow(4);
      const buffer = this.#buffer;
      if (point < 0x80) {
        buffer[this.#position++] = point;
        continue;
      }
      if (point >= 0xd800 && point < 0xe000) {
        const next = index + 1 < value.length ? value.charCodeAt(index + 1) : 0;
        if (point < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
          point = 0x10000 + ((point & 0x3ff) << 10) + (next & 0x3ff);
          index++;
        } else point = 0xfffd;
      }
      if (point < 0x800) buffer[this.#position++] = 0xc0 | (point >> 6);
      else {
        if (point < 0x10000) buffer[this.#position++] = 0xe0 | (point >> 12);
        else {
          buffer[this.#position++] = 0xf0 | (point >> 18);
          buffer[this.#position++] = 0x80 | ((point >> 12) & 63);
        }
        buffer[this.#position++] = 0x80 | ((point >> 6) & 63);
      }
      buffer[this.#position++] = 0x80 | (point & 63);
    }
    this.close(mark);
  }

  /** Starts a length-delimited element; write its content, then call {@link Writer.close} with the returned mark. */
  open(): number {
    if (this.#position + 1 > this.#buffer.length) this.#grow(1);
    return this.#position++;
  }

  close(mark: number): void {
    const start = mark + 1;
    const length = this.#position - start;
    if (length < 128) {
      this.#buffer[mark] = length;
      return;
    }
    let extra = 0;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) extra++;
    if (this.#position + extra > this.#buffer.length) this.#grow(extra);
    this.#buffer.copyWithin(start + extra, start, this.#position);
    const end = this.#position + extra;
    this.#position = mark;
    this.uint32(length);
    this.#position = end;
  }

  /** Leaves room for a header that {@link Writer.patch} fills in later. */
  skip(bytes: number): void {
    if (this.#position + bytes > this.#buffer.length) this.#grow(bytes);
    this.#position += bytes;
  }

  patch(position: number, byte: number): void {
    this.#buffer[position] = byte;
  }

  /** Forgets what was written. */
  reset(): void {
    this.#position = 0;
  }

  /** The bytes written, in an array of their own. Large buffers are handed over instead of copied. */
  finish(): Uint8Array {
    const length = this.#position;
    this.#position = 0;
    if (length > 1 << 20) {
      const result = this.#buffer.subarray(0, length);
      this.#buffer = new Uint8Array(4096);
      return result;
    }
    return this.#buffer.slice(0, length);
  }
}

/** Reads wire elements from bytes. Byte fields are views into them, not copies. */
export class Reader {
  readonly #bytes: Uint8Array;
  position: number;
  readonly end: number;
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.position = start;
    this.end = end;
  }

  #varint(): void {
    const bytes = this.#bytes;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.position >= this.end) throw new WireError('Unexpected end of message');
      const byte = bytes[this.position++] as number;
      const part = byte & 127;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high |= part >>> 4;
      } else if (shift < 63) high |= part << (shift - 32);
      else high |= part << 31;
      if (byte < 128) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw new WireError('Varint is longer than ten bytes');
  }

  uint32(): number {
    const first = this.#bytes[this.position];
    if (first !== undefined && first < 128 && this.position < this.end) {
      this.position++;
      return first;
    }
    this.#varint();
    return this.#low;
  }

  int32(): number {
    return this.uint32() | 0;
  }

  bool(): boolean {
    this.#varint();
    return this.#low !== 0 || this.#high !== 0;
  }

  /** A signed counter. Beyond 2^53 it is rounded: no such counter is ever made here. */
  int64(): number {
    this.#varint();
    return (this.#high | 0) * two32 + this.#low;
  }

  uint64(): number {
    this.#varint();
    return this.#high * two32 + this.#low;
  }

  /** A signed identifier. */
  bigint64(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(this.#low));
  }

  /** An unsigned identifier. */
  ubigint64(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** The end position of the length-delimited element that starts here. */
  elementEnd(): number {
    const length = this.uint32();
    const end = this.position + length;
    if (end > this.end) throw new WireError('Length runs past the end of the message');
    return end;
  }

  bytes(): Uint8Array {
    const end = this.elementEnd();
    const start = this.position;
    this.position = end;
    return start === end ? emptyBytes : this.#bytes.subarray(start, end);
  }

  string(): string {
    const end = this.elementEnd();
    const bytes = this.#bytes;
    let text = '';
    let position = this.position;
    while (position < end) {
      const byte = bytes[position++] as number;
      if (byte < 0x80) {
        text += String.fromCharCode(byte);
        continue;
      }
      const more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
      let point = byte & (0x3f >> more);
      if (byte < 0xc2 || byte > 0xf4 || position + more > end)
        throw new WireError('String is not valid UTF-8');
      for (let index = 0; index < more; index++) {
        const next = bytes[position++] as number;
        if ((next & 0xc0) !== 0x80) throw new WireError('String is not valid UTF-8');
        point = (point << 6) | (next & 63);
      }
      if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        throw new WireError('String is not valid UTF-8');
      text += String.fromCodePoint(point);
    }
    this.position = end;
    return text;
  }

  /** Checks that the last field of an element did not run past it. */
  expectEnd(end: number): void {
    if (this.position !== end) throw new WireError('Field runs past the end of its message');
  }

  /** Passes over a field of an unknown number. */
  skip(wireType: number): void {
    switch (wireType) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.position += 8;
        break;
      case 2:
        this.position = this.elementEnd();
        break;
      case 5:
        this.position += 4;
        break;
      default:
        throw new WireError(`Wire type ${wireType} is not supported`);
    }
    if (this.position > this.end) throw new WireError('Unexpected end of message');
  }
}

/**
 * What may be given to an encoder: any part of a message; absent fields have their zero value. A nested message may be
 * given as its encoded bytes, so that stored messages pass through without being decoded.
 */
export type MessageInput<T> = T extends Uint8Array | bigint | number | string | boolean | undefined
  ? T
  : { readonly [K in keyof T]?: FieldInput<T[K]> | undefined };

export type FieldInput<F> = F extends Uint8Array | bigint | number | string | boolean | undefined
  ? F
  : F extends readonly (infer E)[]
    ? readonly FieldInput<E>[]
    : MessageInput<F> | Uint8Array;

/** How a field looks in JSON (protojson): its name on the wire and what it holds. */
export interface FieldInfo {
  readonly name: string;
  readonly property: string;
  readonly kind: 'bytes' | 'string' | 'bool' | 'number' | 'int64' | 'id' | 'enum' | 'message';
  readonly repeated: boolean;
  readonly inOneof: boolean;
  /** For `message`. A function, because messages may contain themselves. */
  readonly message?: () => MessageCodec<never>;
  /** For `enum`: number by name. */
  readonly values?: Readonly<Record<string, number>>;
}

export interface MessageCodec<T> {
  readonly name: string;
  readonly fields: readonly FieldInfo[];
  write(message: MessageInput<T>, writer: Writer): void;
  read(reader: Reader, end: number): T;
}

const sharedWriter = new Writer(65536);

/** The bytes of `message`, in an array of their own. */
export function encodeMessage<T>(codec: MessageCodec<T>, message: MessageInput<T>): Uint8Array {
  sharedWriter.reset();
  codec.write(message, sharedWriter);
  return sharedWriter.finish();
}

/** Reads a whole message. Byte fields are views into `bytes`. Throws {@link WireError}. */
export function decodeMessage<T>(codec: MessageCodec<T>, bytes: Uint8Array): T {
  const reader = new Reader(bytes);
  return codec.read(reader, bytes.length);
}

/** One method of a gRPC service. */
export interface MethodInfo<Req, Res> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly service: string;
  readonly method: string;
  readonly request: MessageCodec<Req>;
  readonly response: MessageCodec<Res>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}
