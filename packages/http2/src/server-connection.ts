import { IdMap } from '@pilothouse/base';
import { broken, calm, sized } from './connection-faults.ts';
import { FloodGuard, floodLimits, type FloodLimits } from './flood-guard.ts';
import { FrameOutput } from './frame-output.ts';
import { dependsOnItself, FrameReader, type FrameSink } from './frame-reader.ts';
import { headerBlock } from './hpack/header-block.ts';
import type { ErrorCode } from './protocol.ts';
import {
  ConnectionError,
  errorCode,
  frameBytesMax,
  frameFlag,
  frameType,
  settingId,
  settingsPayload,
  startFrameBytes,
  startTableBytes,
  startWindow,
  windowMax,
} from './protocol.ts';
import type { HeadResult, RequestHeaders } from './request-head.ts';
import { RequestHeadReader } from './request-head.ts';
import { Sender } from './sender.ts';
import { ServerStream } from './server-stream.ts';

export interface ServerConnectionOptions {
  /** Milliseconds that never go backwards. */
  readonly monotonic: () => number;
  /** Streams that a client may have open; others are refused. */
  readonly concurrentStreamsMax?: number;
  /** Bytes that a client may send ahead on a stream, and in all. */
  readonly streamWindowBytes?: number;
  readonly connectionWindowBytes?: number;
  /** Names and values of a request's headers, 32 more for each. Larger ones are answered with 431. */
  readonly headerListBytesMax?: number;
  /** Time for the preface with the settings, and for a header block that is cut into frames. */
  readonly headTimeoutMs?: number;
  /** Unsent bytes of a stream from which on its writer has to wait. */
  readonly streamBufferBytes?: number;
  readonly flood?: FloodLimits;
  /** {@link ServerConnection.outputSent} follows each output that was taken, so that its memory is used again. */
  readonly reusesOutput?: boolean;
}

/** What the connection asks of its surroundings. */
export interface ServerEvents {
  /** A request begins. What the client sends on it goes to `stream.receiver`, to be set here. */
  onRequest(stream: ServerStream, headers: RequestHeaders): void;
  /** There is output to be taken, soon. Once until it is taken. */
  onOutput(): void;
  /** No more is read or made: what there is of output is to be sent, then the socket to be closed. Once. */
  onEnd(error: ConnectionError | undefined): void;
}

const tooLargeAnswer = headerBlock([[':status', '431']]);
/** Of streams that we reset, how many are remembered: what their client sent before it knew is passed over. */
const resetStreamsMax = 1000;

/**
 * A server's side of RFC 9113: bytes in by {@link receive}, requests out by events, bytes out by {@link takeOutput}. It owns no socket and no timer;
 * {@link tick} is to be called now and then. Whatever a client does costs a bounded amount; who breaks rules or floods is turned away.
 */
export class ServerConnection implements FrameSink {
  /** For whoever made it: what it belongs to, such as the socket. */
  owner: unknown;
  readonly #events: ServerEvents;
  readonly #monotonic: () => number;
  readonly #concurrentStreamsMax: number;
  readonly #streamWindowBytes: number;
  readonly #connectionWindowBytes: number;
  readonly #reader: FrameReader;
  readonly #headTimeoutMs: number;
  readonly #output: FrameOutput;
  /** For streams: what they send. */
  readonly sender: Sender;
  readonly #guard: FloodGuard;
  readonly #heads: RequestHeadReader;
  readonly #streams = new IdMap<ServerStream>();
  readonly #resetIds = new Set<number>();
  /** Answered while their client still sends. */
  #halfDone: ServerStream[] = [];
  #lastId = 0;
  #receiveWindow: number;
  #unread = 0;
  /** Of the DATA frame that is being read. */
  #dataStream: ServerStream | undefined;
  #dataEnds = false;
  readonly #pings: { readonly payload: Buffer; readonly onAnswer: () => void }[] = [];
  #pingCount = 0;
  #isDraining = false;
  #isEnded = false;

  constructor(options: ServerConnectionOptions, events: ServerEvents) {
    this.#events = events;
    this.#monotonic = options.monotonic;
    this.#concurrentStreamsMax = Math.min(options.concurrentStreamsMax ?? 250, 2 ** 20);
    this.#streamWindowBytes = options.streamWindowBytes ?? 1 << 20;
    this.#connectionWindowBytes = Math.max(startWindow, options.connectionWindowBytes ?? 4 << 20);
    const listBytesMax = options.headerListBytesMax ?? 64 * 1024;
    this.#reader = new FrameReader(this, { blockBytesMax: listBytesMax, monotonic: this.#monotonic });
    this.#headTimeoutMs = options.headTimeoutMs ?? 10_000;
    this.#receiveWindow = this.#connectionWindowBytes;
    this.#guard = new FloodGuard(options.flood ?? floodLimits, this.#monotonic);
    this.#heads = new RequestHeadReader(listBytesMax);
    this.#output = new FrameOutput(() => events.onOutput(), options.reusesOutput);
    this.sender = new Sender({
      output: this.#output,
      streamBufferBytes: options.streamBufferBytes ?? 256 * 1024,
      onAnswered: (stream) => this.#answered(stream),
      onProgress: () => this.#guard.progress(),
    });
    this.#output.frame(
      frameType.settings,
      0,
      0,
      settingsPayload([
        [settingId.maxConcurrentStreams, this.#concurrentStreamsMax],
        [settingId.initialWindowSize, this.#streamWindowBytes],
        [settingId.maxHeaderListSize, listBytesMax],
      ]),
    );
    const more = this.#connectionWindowBytes - startWindow;
    if (more > 0) this.#output.number(frameType.windowUpdate, 0, more);
  }

  /** No more is read or made. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Takes no new requests. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** What the client sent. The bytes may be kept. */
  receive(bytes: Buffer): void {
    if (this.#isEnded) return;
    try {
      this.#reader.read(bytes);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.fail(error);
    }
  }

  /** Bytes for the client, to be sent in order. */
  takeOutput(): readonly Uint8Array[] {
    if (this.#halfDone.length > 0) this.#stopRequests();
    const bytes = this.#output.take();
    if (!this.#isEnded) this.sender.taken();
    return bytes;
  }

  /** The oldest output that was taken has left: its bytes are not read any more. */
  outputSent(): void {
    this.#output.sent();
  }

  /** The socket is far behind (true), or has caught up. Meanwhile no content of answers is made into frames. */
  setCongested(isCongested: boolean): void {
    if (!this.#isEnded) this.sender.setCongested(isCongested);
  }

  /** Ends a connection whose client takes too long to begin or to finish a header block. */
  tick(): void {
    if (this.#isEnded) return;
    const since = this.#reader.owesSince;
    if (since === undefined || this.#monotonic() - since < this.#headTimeoutMs) return;
    this.fail(new ConnectionError(errorCode.settingsTimeout, 'Preface or headers took too long'));
  }

  /** Asks for a sign of life. */
  ping(onAnswer: () => void): void {
    if (this.#isEnded) return;
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(++this.#pingCount, 4);
    this.#pings.push({ payload, onAnswer });
    this.#output.frame(frameType.ping, 0, 0, payload);
  }

  /** Takes no new requests and ends when those under way are answered. */
  shutdown(): void {
    if (this.#isDraining || this.#isEnded) return;
    this.#isDraining = true;
    this.#goAway(errorCode.noError, '');
    if (this.#streams.size === 0) this.#end(undefined);
  }

  /** Tells the client why and ends. */
  fail(error: ConnectionError): void {
    if (this.#isEnded) return;
    this.#goAway(error.code, error.message);
    this.#end(error);
  }

  /** The socket is gone. */
  closed(): void {
    this.#end(undefined);
  }

  resetStream(stream: ServerStream, code: ErrorCode): void {
    if (stream.isClosed) return;
    this.#sendReset(stream.id, code);
    this.#close(stream, code);
  }

  openWindow(stream: ServerStream): void {
    if (stream.isPaused || stream.isClosed || stream.isRequestComplete) return;
    if (stream.unread * 2 < this.#streamWindowBytes) return;
    this.#output.number(frameType.windowUpdate, stream.id, stream.unread);
    stream.receiveWindow += stream.unread;
    stream.unread = 0;
  }

  // ---- the ends of streams and of the connection ----

  #answered(stream: ServerStream): void {
    if (stream.isRequestComplete) this.#close(stream, errorCode.noError);
    else if (!stream.lingers) this.#halfDone.push(stream);
  }

  /** Who still sends after the answer is told to stop. */
  #stopRequests(): void {
    const streams = this.#halfDone;
    this.#halfDone = [];
    for (const stream of streams) if (!stream.isClosed) this.resetStream(stream, errorCode.noError);
  }

  #close(stream: ServerStream, code: number): void {
    if (stream.isClosed) return;
    stream.isClosed = true;
    this.#streams.delete(stream.id);
    if (stream.unsentBytes > 0) this.sender.drop(stream);
    if (this.#dataStream === stream) this.#dataStream = undefined;
    stream.receiver?.streamClosed(code);
    if (this.#isDraining && this.#streams.size === 0) this.#end(undefined);
  }

  #sendReset(id: number, code: ErrorCode): void {
    this.#output.number(frameType.reset, id, code);
    this.#resetIds.add(id);
    if (this.#resetIds.size <= resetStreamsMax) return;
    const [oldest] = this.#resetIds;
    this.#resetIds.delete(oldest as number);
  }

  /** A fault of the client on one stream. */
  #fault(id: number, code: ErrorCode): void {
    const stream = this.#streams.get(id);
    this.#sendReset(id, code);
    if (stream !== undefined) this.#close(stream, code);
    if (!this.#guard.reset()) throw calm('Too many streams were reset');
  }

  #goAway(code: ErrorCode, message: string): void {
    const text = Buffer.from(message, 'latin1');
    const payload = Buffer.alloc(8 + text.length);
    payload.writeUInt32BE(this.#lastId, 0);
    payload.writeUInt32BE(code, 4);
    payload.set(text, 8);
    this.#output.frame(frameType.goAway, 0, 0, payload);
  }

  #end(error: ConnectionError | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#isDraining = true;
    this.#reader.stop();
    for (const stream of this.#streams.values()) this.#close(stream, error?.code ?? errorCode.cancel);
    this.#events.onEnd(error);
  }

  /** Nothing was ever said on the stream. After GOAWAY, what is not served is not remembered. */
  #isIdle(id: number): boolean {
    return id > this.#lastId && !this.#isDraining;
  }

  #strike(weight = 1): void {
    if (!this.#guard.strike(weight)) throw calm('Too many frames that bring nothing');
  }

  // ---- what the reader gives ----

  onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    switch (type) {
      case frameType.priority:
        this.#strike();
        if (payload.length !== 5) this.#fault(id, errorCode.frameSizeError);
        else if (dependsOnItself(id, payload)) this.#fault(id, errorCode.protocolError);
        return;
      case frameType.reset:
        return this.#reset(id, payload);
      case frameType.settings:
        return this.#settings(flags, payload);
      case frameType.ping:
        return this.#ping(flags, payload);
      case frameType.goAway:
        if (payload.length < 8) throw sized();
        this.#strike();
        return;
      case frameType.windowUpdate:
        return this.#windowUpdate(id, payload);
      default:
        this.#strike();
    }
  }

  onData(id: number, length: number, isEnd: boolean): void {
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0)
      throw new ConnectionError(errorCode.flowControlError, 'More than the window of the connection');
    this.#unread += length;
    if (this.#unread * 2 >= this.#connectionWindowBytes) {
      this.#output.number(frameType.windowUpdate, 0, this.#unread);
      this.#receiveWindow += this.#unread;
      this.#unread = 0;
    }
    const stream = this.#streams.get(id);
    this.#dataStream = undefined;
    this.#dataEnds = isEnd;
    if (stream === undefined || stream.isRequestComplete) {
      if (this.#isIdle(id)) throw broken('DATA before HEADERS');
      this.#strike();
      if (id > this.#lastId) return;
      if (!this.#resetIds.has(id)) this.#fault(id, errorCode.streamClosed);
      return;
    }
    stream.receiveWindow -= length;
    stream.unread += length;
    if (stream.receiveWindow < 0) return this.#fault(id, errorCode.flowControlError);
    this.#dataStream = stream;
    if (!isEnd) this.openWindow(stream);
  }

  onContent(piece: Buffer, isLast: boolean): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    if (piece.length === 0) {
      if (!this.#dataEnds) this.#strike();
    } else {
      this.#guard.progress();
      if (stream.contentLeft >= 0) {
        stream.contentLeft -= piece.length;
        if (stream.contentLeft < 0) return this.#fault(stream.id, errorCode.protocolError);
      }
      stream.receiver?.receiveData(piece);
    }
    if (isLast && this.#dataEnds && !stream.isClosed) this.#requestDone(stream, undefined);
  }

  #requestDone(stream: ServerStream, trailers: RequestHeaders | undefined): void {
    if (stream.contentLeft > 0) return this.#fault(stream.id, errorCode.protocolError);
    stream.isRequestComplete = true;
    // Answered already, with all of it sent.
    if (stream.isEnding && stream.unsentBytes === 0) this.#close(stream, errorCode.noError);
    else stream.receiver?.receiveEnd(trailers);
  }

  onHeaders(id: number, isEnd: boolean, block: Buffer, isLoop: boolean): void {
    const isNew = id > this.#lastId;
    let head: HeadResult;
    try {
      head = isNew ? this.#heads.head(block) : this.#heads.trailers(block);
    } catch (error) {
      throw new ConnectionError(errorCode.compressionError, (error as Error).message);
    }
    if (!isNew) return this.#trailers(id, isEnd, head);
    this.#guard.progress();
    // After GOAWAY the client knows that these are not served.
    if (this.#isDraining) return;
    this.#lastId = id;
    if (head.kind === 'malformed' || isLoop) return this.#fault(id, errorCode.protocolError);
    if (this.#streams.size >= this.#concurrentStreamsMax) return this.#fault(id, errorCode.refusedStream);
    const stream = new ServerStream(
      this,
      id,
      this.sender.streamWindow,
      this.#streamWindowBytes,
      head.kind === 'headers' ? head.contentLength : undefined,
    );
    this.#streams.set(id, stream);
    if (head.kind === 'tooLarge') stream.respond(tooLargeAnswer, true);
    else this.#events.onRequest(stream, head.headers);
    if (isEnd && !stream.isClosed) this.#requestDone(stream, undefined);
  }

  #trailers(id: number, isEnd: boolean, head: HeadResult): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.isRequestComplete) {
      if (this.#resetIds.has(id)) return this.#strike();
      throw new ConnectionError(errorCode.streamClosed, 'HEADERS on a stream that is closed');
    }
    if (head.kind !== 'headers' || !isEnd) return this.#fault(id, errorCode.protocolError);
    this.#requestDone(stream, head.headers);
  }

  #reset(id: number, payload: Buffer): void {
    if (payload.length !== 4) throw sized();
    if (this.#isIdle(id)) throw broken('RST_STREAM before HEADERS');
    const stream = this.#streams.get(id);
    if (stream === undefined) return this.#strike();
    // Who has seen an answer begin has waited for it.
    const isRapid = !stream.hasHeaders;
    this.#close(stream, payload.readUInt32BE(0));
    if (!isRapid) this.#strike();
    else if (!this.#guard.reset()) throw calm('Too many streams were reset');
  }

  #settings(flags: number, payload: Buffer): void {
    this.#strike(1 + (this.#streams.size >> 6));
    if ((flags & frameFlag.ack) !== 0) {
      if (payload.length > 0) throw sized();
      return;
    }
    if (payload.length % 6 !== 0) throw sized();
    // Before what the new windows let through: clients wait for it first.
    this.#output.empty(frameType.settings, frameFlag.ack, 0);
    for (let at = 0; at < payload.length; at += 6)
      this.#setting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }

  #setting(id: number, value: number): void {
    switch (id) {
      case settingId.headerTableSize:
        if (value < startTableBytes) this.sender.dropTable();
        return;
      case settingId.enablePush:
        if (value > 1) throw broken('ENABLE_PUSH is neither 0 nor 1');
        return;
      case settingId.initialWindowSize:
        if (value > windowMax)
          throw new ConnectionError(errorCode.flowControlError, 'Window of streams too large');
        return this.sender.setStreamWindow(value, this.#streams.values());
      case settingId.maxFrameSize:
        if (value < startFrameBytes || value > frameBytesMax) throw broken('MAX_FRAME_SIZE out of range');
        return this.sender.setFrameBytes(value);
      default:
    }
  }

  #ping(flags: number, payload: Buffer): void {
    if (payload.length !== 8) throw sized();
    this.#strike();
    if ((flags & frameFlag.ack) === 0) {
      this.#output.frame(frameType.ping, frameFlag.ack, 0, payload);
      return;
    }
    const at = this.#pings.findIndex((each) => each.payload.equals(payload));
    if (at >= 0) this.#pings.splice(at, 1)[0]?.onAnswer();
  }

  #windowUpdate(id: number, payload: Buffer): void {
    if (payload.length !== 4) throw sized();
    this.#strike();
    const bytes = payload.readUInt32BE(0) & 0x7fff_ffff;
    if (id === 0) {
      if (bytes === 0) throw broken('WINDOW_UPDATE of nothing');
      this.sender.widen(bytes);
      return;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      if (this.#isIdle(id) || (id & 1) === 0) throw broken('WINDOW_UPDATE before HEADERS');
      return;
    }
    if (bytes === 0) this.#fault(id, errorCode.protocolError);
    else if (!this.sender.widenStream(stream, bytes)) this.#fault(id, errorCode.flowControlError);
  }
}
