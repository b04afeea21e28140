import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { IdMap } from '@pilothouse/base';
import { FrameOutput } from '../frame-output.ts';
import {
  errorCode,
  frameFlag,
  frameHeaderBytes,
  frameType,
  preface,
  settingId,
  settingsPayload,
  startFrameBytes,
  startWindow,
  streamIdMax,
} from '../protocol.ts';
import { writePieces } from '../write-pieces.ts';
import type { AnswerHeaders } from './answer-headers.ts';
import { readAnswerHeaders } from './answer-headers.ts';

const nothing = Buffer.alloc(0);
/** Longest frame we take. */
const ourFrameBytes = 1 << 20;
/** Longest header block we take. */
const headerBytesMax = 256 * 1024;

/** How a stream ended. */
export interface StreamEnd {
  /** Of RST_STREAM; 0 when the answer is complete; undefined: the connection went. */
  readonly code: number | undefined;
  /** The server surely did nothing with the request. */
  readonly isUnprocessed: boolean;
}

export interface StreamHandler {
  /** Of the beginning and of the end of an answer. */
  onHeaders(headers: AnswerHeaders): void;
  /** The piece may be kept. */
  onData(piece: Buffer): void;
  /** Once; not after {@link ClientStream.cancel}. */
  onEnd(end: StreamEnd): void;
}

export interface SessionOptions {
  /** Bytes that the server may send ahead, on each stream and in all. */
  readonly windowBytes: number;
  /** The server takes no new streams. */
  onGoAway(): void;
  /** Once: the socket is gone. All streams ended before. */
  onClose(error: Error | undefined): void;
}

/** One request. */
export class ClientStream {
  /** 0 until the server has room for the stream. */
  id = 0;
  sendWindow = 0;
  /** Received since the last update of the window. */
  unread = 0;
  readonly unsent: Uint8Array[] = [];
  /** No more comes after `unsent`. */
  isLast = false;
  /** The last piece was sent. */
  isSent = false;
  readonly head: readonly Uint8Array[];
  readonly handler: StreamHandler;
  readonly #session: ClientSession;

  constructor(session: ClientSession, head: readonly Uint8Array[], handler: StreamHandler) {
    this.#session = session;
    this.head = head;
    this.handler = handler;
  }

  /** Sends bytes as the server's window allows. */
  write(bytes: Uint8Array, isLast: boolean): void {
    if (this.isLast) return;
    this.unsent.push(bytes);
    this.isLast = isLast;
    if (this.id !== 0) this.#session.pump(this);
  }

  end(): void {
    this.write(nothing, true);
  }

  cancel(): void {
    this.#session.cancel(this);
  }
}

/**
 * HTTP/2's client side on a connected socket, as far as gRPC needs it. Node's own spends more time on a small call than its encoding,
 * sending and decoding together. Headers of answers are read for what gRPC says in them; frames of one turn leave in one piece.
 */
export class ClientSession {
  readonly #socket: Duplex;
  readonly #writer: FrameOutput;
  readonly #options: SessionOptions;
  readonly #streams = new IdMap<ClientStream>();
  /** Streams that the server has no room for yet. */
  #waiting: ClientStream[] = [];
  /** Streams with bytes that no window lets through. */
  readonly #blocked = new Set<ClientStream>();
  readonly #pings: (() => void)[] = [];
  #nextId = 1;
  #sendWindow = startWindow;
  #streamWindow = startWindow;
  #frameBytes = startFrameBytes;
  #streamsMax = Infinity;
  #unread = 0;
  #rest: Buffer = nothing;
  /** The DATA frame whose payload is being read. */
  #dataLeft = 0;
  #dataId = 0;
  #dataEnds = false;
  /** A header block that goes on in the next frame. */
  #headers:
    { readonly id: number; readonly ends: boolean; readonly pieces: Buffer[]; bytes: number } | undefined;
  #isDraining = false;
  #isClosed = false;
  #error: Error | undefined;
  #received = 0;
  #answers = 0;

  /** `socket` may still be connecting; what is written waits. */
  constructor(socket: Duplex, options: SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#writer = new FrameOutput(() => setImmediate(this.#flush), socket instanceof Socket);
    socket.on('data', (piece: Buffer) => this.#read(piece));
    socket.on('error', (error: Error) => (this.#error ??= error));
    socket.on('close', () => this.#closed());
    this.#writer.ready(preface);
    this.#writer.frame(
      frameType.settings,
      0,
      0,
      settingsPayload([
        [settingId.headerTableSize, 0],
        [settingId.enablePush, 0],
        [settingId.initialWindowSize, options.windowBytes],
        [settingId.maxFrameSize, ourFrameBytes],
      ]),
    );
    this.#writer.number(frameType.windowUpdate, 0, options.windowBytes - startWindow);
  }

  /** Pieces of bytes that came in. */
  get received(): number {
    return this.#received;
  }

  /** Headers and pieces of data that came in. */
  get answers(): number {
    return this.#answers;
  }

  /** Streams under way or waiting for room. */
  get streams(): number {
    return this.#streams.size + this.#waiting.length;
  }

  /** Takes no new streams. */
  get isDown(): boolean {
    return this.#isDraining || this.#isClosed;
  }

  /** Opens a stream. `head`: pieces of a header block. Only while not {@link isDown}. */
  request(head: readonly Uint8Array[], handler: StreamHandler): ClientStream {
    const stream = new ClientStream(this, head, handler);
    if (this.#streams.size < this.#streamsMax) this.#open(stream);
    else this.#waiting.push(stream);
    return stream;
  }

  ping(onAnswer: () => void): void {
    this.#pings.push(onAnswer);
    this.#writer.frame(frameType.ping, 0, 0, Buffer.alloc(8));
  }

  /** Lets streams end, then closes. */
  close(): void {
    this.#isDraining = true;
    if (this.#streams.size === 0) this.destroy();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

  cancel(stream: ClientStream): void {
    this.#blocked.delete(stream);
    if (stream.id === 0) {
      this.#waiting = this.#waiting.filter((each) => each !== stream);
      return;
    }
    if (!this.#streams.delete(stream.id)) return;
    this.#writer.number(frameType.reset, stream.id, errorCode.cancel);
    this.#left();
  }

  /** Sends what the windows let through. */
  pump(stream: ClientStream): void {
    const { unsent } = stream;
    while (unsent.length > 0) {
      const piece = unsent[0] as Uint8Array;
      const length = Math.min(piece.length, stream.sendWindow, this.#sendWindow, this.#frameBytes);
      if (length <= 0 && piece.length > 0) {
        this.#blocked.add(stream);
        return;
      }
      const isWhole = length === piece.length;
      if (isWhole) unsent.shift();
      else unsent[0] = piece.subarray(length);
      stream.sendWindow -= length;
      this.#sendWindow -= length;
      const ends = stream.isLast && unsent.length === 0;
      stream.isSent = ends;
      this.#writer.frame(
        frameType.data,
        ends ? frameFlag.endStream : 0,
        stream.id,
        isWhole ? piece : piece.subarray(0, length),
      );
    }
    this.#blocked.delete(stream);
  }

  readonly #flush = (): void => {
    const pieces = this.#writer.take();
    const socket = this.#socket;
    if (!socket.destroyed) writePieces(socket, pieces, this.#flushed);
  };

  readonly #flushed = (error?: Error | null): void => {
    if (error == null) this.#writer.sent();
  };

  #open(stream: ClientStream): void {
    stream.id = this.#nextId;
    this.#nextId += 2;
    stream.sendWindow = this.#streamWindow;
    this.#streams.set(stream.id, stream);
    const { head } = stream;
    const headBytes = head.reduce((sum, piece) => sum + piece.length, 0);
    this.#writer.frameOf(frameType.headers, frameFlag.endHeaders, stream.id, head, headBytes);
    this.pump(stream);
    // Numbers of streams do not come again: a new connection begins anew.
    if (this.#nextId > streamIdMax) this.#drain();
  }

  /** A stream went: there is room for another. */
  #left(): void {
    while (this.#waiting.length > 0 && this.#streams.size < this.#streamsMax)
      this.#open(this.#waiting.shift() as ClientStream);
    if (this.#isDraining && this.#streams.size === 0) this.destroy();
  }

  #finish(stream: ClientStream, end: StreamEnd): void {
    this.#blocked.delete(stream);
    this.#streams.delete(stream.id);
    // The server is done while we are not.
    if (end.code === errorCode.noError && !stream.isSent)
      this.#writer.number(frameType.reset, stream.id, errorCode.cancel);
    stream.handler.onEnd(end);
    this.#left();
  }

  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const stream of waiting) stream.handler.onEnd({ code: undefined, isUnprocessed: true });
    this.#options.onGoAway();
    this.#left();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const streams = this.#streams.values();
    const waiting = this.#waiting;
    this.#streams.clear();
    this.#blocked.clear();
    this.#waiting = [];
    for (const stream of streams) stream.handler.onEnd({ code: undefined, isUnprocessed: false });
    for (const stream of waiting) stream.handler.onEnd({ code: undefined, isUnprocessed: true });
    this.#options.onClose(this.#error);
  }

  #read(piece: Buffer): void {
    this.#received++;
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    this.#rest = nothing;
    let at = 0;
    try {
      for (;;) {
        if (this.#dataLeft > 0) {
          const end = Math.min(bytes.length, at + this.#dataLeft);
          if (end === at) break;
          this.#dataLeft -= end - at;
          this.#data(bytes.subarray(at, end), end - at);
          at = end;
          continue;
        }
        if (bytes.length - at < frameHeaderBytes) break;
        const length = bytes.readUIntBE(at, 3);
        if (length > ourFrameBytes) throw new Error('Server sent a frame that is too large: is it HTTP/2?');
        const type = bytes[at + 3] as number;
        const flags = bytes[at + 4] as number;
        const id = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
        if (type === frameType.data && (flags & frameFlag.padded) === 0) {
          at += frameHeaderBytes;
          this.#dataId = id;
          this.#dataEnds = (flags & frameFlag.endStream) !== 0;
          this.#dataLeft = length;
          if (length === 0) this.#data(nothing, 0);
          continue;
        }
        const end = at + frameHeaderBytes + length;
        if (end > bytes.length) break;
        this.#frame(type, flags, id, bytes.subarray(at + frameHeaderBytes, end));
        at = end;
      }
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at);
  }

  /** `length`: with padding, for the windows. */
  #data(piece: Buffer, length: number): void {
    this.#answers++;
    const half = this.#options.windowBytes / 2;
    this.#unread += length;
    if (this.#unread >= half) {
      this.#writer.number(frameType.windowUpdate, 0, this.#unread);
      this.#unread = 0;
    }
    const stream = this.#streams.get(this.#dataId);
    if (stream === undefined) return;
    stream.unread += length;
    if (stream.unread >= half) {
      this.#writer.number(frameType.windowUpdate, stream.id, stream.unread);
      stream.unread = 0;
    }
    if (piece.length > 0) stream.handler.onData(piece);
    // The handler may have cancelled the stream.
    if (this.#dataLeft === 0 && this.#dataEnds && this.#streams.has(stream.id))
      this.#finish(stream, { code: errorCode.noError, isUnprocessed: false });
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    if (this.#headers !== undefined && (type !== frameType.continuation || id !== this.#headers.id))
      throw new Error('Server sent another frame within a header block');
    switch (type) {
      case frameType.data:
        this.#dataId = id;
        this.#dataEnds = (flags & frameFlag.endStream) !== 0;
        this.#data(unpadded(payload, flags), payload.length);
        return;
      case frameType.headers: {
        const block = unpadded(payload, flags).subarray((flags & frameFlag.priority) === 0 ? 0 : 5);
        const ends = (flags & frameFlag.endStream) !== 0;
        if ((flags & frameFlag.endHeaders) !== 0) this.#headersDone(id, ends, block);
        else this.#headers = { id, ends, pieces: [block], bytes: block.length };
        return;
      }
      case frameType.continuation: {
        const headers = this.#headers;
        if (headers === undefined) throw new Error('Server continued a header block that it had not begun');
        headers.pieces.push(payload);
        headers.bytes += payload.length;
        if (headers.bytes > headerBytesMax) throw new Error('Server sent headers that are too large');
        if ((flags & frameFlag.endHeaders) === 0) return;
        this.#headers = undefined;
        this.#headersDone(id, headers.ends, Buffer.concat(headers.pieces));
        return;
      }
      case frameType.reset: {
        const code = number(payload, 0);
        const stream = this.#streams.get(id);
        if (stream === undefined) return;
        stream.isSent = true;
        this.#finish(stream, { code, isUnprocessed: code === errorCode.refusedStream });
        return;
      }
      case frameType.settings:
        if ((flags & frameFlag.ack) !== 0) return;
        this.#settings(payload);
        this.#writer.empty(frameType.settings, frameFlag.ack, 0);
        return;
      case frameType.ping:
        if ((flags & frameFlag.ack) === 0) this.#writer.frame(frameType.ping, frameFlag.ack, 0, payload);
        else this.#pings.shift()?.();
        return;
      case frameType.goAway: {
        const last = number(payload, 0) & 0x7fff_ffff;
        this.#drain();
        for (const stream of this.#streams.values()) {
          if (stream.id <= last) continue;
          stream.isSent = true;
          this.#finish(stream, { code: undefined, isUnprocessed: true });
        }
        return;
      }
      case frameType.windowUpdate:
        this.#widen(id, number(payload, 0) & 0x7fff_ffff);
        return;
      case frameType.pushPromise:
        throw new Error('Server pushed what nobody asked for');
      default:
    }
  }

  #headersDone(id: number, ends: boolean, block: Buffer): void {
    this.#answers++;
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.handler.onHeaders(readAnswerHeaders(block));
    if (ends && this.#streams.has(id))
      this.#finish(stream, { code: errorCode.noError, isUnprocessed: false });
  }

  #settings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      switch (payload.readUInt16BE(at)) {
        case settingId.maxConcurrentStreams:
          this.#streamsMax = value;
          break;
        case settingId.maxFrameSize:
          this.#frameBytes = value;
          break;
        case settingId.initialWindowSize: {
          const change = value - this.#streamWindow;
          this.#streamWindow = value;
          for (const stream of this.#streams.values()) stream.sendWindow += change;
          break;
        }
        default:
      }
    }
    this.#left();
    this.#unblock();
  }

  #widen(id: number, bytes: number): void {
    if (id === 0) {
      this.#sendWindow += bytes;
      this.#unblock();
      return;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.sendWindow += bytes;
    if (this.#blocked.has(stream)) this.pump(stream);
  }

  #unblock(): void {
    for (const stream of [...this.#blocked]) this.pump(stream);
  }
}

function number(payload: Buffer, at: number): number {
  if (payload.length < at + 4) throw new Error('Server sent a frame that is too short');
  return payload.readUInt32BE(at);
}

function unpadded(payload: Buffer, flags: number): Buffer {
  if ((flags & frameFlag.padded) === 0) return payload;
  const padding = payload[0] ?? 0;
  if (padding >= payload.length) throw new Error('Server sent more padding than frame');
  return payload.subarray(1, payload.length - padding);
}
