import type { ErrorCode } from './protocol.ts';
import type { RequestHeaders } from './request-head.ts';
import type { ServerConnection } from './server-connection.ts';

/** Who takes what a client sends on a stream. */
export interface StreamReceiver {
  /** Content of the request. The piece may be kept. */
  receiveData(piece: Buffer): void;
  /** The request is complete. */
  receiveEnd(trailers: RequestHeaders | undefined): void;
  /** Once, as the last call: `noError` when both sides were complete, else why not. */
  streamClosed(code: number): void;
  /** After {@link ServerStream.write} gave false: there is room again. */
  streamDrained?(): void;
}

/** One request and its answer. Made by {@link ServerConnection}. */
export class ServerStream {
  readonly id: number;
  readonly connection: ServerConnection;
  /** To be set while the request is announced; what comes without one is passed over. */
  receiver: StreamReceiver | undefined;
  /** Bytes that the client lets us send. */
  sendWindow: number;
  /** Bytes that the client may still send. */
  receiveWindow: number;
  /** Received since the window was opened last. */
  unread = 0;
  /** Content that is still to come by its content-length; -1: not told. */
  contentLeft: number;
  /** The client has sent all. */
  isRequestComplete = false;
  hasHeaders = false;
  /** Nothing more comes after `unsent` and `trailers`. */
  isEnding = false;
  /** The last piece of content carried the end. */
  isEndSent = false;
  isClosed = false;
  isPaused = false;
  /**
   * The client may go on sending after the answer, until somebody resets the stream. Otherwise it is told to stop at once, which not every
   * client's library takes for what it is.
   */
  lingers = false;
  /** A write was answered with false. */
  wantsDrain = false;
  unsent: Uint8Array[] | undefined;
  /** Of {@link unsent}, the pieces that are gone. */
  unsentFrom = 0;
  unsentBytes = 0;
  trailers: Uint8Array | undefined;

  constructor(
    connection: ServerConnection,
    id: number,
    sendWindow: number,
    receiveWindow: number,
    contentLength: number | undefined,
  ) {
    this.connection = connection;
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    this.contentLeft = contentLength ?? -1;
  }

  /** Begins the answer with a header block, see {@link headerBlock}. With `isLast` the answer is that alone. */
  respond(block: Uint8Array, isLast = false): void {
    this.connection.sender.headers(this, block, isLast);
  }

  /** Sends content. False: more than the stream's share waits; wait for `streamDrained`. The bytes must not change any more. */
  write(piece: Uint8Array): boolean {
    return this.connection.sender.data(this, piece);
  }

  /** Sends pieces of content, `length` bytes in all, as {@link write} does each: none of them may change any more. */
  writeMany(pieces: readonly Uint8Array[], length: number): boolean {
    return this.connection.sender.many(this, pieces, length);
  }

  /**
   * Sends content that consists of pieces, `length` bytes in all, as {@link write} does. The pieces are copied: they may change afterwards. Cheaper where
   * it is small, and where most of it is what others are sent too.
   */
  writePieces(pieces: readonly Uint8Array[], length: number): boolean {
    return this.connection.sender.pieces(this, pieces, length);
  }

  /** Ends the answer, with a last header block if there is one. */
  end(trailers?: Uint8Array): void {
    this.connection.sender.end(this, trailers);
  }

  /** A whole answer at once, which is the cheapest way. */
  answer(head: Uint8Array, content: Uint8Array, trailers: Uint8Array | undefined): void {
    this.connection.sender.answer(this, head, content, trailers);
  }

  /** Ends the stream in both directions. */
  reset(code: ErrorCode): void {
    this.connection.resetStream(this, code);
  }

  /** Until {@link resume} the client may send no more than the window that it has. */
  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.connection.openWindow(this);
  }
}
