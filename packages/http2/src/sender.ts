import { assert } from '@pilothouse/base';
import { copiedBytesMax, type FrameOutput } from './frame-output.ts';
import { errorCode, frameFlag, frameType, startFrameBytes, startWindow, windowMax } from './protocol.ts';
import { ConnectionError } from './protocol.ts';
import type { ServerStream } from './server-stream.ts';
import { slabBytes } from './slabs.ts';

/** Longest DATA frame that we make, so that large answers take turns. */
const dataFrameBytesMax = 64 * 1024;
/** What one turn makes of content before it is sent: what fits into one slab, for TLS copies an output of several pieces once more. */
const outputBytesMax = slabBytes - 2 * copiedBytesMax;
/** The beginning of a header block that says: no table. */
const noTable = 0x20;

export interface SenderOptions {
  readonly output: FrameOutput;
  /** Unsent bytes of a stream from which on its writer has to wait. */
  readonly streamBufferBytes: number;
  /** The answer's last frame is in the output. */
  onAnswered(stream: ServerStream): void;
  /** Content of an answer passed. */
  onProgress(): void;
}

/** What leaves on a connection: header blocks at once, content as far as the client's windows and the socket let it. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #output: FrameOutput;
  #window = startWindow;
  /** Of new streams. */
  streamWindow = startWindow;
  #frameBytes = startFrameBytes;
  #mustDropTable = false;
  #isCongested = false;
  /** Streams that only the connection's window or the socket holds up. */
  readonly #waiting = new Set<ServerStream>();

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#output = options.output;
  }

  headers(stream: ServerStream, block: Uint8Array, isLast: boolean): void {
    if (stream.isClosed || stream.isEnding) return;
    stream.hasHeaders = true;
    this.#output.headers(stream.id, this.#withTable(block), isLast, this.#frameBytes);
    if (!isLast) return;
    stream.isEnding = true;
    this.#options.onAnswered(stream);
  }

  data(stream: ServerStream, piece: Uint8Array): boolean {
    if (stream.isClosed || stream.isEnding) return false;
    assert(stream.hasHeaders, 'Headers come before content');
    if (piece.length > 0) {
      (stream.unsent ??= []).push(piece);
      stream.unsentBytes += piece.length;
      if (!this.#waiting.has(stream)) this.pump(stream);
    }
    const hasRoom = stream.unsentBytes < this.#options.streamBufferBytes;
    if (!hasRoom) stream.wantsDrain = true;
    return hasRoom;
  }

  many(stream: ServerStream, pieces: readonly Uint8Array[], length: number): boolean {
    if (stream.isClosed || stream.isEnding) return false;
    assert(stream.hasHeaders, 'Headers come before content');
    const unsent = (stream.unsent ??= []);
    for (const piece of pieces) if (piece.length > 0) unsent.push(piece);
    stream.unsentBytes += length;
    if (length > 0 && !this.#waiting.has(stream)) this.pump(stream);
    const hasRoom = stream.unsentBytes < this.#options.streamBufferBytes;
    if (!hasRoom) stream.wantsDrain = true;
    return hasRoom;
  }

  pieces(stream: ServerStream, pieces: readonly Uint8Array[], length: number): boolean {
    if (stream.isClosed || stream.isEnding) return false;
    if (
      stream.unsentBytes > 0 ||
      length === 0 ||
      length > copiedBytesMax ||
      length > Math.min(stream.sendWindow, this.#window, this.#frameBytes) ||
      this.#isHeld
    )
      return this.data(stream, Buffer.concat(pieces, length));
    assert(stream.hasHeaders, 'Headers come before content');
    stream.sendWindow -= length;
    this.#window -= length;
    this.#output.frameOf(frameType.data, 0, stream.id, pieces, length);
    this.#options.onProgress();
    return true;
  }

  end(stream: ServerStream, trailers: Uint8Array | undefined): void {
    if (stream.isClosed || stream.isEnding) return;
    assert(stream.hasHeaders, 'Headers come before the end');
    stream.isEnding = true;
    stream.trailers = trailers;
    if (stream.unsentBytes === 0) this.#finish(stream);
  }

  answer(
    stream: ServerStream,
    head: Uint8Array,
    content: Uint8Array,
    trailers: Uint8Array | undefined,
  ): void {
    if (stream.isClosed || stream.isEnding) return;
    this.headers(stream, head, false);
    const { length } = content;
    stream.isEnding = true;
    if (
      this.#isHeld ||
      length === 0 ||
      length > Math.min(stream.sendWindow, this.#window, this.#frameBytes)
    ) {
      stream.trailers = trailers;
      if (length === 0) {
        this.#finish(stream);
        return;
      }
      stream.unsent = [content];
      stream.unsentBytes = length;
      this.pump(stream);
      return;
    }
    stream.sendWindow -= length;
    this.#window -= length;
    this.#output.frame(frameType.data, trailers === undefined ? frameFlag.endStream : 0, stream.id, content);
    if (trailers !== undefined)
      this.#output.headers(stream.id, this.#withTable(trailers), true, this.#frameBytes);
    this.#options.onProgress();
    this.#options.onAnswered(stream);
  }

  /** Sends of a stream what may be sent. */
  pump(stream: ServerStream): void {
    while (stream.unsentBytes > 0) {
      if (stream.sendWindow <= 0) {
        this.#waiting.delete(stream);
        return;
      }
      if (this.#window <= 0 || this.#isHeld) {
        this.#waiting.add(stream);
        return;
      }
      this.#sendFrame(stream);
    }
    this.#waiting.delete(stream);
    if (stream.isEnding) this.#finish(stream);
    else if (stream.wantsDrain) this.#drained(stream);
  }

  /** Forgets what a stream still had to send. */
  drop(stream: ServerStream): void {
    this.#waiting.delete(stream);
    stream.unsent = undefined;
    stream.unsentBytes = 0;
  }

  // ---- what the client says ----

  /** WINDOW_UPDATE of the connection. */
  widen(bytes: number): void {
    if (this.#window + bytes > windowMax)
      throw new ConnectionError(errorCode.flowControlError, 'Window of the connection too large');
    this.#window += bytes;
    this.#pumpWaiting();
  }

  /** WINDOW_UPDATE of a stream. False: too large. */
  widenStream(stream: ServerStream, bytes: number): boolean {
    if (stream.sendWindow + bytes > windowMax) return false;
    stream.sendWindow += bytes;
    if (stream.unsentBytes > 0) this.pump(stream);
    return true;
  }

  setStreamWindow(bytes: number, streams: Iterable<ServerStream>): void {
    const change = bytes - this.streamWindow;
    this.streamWindow = bytes;
    if (change === 0) return;
    for (const stream of [...streams]) {
      if (!this.widenStream(stream, change))
        throw new ConnectionError(errorCode.flowControlError, 'Window of a stream too large');
    }
  }

  setFrameBytes(bytes: number): void {
    this.#frameBytes = Math.min(bytes, dataFrameBytesMax);
  }

  /** The client keeps no table as large as the usual one: it must be told that we use none. */
  dropTable(): void {
    this.#mustDropTable = true;
  }

  /** While the socket is behind, content waits. */
  setCongested(isCongested: boolean): void {
    this.#isCongested = isCongested;
    if (!isCongested) this.#pumpWaiting();
  }

  /** The output was taken: there is room for more. */
  taken(): void {
    if (this.#waiting.size > 0) this.#pumpWaiting();
  }

  // ---- frames ----

  /** Content has to wait, whatever the windows say. */
  get #isHeld(): boolean {
    return this.#isCongested || this.#output.bytes >= outputBytesMax;
  }

  #withTable(block: Uint8Array): Uint8Array {
    if (!this.#mustDropTable) return block;
    this.#mustDropTable = false;
    return Buffer.concat([Buffer.of(noTable), block]);
  }

  /** As much of the content as a frame holds: a long piece as it is, short ones together. */
  #sendFrame(stream: ServerStream): void {
    const unsent = stream.unsent as Uint8Array[];
    const most = Math.min(stream.unsentBytes, stream.sendWindow, this.#window, this.#frameBytes);
    const first = unsent[stream.unsentFrom] as Uint8Array;
    const isTogether = first.length < most && first.length < copiedBytesMax;
    const length = isTogether ? Math.min(most, copiedBytesMax) : Math.min(most, first.length);
    stream.sendWindow -= length;
    this.#window -= length;
    stream.unsentBytes -= length;
    const isEnd = stream.unsentBytes === 0 && stream.isEnding && stream.trailers === undefined;
    const flags = isEnd ? frameFlag.endStream : 0;
    if (isTogether) this.#output.frameOf(frameType.data, flags, stream.id, takeBytes(stream, length), length);
    else if (length === first.length) {
      this.#output.frame(frameType.data, flags, stream.id, first);
      stream.unsentFrom++;
    } else {
      this.#output.frame(frameType.data, flags, stream.id, first.subarray(0, length));
      unsent[stream.unsentFrom] = first.subarray(length);
    }
    if (stream.unsentFrom === unsent.length) {
      unsent.length = 0;
      stream.unsentFrom = 0;
    } else if (stream.unsentFrom > 256) {
      unsent.splice(0, stream.unsentFrom);
      stream.unsentFrom = 0;
    }
    this.#options.onProgress();
    if (isEnd) stream.isEndSent = true;
  }

  #finish(stream: ServerStream): void {
    if (stream.trailers !== undefined)
      this.#output.headers(stream.id, this.#withTable(stream.trailers), true, this.#frameBytes);
    else if (!stream.isEndSent) this.#output.empty(frameType.data, frameFlag.endStream, stream.id);
    this.#options.onAnswered(stream);
  }

  #drained(stream: ServerStream): void {
    stream.wantsDrain = false;
    stream.receiver?.streamDrained?.();
  }

  /** In turns of a frame, so that no stream takes all. */
  #pumpWaiting(): void {
    while (this.#waiting.size > 0 && this.#window > 0 && !this.#isHeld) {
      for (const stream of [...this.#waiting]) {
        if (this.#window <= 0 || this.#isHeld) return;
        if (!this.#waiting.has(stream)) continue;
        if (stream.sendWindow > 0 && stream.unsentBytes > 0) this.#sendFrame(stream);
        // The last frame of a stream is followed by its end.
        if (stream.sendWindow <= 0 || stream.unsentBytes === 0) this.pump(stream);
      }
    }
  }
}

/** Takes the next `length` bytes of what a stream has to send. */
function takeBytes(stream: ServerStream, length: number): readonly Uint8Array[] {
  const unsent = stream.unsent as Uint8Array[];
  const from = stream.unsentFrom;
  let to = from;
  let left = length;
  while (left > 0 && (unsent[to] as Uint8Array).length <= left) left -= (unsent[to++] as Uint8Array).length;
  const taken = unsent.slice(from, to);
  if (left > 0) {
    const cut = unsent[to] as Uint8Array;
    taken.push(cut.subarray(0, left));
    unsent[to] = cut.subarray(left);
  }
  stream.unsentFrom = to;
  return taken;
}
