import {
  ConnectionError,
  errorCode,
  frameFlag,
  frameHeaderBytes,
  frameType,
  preface,
  startFrameBytes,
} from './protocol.ts';

const nothing = Buffer.alloc(0);

/** Who takes what a client sends. Methods may throw ConnectionError. */
export interface FrameSink {
  /** A DATA frame begins; `bytes` with its padding. Its content follows. */
  onData(id: number, bytes: number, isEnd: boolean): void;
  /** Content of the last DATA frame, in one or more pieces; at least one, perhaps empty. */
  onContent(piece: Buffer, isLast: boolean): void;
  /** A whole header block. */
  onHeaders(id: number, isEnd: boolean, block: Buffer, dependsOnItself: boolean): void;
  /** Any other frame. */
  onFrame(type: number, flags: number, id: number, payload: Buffer): void;
}

/** A header block that goes on in the next frame. */
interface OpenBlock {
  readonly id: number;
  readonly isEnd: boolean;
  readonly dependsOnItself: boolean;
  readonly pieces: Buffer[];
  bytes: number;
  readonly since: number;
}

/** Cuts what a client sends into frames, joins header blocks, and refuses what no client may send at that point. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #blockBytesMax: number;
  readonly #blockPiecesMax: number;
  readonly #monotonic: () => number;
  readonly #since: number;
  #rest: Buffer = nothing;
  #prefaceLeft = preface.length;
  #hasSettings = false;
  #block: OpenBlock | undefined;
  /** Since when the rest of a frame is missing. */
  #partSince: number | undefined;
  /** Of the DATA frame that is being read. */
  #dataLeft = 0;
  #isStopped = false;

  /** `blockBytesMax`: of a header block as it is sent. */
  constructor(
    sink: FrameSink,
    options: { readonly blockBytesMax: number; readonly monotonic: () => number },
  ) {
    this.#sink = sink;
    this.#blockBytesMax = options.blockBytesMax;
    this.#blockPiecesMax = 4 + 4 * Math.ceil(options.blockBytesMax / startFrameBytes);
    this.#monotonic = options.monotonic;
    this.#since = options.monotonic();
  }

  /** Since when the client owes its preface and settings, or the rest of a header block or of a frame other than DATA. */
  get owesSince(): number | undefined {
    return this.#hasSettings ? (this.#block?.since ?? this.#partSince) : this.#since;
  }

  /** Nothing more is read, also of what is being read. */
  stop(): void {
    this.#isStopped = true;
    this.#rest = nothing;
    this.#block = undefined;
  }

  /** Throws ConnectionError. */
  read(piece: Buffer): void {
    let bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    this.#rest = nothing;
    if (this.#prefaceLeft > 0) bytes = this.#readPreface(bytes);
    let at = 0;
    while (!this.#isStopped) {
      if (this.#dataLeft > 0) {
        const end = Math.min(bytes.length, at + this.#dataLeft);
        if (end === at) return;
        this.#dataLeft -= end - at;
        this.#sink.onContent(bytes.subarray(at, end), this.#dataLeft === 0);
        at = end;
        continue;
      }
      if (bytes.length - at < frameHeaderBytes) break;
      const length =
        ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
      const type = bytes[at + 3] as number;
      const flags = bytes[at + 4] as number;
      const id = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      this.#check(type, flags, id, length);
      const from = at + frameHeaderBytes;
      if (type === frameType.data && (flags & frameFlag.padded) === 0) {
        at = from;
        this.#partSince = undefined;
        this.#sink.onData(id, length, (flags & frameFlag.endStream) !== 0);
        this.#dataLeft = length;
        if (length === 0) this.#sink.onContent(nothing, true);
        continue;
      }
      if (bytes.length - from < length) break;
      at = from + length;
      this.#frame(type, flags, id, bytes.subarray(from, at));
    }
    if (at >= bytes.length || this.#isStopped) return;
    this.#rest = bytes.subarray(at);
    this.#partSince ??= this.#monotonic();
  }

  #readPreface(bytes: Buffer): Buffer {
    const length = Math.min(bytes.length, this.#prefaceLeft);
    const from = preface.length - this.#prefaceLeft;
    if (preface.compare(bytes, 0, length, from, from + length) !== 0) throw broken('This is not HTTP/2');
    this.#prefaceLeft -= length;
    return bytes.subarray(length);
  }

  /** What can be said of a frame by its beginning. */
  #check(type: number, flags: number, id: number, length: number): void {
    if (length > startFrameBytes) throw new ConnectionError(errorCode.frameSizeError, 'Frame too large');
    if (this.#block !== undefined) {
      if (type !== frameType.continuation || id !== this.#block.id)
        throw broken('Another frame within a header block');
      return;
    }
    if (!this.#hasSettings) {
      if (type !== frameType.settings || (flags & frameFlag.ack) !== 0)
        throw broken('SETTINGS must come first');
    }
    switch (type) {
      case frameType.data:
      case frameType.headers:
      case frameType.priority:
      case frameType.reset:
        if ((id & 1) === 0) throw broken('Not a stream of a client');
        return;
      case frameType.settings:
      case frameType.ping:
      case frameType.goAway:
        if (id !== 0) throw broken('Frame of the connection on a stream');
        return;
      case frameType.continuation:
      case frameType.pushPromise:
        throw broken('Frame that no client may send here');
      default:
    }
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    const sink = this.#sink;
    this.#partSince = undefined;
    if (type === frameType.settings) this.#hasSettings = true;
    switch (type) {
      case frameType.data:
        sink.onData(id, payload.length, (flags & frameFlag.endStream) !== 0);
        sink.onContent(unpadded(payload, flags), true);
        return;
      case frameType.headers:
        this.#headers(id, flags, payload);
        return;
      case frameType.continuation:
        this.#continuation(flags, payload);
        return;
      default:
        sink.onFrame(type, flags, id, payload);
    }
  }

  #headers(id: number, flags: number, payload: Buffer): void {
    let block = unpadded(payload, flags);
    let isLoop = false;
    if ((flags & frameFlag.priority) !== 0) {
      if (block.length < 5)
        throw new ConnectionError(errorCode.frameSizeError, 'HEADERS without their priority');
      isLoop = dependsOnItself(id, block);
      block = block.subarray(5);
    }
    const isEnd = (flags & frameFlag.endStream) !== 0;
    if (block.length > this.#blockBytesMax) throw calm('Headers too large');
    if ((flags & frameFlag.endHeaders) !== 0) {
      this.#sink.onHeaders(id, isEnd, block, isLoop);
      return;
    }
    this.#block = {
      id,
      isEnd,
      dependsOnItself: isLoop,
      pieces: [block],
      bytes: block.length,
      since: this.#monotonic(),
    };
  }

  #continuation(flags: number, payload: Buffer): void {
    const block = this.#block as OpenBlock;
    block.pieces.push(payload);
    block.bytes += payload.length;
    if (block.bytes > this.#blockBytesMax) throw calm('Headers too large');
    if (block.pieces.length > this.#blockPiecesMax) throw calm('Headers in too many pieces');
    if ((flags & frameFlag.endHeaders) === 0) return;
    this.#block = undefined;
    this.#sink.onHeaders(block.id, block.isEnd, Buffer.concat(block.pieces), block.dependsOnItself);
  }
}

/** A priority (RFC 7540) names the stream that it is sent on. */
export function dependsOnItself(id: number, priority: Buffer): boolean {
  return (priority.readUInt32BE(0) & 0x7fff_ffff) === id;
}

function broken(message: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, message);
}

function calm(message: string): ConnectionError {
  return new ConnectionError(errorCode.enhanceYourCalm, message);
}

function unpadded(payload: Buffer, flags: number): Buffer {
  if ((flags & frameFlag.padded) === 0) return payload;
  const padding = payload[0];
  if (padding === undefined) throw new ConnectionError(errorCode.frameSizeError, 'Frame without its padding');
  if (padding >= payload.length) throw broken('More padding than frame');
  return payload.subarray(1, payload.length - padding);
}
