import { errorMessage } from '@pilothouse/base';
import type { ServerStream, StreamReceiver } from '@pilothouse/http2';
import type { MessageInput, MethodInfo } from '@pilothouse/proto';
import { grpcStatus, StoreError } from '../../core/index.ts';
import type { BidiCall, CallContext, CallHeaders, MessageCounts } from './call.ts';
import { commonNameOf, errorTrailers, GrpcError, okTrailers, readSingle, responseHead } from './grpc-wire.ts';

const nothing = Buffer.alloc(0);
/** What begins a message; it is copied at once. */
const prefix = Buffer.alloc(5);

/** One call with messages in both directions. */
export class StreamCall<Req, Res> implements BidiCall<Req, Res>, StreamReceiver {
  readonly headers: CallHeaders;
  readonly #context: CallContext;
  readonly #info: MethodInfo<Req, Res>;
  readonly #stream: ServerStream;
  readonly #started: number;
  readonly #counts: MessageCounts | undefined;
  #pending: Buffer = nothing;
  #onMessage: ((message: Req) => void) | undefined;
  #onHalfClose: (() => void) | undefined;
  #onDrain: (() => void) | undefined;
  readonly #closeListeners: (() => void)[] = [];
  #isEnded = false;

  constructor(context: CallContext, info: MethodInfo<Req, Res>, stream: ServerStream, headers: CallHeaders) {
    this.#context = context;
    this.#info = info;
    this.#stream = stream;
    this.headers = headers;
    this.#started = context.options.clock.monotonic();
    this.#counts = context.options.messageCounts?.(info as unknown as MethodInfo<unknown, unknown>);
    stream.receiver = this;
  }

  // ---- BidiCall ----

  get commonName(): string | undefined {
    return commonNameOf(this.#stream);
  }

  get isCancelled(): boolean {
    return this.#isEnded || this.#stream.isClosed;
  }

  write(message: MessageInput<Res>): boolean {
    if (this.#isEnded || this.#stream.isClosed) return false;
    this.#respond();
    if (this.#counts) this.#counts.sent++;
    return this.#stream.write(this.#context.frame(this.#info.response, message));
  }

  writeParts(parts: readonly Uint8Array[]): boolean {
    if (this.#isEnded || this.#stream.isClosed) return false;
    this.#respond();
    if (this.#counts) this.#counts.sent++;
    let length = 0;
    for (const part of parts) length += part.length;
    const bytes = 5 + length;
    this.#context.options.onSentBytes?.(bytes);
    prefix.writeUInt32BE(length, 1);
    return this.#stream.writePieces([prefix, ...parts], bytes);
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  onMessage(listener: (message: Req) => void): void {
    this.#onMessage = listener;
  }

  onHalfClose(listener: () => void): void {
    this.#onHalfClose = listener;
  }

  end(error?: unknown): void {
    if (this.#isEnded) return;
    const stream = this.#stream;
    if (stream.isClosed) {
      this.#finish(grpcStatus.canceled);
      return;
    }
    if (error === undefined) {
      this.#respond();
      this.#finish(grpcStatus.ok);
      stream.end(okTrailers);
      return;
    }
    if (!stream.hasHeaders) {
      this.#finish(this.#context.failWith(stream, error));
      return;
    }
    const status =
      error instanceof StoreError || error instanceof GrpcError ? error.grpcStatus : grpcStatus.unknown;
    this.#finish(status);
    stream.end(errorTrailers(status, errorMessage(error)));
  }

  // ---- StreamReceiver ----

  receiveData(piece: Buffer): void {
    if (this.#isEnded) return;
    const { onReceivedBytes, receiveBytesMax } = this.#context.options;
    onReceivedBytes?.(piece.length);
    let pending = this.#pending.length === 0 ? piece : Buffer.concat([this.#pending, piece]);
    try {
      while (pending.length >= 5 && !this.#isEnded) {
        const length = pending.readUInt32BE(1);
        if (length > receiveBytesMax) {
          throw new GrpcError(
            grpcStatus.resourceExhausted,
            `grpc: received message larger than max (${length} vs. ${receiveBytesMax})`,
          );
        }
        if (pending.length < 5 + length) break;
        const message = readSingle(this.#info.request, pending.subarray(0, 5 + length));
        pending = pending.subarray(5 + length);
        if (this.#counts) this.#counts.received++;
        this.#onMessage?.(message);
      }
    } catch (error) {
      pending = nothing;
      this.end(error);
    }
    this.#pending = pending;
  }

  receiveEnd(): void {
    if (!this.#isEnded) this.#onHalfClose?.();
  }

  streamDrained(): void {
    this.#onDrain?.();
  }

  streamClosed(): void {
    this.#pending = nothing;
    this.#finish(grpcStatus.canceled);
  }

  #respond(): void {
    if (!this.#stream.hasHeaders) this.#stream.respond(responseHead);
  }

  #finish(status: number): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const { clock, onHandled } = this.#context.options;
    onHandled?.(
      this.#info as unknown as MethodInfo<unknown, unknown>,
      status,
      clock.monotonic() - this.#started,
    );
    for (const listener of this.#closeListeners) listener();
  }
}
