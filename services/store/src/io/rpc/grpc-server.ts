import { isUtf8 } from 'node:buffer';
import { Deadlines, errorMessage } from '@pilothouse/base';
import type { ServerStream, StreamReceiver } from '@pilothouse/http2';
import { WireError, Writer, type MessageCodec, type MessageInput, type MethodInfo } from '@pilothouse/proto';
import { grpcStatus, StoreError } from '../../core/index.ts';
import type {
  BidiCall,
  Call,
  CallContext,
  CallHeaders,
  GrpcServerOptions,
  ServerStreamCall,
  UnaryHandler,
} from './call.ts';
import { fail, GrpcError, messageFrame } from './grpc-wire.ts';
import { StreamCall } from './stream-call.ts';
import { traced } from './traced.ts';
import { UnaryCall } from './unary-call.ts';

export type { BidiCall, Call, CallHeaders, GrpcServerOptions, ServerStreamCall } from './call.ts';
export { GrpcError } from './grpc-wire.ts';

interface Registered {
  readonly info: MethodInfo<unknown, unknown>;
  /** For callers inside the process. */
  readonly unary?: UnaryHandler<never, never>;
  readonly open?: (call: BidiCall<never, never>) => void;
  serve(stream: ServerStream, headers: CallHeaders): void;
}

/**
 * gRPC over our own HTTP/2 and nothing more: unary, server-streaming and bidirectional methods with generated codecs.
 * Several times the throughput of a general library on the small calls that a key-value store lives on (ADR 0004, 0021).
 */
export class GrpcServer implements CallContext {
  readonly #methods = new Map<string, Registered>();
  readonly options: GrpcServerOptions;
  readonly deadlines: Deadlines;
  readonly #writer = new Writer(65536);

  constructor(options: GrpcServerOptions) {
    this.options = options;
    this.deadlines = new Deadlines(options.clock);
  }

  unary<Req, Res>(info: MethodInfo<Req, Res>, plain: UnaryHandler<Req, Res>): void {
    const { tracer } = this.options;
    const handler = tracer === undefined ? plain : traced(tracer, info.path.slice(1), plain);
    this.#methods.set(info.path, {
      info: info as unknown as MethodInfo<unknown, unknown>,
      unary: handler as unknown as UnaryHandler<never, never>,
      serve: (stream, headers) => void new UnaryCall(this, info, handler, stream, headers),
    });
  }

  /** The call ends when the handler's promise settles. */
  serverStream<Req, Res>(
    info: MethodInfo<Req, Res>,
    handler: (request: Req, call: ServerStreamCall<Res>) => Promise<void>,
  ): void {
    this.bidi(info, (call) => {
      let request: Req | undefined;
      call.onMessage((message) => (request = message));
      call.onHalfClose(() => {
        if (request === undefined) {
          call.end(new GrpcError(grpcStatus.internal, 'Request stream ended without a message'));
          return;
        }
        handler(request, call).then(
          () => call.end(),
          (error: unknown) => call.end(error),
        );
      });
    });
  }

  bidi<Req, Res>(info: MethodInfo<Req, Res>, handler: (call: BidiCall<Req, Res>) => void): void {
    this.#methods.set(info.path, {
      info: info as unknown as MethodInfo<unknown, unknown>,
      open: handler as unknown as (call: BidiCall<never, never>) => void,
      serve: (stream, headers) => handler(new StreamCall(this, info, stream, headers)),
    });
  }

  /** True when `path` names a method of a service that this server has. */
  has(path: string): boolean {
    return this.#methods.has(path);
  }

  get methods(): readonly MethodInfo<unknown, unknown>[] {
    return [...this.#methods.values()].map(({ info }) => info);
  }

  /** What must be awaited before a call with these headers is made by {@link callUnary} or {@link callStream}. */
  async prepare(headers: CallHeaders): Promise<void> {
    await this.options.prepare?.(headers);
  }

  /** Calls a unary method without gRPC's wire; for the JSON gateway and for services that are made of others. */
  async callUnary<Req, Res>(
    info: MethodInfo<Req, Res>,
    request: Req,
    call: Call,
  ): Promise<MessageInput<Res>> {
    const handler = this.#methods.get(info.path)?.unary as unknown as UnaryHandler<Req, Res> | undefined;
    if (handler === undefined)
      throw new GrpcError(
        grpcStatus.unimplemented,
        `unknown method ${info.method} for service ${info.service}`,
      );
    return handler(request, call);
  }

  /** Runs a streaming method on a call that is not gRPC's. */
  callStream(info: MethodInfo<never, never>, call: BidiCall<never, never>): void {
    const open = this.#methods.get(info.path)?.open;
    if (open === undefined)
      call.end(
        new GrpcError(grpcStatus.unimplemented, `unknown method ${info.method} for service ${info.service}`),
      );
    else open(call);
  }

  /** Takes over a request stream. */
  handle(stream: ServerStream, headers: CallHeaders): void {
    const path = typeof headers[':path'] === 'string' ? headers[':path'] : '';
    const method = this.#methods.get(path);
    if (method === undefined) {
      const [, service = '', name = ''] = path.split('/');
      const known = [...this.#methods.values()].some(({ info }) => info.service === service);
      fail(
        stream,
        grpcStatus.unimplemented,
        known ? `unknown method ${name} for service ${service}` : `unknown service ${service}`,
      );
      return;
    }
    try {
      const version = headers['client-api-version'];
      if (typeof version === 'string' && !isUtf8(Buffer.from(version, 'latin1')))
        throw new StoreError('invalidClientApiVersion');
      this.options.intercept?.(method.info, headers);
    } catch (error) {
      const status = this.failWith(stream, error);
      this.options.onHandled?.(method.info, status, 0);
      return;
    }
    const preparation = this.options.prepare?.(headers);
    if (preparation === undefined) {
      method.serve(stream, headers);
      return;
    }
    const early = new EarlyRequest();
    stream.receiver = early;
    stream.pause();
    preparation.then(
      () => {
        if (stream.isClosed) return;
        method.serve(stream, headers);
        early.handOn(stream);
        stream.resume();
      },
      (error: unknown) => {
        this.options.onHandled?.(method.info, this.failWith(stream, error), 0);
      },
    );
  }

  frame<T>(codec: MessageCodec<T>, message: MessageInput<T>): Uint8Array {
    const frame = messageFrame(codec, message, this.#writer);
    this.options.onSentBytes?.(frame.length);
    return frame;
  }

  failWith(stream: ServerStream, error: unknown): number {
    if (error instanceof StoreError || error instanceof GrpcError) {
      fail(stream, error.grpcStatus, error.message);
      return error.grpcStatus;
    }
    if (error instanceof WireError) {
      fail(stream, grpcStatus.internal, `grpc: error unmarshalling request: ${error.message}`);
      return grpcStatus.internal;
    }
    this.options.logger.error('Request handler failed', {
      error: errorMessage(error),
      stack: (error as Error | undefined)?.stack,
    });
    fail(stream, grpcStatus.unknown, errorMessage(error));
    return grpcStatus.unknown;
  }
}

/** Keeps what arrives of a request while its caller is being checked. */
class EarlyRequest implements StreamReceiver {
  readonly #pieces: Buffer[] = [];
  #isComplete = false;

  receiveData(piece: Buffer): void {
    this.#pieces.push(piece);
  }

  receiveEnd(): void {
    this.#isComplete = true;
  }

  streamClosed(): void {
    this.#pieces.length = 0;
  }

  handOn(stream: ServerStream): void {
    for (const piece of this.#pieces) stream.receiver?.receiveData(piece);
    if (this.#isComplete && !stream.isClosed) stream.receiver?.receiveEnd(undefined);
  }
}
