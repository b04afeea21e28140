import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import type { RequestHeaders, ServerStream, StreamReceiver } from '@pilothouse/http2';
import { errorCode } from '@pilothouse/http2';

const settled = Promise.resolve();

/** A stream of HTTP/2 as both ends of an exchange share it: its state, its events, and the request's body once somebody asks for it. */
export class ExchangeStream extends EventEmitter implements StreamReceiver {
  readonly stream: ServerStream;
  readonly now: () => number;
  /** The request is complete. */
  isComplete = false;
  /** The client left, or the stream was ended, before both sides were complete. */
  isAborted = false;
  /** Nothing more comes or goes. */
  isDestroyed = false;
  /** The whole answer is out. */
  isFinished = false;
  #body: Readable | undefined;
  /** What came before anybody asked. */
  #pieces: Buffer[] = [];

  constructor(stream: ServerStream, now: () => number) {
    super();
    this.stream = stream;
    this.now = now;
  }

  get hasBody(): boolean {
    return this.#body !== undefined;
  }

  /** There is no content, or all was read. */
  get isBodyRead(): boolean {
    return this.#body === undefined ? this.isComplete && this.#pieces.length === 0 : this.#body.readableEnded;
  }

  get body(): Readable {
    return (this.#body ??= this.#openBody());
  }

  receiveData(piece: Buffer): void {
    if (this.#body === undefined) {
      this.#pieces.push(piece);
      // Nobody reads: the client may fill its window and no more.
      this.stream.pause();
    } else if (!this.#body.push(piece)) this.stream.pause();
  }

  receiveEnd(_trailers: RequestHeaders | undefined): void {
    this.isComplete = true;
    this.#body?.push(null);
  }

  streamDrained(): void {
    this.emit('drain');
  }

  streamClosed(code: number): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.isFinished = code === errorCode.noError && this.stream.isEnding;
    this.isAborted = !this.isFinished;
    // Listeners find the state that whoever ended the stream leaves behind, as with sockets. Node's queueMicrotask makes a resource of each call.
    void settled.then(() => this.#tellClosed());
  }

  destroy(): void {
    if (this.isDestroyed) return;
    // An answer that ends too early must not look like a whole one.
    this.stream.reset(this.stream.hasHeaders ? errorCode.internalError : errorCode.cancel);
  }

  #tellClosed(): void {
    if (this.isFinished) this.emit('finish');
    else if (!this.isComplete) this.emit('aborted');
    if (!this.isComplete || this.isAborted) this.#body?.destroy();
    this.emit('close');
  }

  #openBody(): Readable {
    const body = new Readable({ read: () => this.stream.resume() });
    body.on('error', () => {});
    for (const piece of this.#pieces) body.push(piece);
    this.#pieces = [];
    if (this.isComplete) body.push(null);
    else if (this.isDestroyed) body.destroy();
    return body;
  }
}
