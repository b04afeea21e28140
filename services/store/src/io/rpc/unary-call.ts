import type { ServerStream, StreamReceiver } from '@pilothouse/http2';
import type { Deadline, Membership, Span } from '@pilothouse/base';
import type { MessageInput, MethodInfo } from '@pilothouse/proto';
import { grpcStatus } from '../../core/index.ts';
import type { Call, CallContext, CallHeaders, UnaryHandler } from './call.ts';
import { ConnectionBacklog } from './connection-backlog.ts';
import {
  commonNameOf,
  fail,
  GrpcError,
  okTrailers,
  parseTimeout,
  readSingle,
  responseHead,
} from './grpc-wire.ts';

/** Parts of requests beyond this are counted against their connection. */
const freeBytes = 64 * 1024;

/** One unary call from its first byte to its answer; an object alone, for there are many. */
export class UnaryCall<Req, Res> implements Call, StreamReceiver, Deadline {
  readonly headers: CallHeaders;
  span: Span | undefined;
  /** When it is given up; monotonic. */
  at = Infinity;
  readonly #context: CallContext;
  readonly #info: MethodInfo<Req, Res>;
  readonly #handler: UnaryHandler<Req, Res>;
  readonly #stream: ServerStream;
  readonly #started: number;
  #first: Buffer | undefined;
  #rest: Buffer[] | undefined;
  #size = 0;
  #held = 0;
  #isDone = false;
  #inTime: Membership<Deadline> | undefined;
  /** Of the answer, what counts against the connection. */
  #counted = 0;
  #isCounted = false;
  #closeListeners: (() => void)[] | undefined;

  constructor(
    context: CallContext,
    info: MethodInfo<Req, Res>,
    handler: UnaryHandler<Req, Res>,
    stream: ServerStream,
    headers: CallHeaders,
  ) {
    this.#context = context;
    this.#info = info;
    this.#handler = handler;
    this.#stream = stream;
    this.headers = headers;
    this.#started = context.options.clock.monotonic();
    stream.receiver = this;
  }

  // ---- Call ----

  get commonName(): string | undefined {
    return commonNameOf(this.#stream);
  }

  get isCancelled(): boolean {
    return this.#stream.isClosed;
  }

  onClose(listener: () => void): void {
    (this.#closeListeners ??= []).push(listener);
  }

  paced<T>(make: () => readonly [T, number]): T | Promise<T> {
    const { connection } = this.#stream;
    if (ConnectionBacklog.isFull(connection))
      return new Promise<void>((resume) => this.#wait(resume)).then(() => this.paced(make));
    const [answer, bytes] = make();
    this.#count(bytes);
    return answer;
  }

  // ---- StreamReceiver ----

  receiveData(piece: Buffer): void {
    const { options } = this.#context;
    const before = this.#size;
    this.#size += piece.length;
    options.onReceivedBytes?.(piece.length);
    if (this.#isDone) return;
    if (this.#size > options.receiveBytesMax + 5) {
      const first = this.#first;
      const length = first !== undefined && first.length >= 5 ? first.readUInt32BE(1) : this.#size - 5;
      this.#refuse(`grpc: received message larger than max (${length} vs. ${options.receiveBytesMax})`);
      return;
    }
    if (this.#size > freeBytes) {
      const held = this.#size - Math.max(before, freeBytes);
      this.#held += held;
      if (!ConnectionBacklog.of(this.#stream.connection).hold(held)) {
        this.#refuse('grpc: too many unfinished requests on one connection');
        return;
      }
    }
    if (this.#first === undefined) this.#first = piece;
    else (this.#rest ??= [this.#first]).push(piece);
  }

  receiveEnd(): void {
    if (this.#isDone || this.#stream.isClosed) return;
    // A client that asks on without taking its answers waits with what it has asked.
    if (ConnectionBacklog.isFull(this.#stream.connection)) {
      this.#wait(() => this.receiveEnd());
      return;
    }
    try {
      const bytes = this.#rest === undefined ? this.#first : Buffer.concat(this.#rest);
      this.#rest = undefined;
      const result = this.#handler(readSingle(this.#info.request, bytes), this);
      if (!(result instanceof Promise)) {
        this.#resolve(result as MessageInput<Res>);
        return;
      }
      const timeoutMs = parseTimeout(this.headers['grpc-timeout']);
      if (timeoutMs !== undefined) {
        this.at = this.#context.options.clock.monotonic() + timeoutMs;
        this.#inTime = this.#context.deadlines.add(this);
      }
      result.then(
        (response) => this.#resolve(response as MessageInput<Res>),
        (error: unknown) => this.#reject(error),
      );
    } catch (error) {
      this.#reject(error);
    }
  }

  streamClosed(): void {
    this.#finish(grpcStatus.canceled);
    if (this.#held > 0) ConnectionBacklog.of(this.#stream.connection).release(this.#held);
    if (this.#counted > 0) ConnectionBacklog.of(this.#stream.connection).sent(this.#counted);
    this.#held = this.#counted = 0;
    const listeners = this.#closeListeners;
    if (listeners === undefined) return;
    this.#closeListeners = undefined;
    for (const listener of listeners) listener();
  }

  /** The deadline passed. */
  onOver(): void {
    this.#reject(new GrpcError(grpcStatus.deadlineExceeded, 'context deadline exceeded'));
  }

  // ---- the answer ----

  #wait(resume: () => void): void {
    this.onClose(ConnectionBacklog.of(this.#stream.connection).wait(resume));
  }

  #count(bytes: number): void {
    this.#isCounted = true;
    if (!this.#stream.isClosed) this.#counted = ConnectionBacklog.add(this.#stream.connection, bytes);
  }

  #refuse(message: string): void {
    this.#first = this.#rest = undefined;
    this.#finish(grpcStatus.resourceExhausted);
    fail(this.#stream, grpcStatus.resourceExhausted, message);
  }

  #resolve(response: MessageInput<Res>): void {
    const stream = this.#stream;
    if (this.#isDone || stream.isClosed) {
      this.#finish(grpcStatus.canceled);
      return;
    }
    const frame = this.#context.frame(this.#info.response, response);
    if (!this.#isCounted) this.#count(frame.length);
    this.#finish(grpcStatus.ok);
    stream.answer(responseHead, frame, okTrailers);
  }

  #reject(error: unknown): void {
    if (!this.#isDone && !this.#stream.isClosed) this.#finish(this.#context.failWith(this.#stream, error));
    else this.#finish(grpcStatus.canceled);
  }

  #finish(status: number): void {
    if (this.#isDone) return;
    this.#isDone = true;
    const { options } = this.#context;
    this.#inTime?.leave();
    options.onHandled?.(
      this.#info as unknown as MethodInfo<unknown, unknown>,
      status,
      options.clock.monotonic() - this.#started,
    );
  }
}
