import type http2 from 'node:http2';
import { isUtf8 } from 'node:buffer';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { WireError, Writer, type MessageCodec, type MessageInput, type MethodInfo } from '@pilothouse/proto';
import { grpcStatus, StoreError } from '../../core/index.ts';
import {
  commonNameOf,
  encodeGrpcMessage,
  endRequest,
  fail,
  GrpcError,
  parseTimeout,
  readSingle,
  responseHeaders,
} from './grpc-wire.ts';
import { SessionBacklog } from './session-backlog.ts';

export { GrpcError } from './grpc-wire.ts';

/** One call as a handler sees it. */
export interface Call {
  readonly headers: http2.IncomingHttpHeaders;
  /** Common name of a verified client certificate. */
  readonly commonName: string | undefined;
  readonly isCancelled: boolean;
  /** The call is over, by an answer or because its client left. */
  onClose(listener: () => void): void;
  /**
   * For answers that may be large: makes one when its connection has taken enough of the earlier ones. `make` tells the answer's
   * size in bytes. Without it the answer is made at once.
   */
  readonly paced?: <T>(make: () => readonly [answer: T, bytes: number]) => T | Promise<T>;
}

export interface ServerStreamCall<Res> extends Call {
  /** Sends one message; false when the socket is behind: wait for {@link ServerStreamCall.onDrain}. */
  write(message: MessageInput<Res>): boolean;
  onDrain(listener: () => void): void;
}

export interface BidiCall<Req, Res> extends ServerStreamCall<Res> {
  /** `listener` may throw to end the call with that error. */
  onMessage(listener: (message: Req) => void): void;
  /** The client sends no more. */
  onHalfClose(listener: () => void): void;
  end(error?: unknown): void;
}

type UnaryHandler<Req, Res> = (request: Req, call: Call) => Promise<MessageInput<Res>> | MessageInput<Res>;

interface Registered {
  readonly info: MethodInfo<unknown, unknown>;
  /** For callers inside the process. */
  readonly unary?: UnaryHandler<never, never>;
  readonly open?: (call: BidiCall<never, never>) => void;
  serve(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void;
}

export interface GrpcServerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Larger requests are refused with ResourceExhausted. */
  readonly receiveBytesMax: number;
  /** Called before each handler; may throw. */
  readonly intercept?: (info: MethodInfo<unknown, unknown>, headers: http2.IncomingHttpHeaders) => void;
  /** Work that must be done before any handler sees the call, such as checking a signed token; undefined when there is none. */
  readonly prepare?: (headers: http2.IncomingHttpHeaders) => Promise<void> | undefined;
  /** After each call; for metrics and slow-request logs. */
  readonly onHandled?: (info: MethodInfo<unknown, unknown>, status: number, durationMs: number) => void;
  readonly onReceivedBytes?: (bytes: number) => void;
  readonly onSentBytes?: (bytes: number) => void;
}

const okTrailers = { 'grpc-status': '0' };
/** A stream with this much unsent data counts as slow. */
const streamBufferBytes = 256 * 1024;

/**
 * gRPC over Node's HTTP/2 and nothing more: unary, server-streaming and bidirectional methods with generated codecs.
 * Several times the throughput of a general library on the small calls that a key-value store lives on (ADR 0004).
 */
export class GrpcServer {
  readonly #methods = new Map<string, Registered>();
  readonly #options: GrpcServerOptions;
  readonly #writer = new Writer(65536);
  readonly #backlog = new SessionBacklog();

  constructor(options: GrpcServerOptions) {
    this.#options = options;
  }

  unary<Req, Res>(info: MethodInfo<Req, Res>, handler: UnaryHandler<Req, Res>): void {
    this.#methods.set(info.path, {
      info: info as unknown as MethodInfo<unknown, unknown>,
      unary: handler as unknown as UnaryHandler<never, never>,
      serve: (stream, headers) => this.#serveUnary(info, handler, stream, headers),
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
      serve: (stream, headers) => handler(this.#openCall(info, stream, headers)),
    });
  }

  /** True when `path` names a method of a service that this server has. */
  has(path: string): boolean {
    return this.#methods.has(path);
  }

  /** What must be awaited before a call with these headers is made by {@link callUnary} or {@link callStream}. */
  async prepare(headers: http2.IncomingHttpHeaders): Promise<void> {
    await this.#options.prepare?.(headers);
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
  handle(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    stream.on('error', () => {});
    const path = headers[':path'] ?? '';
    const method = this.#methods.get(path);
    if (method === undefined) {
      const [, service = '', name = ''] = path.split('/');
      const known = [...this.#methods.values()].some(({ info }) => info.service === service);
      fail(
        stream,
        grpcStatus.unimplemented,
        known ? `unknown method ${name} for service ${service}` : `unknown service ${service}`,
      );
      stream.resume();
      return;
    }
    try {
      const version = headers['client-api-version'];
      if (typeof version === 'string' && !isUtf8(Buffer.from(version, 'latin1')))
        throw new StoreError('invalidClientApiVersion');
      this.#options.intercept?.(method.info, headers);
    } catch (error) {
      const status = this.#failWith(stream, error);
      this.#options.onHandled?.(method.info, status, 0);
      stream.resume();
      return;
    }
    const preparation = this.#options.prepare?.(headers);
    if (preparation === undefined) {
      method.serve(stream, headers);
      return;
    }
    preparation.then(
      () => {
        if (!stream.destroyed) method.serve(stream, headers);
      },
      (error: unknown) => {
        this.#options.onHandled?.(method.info, this.#failWith(stream, error), 0);
        stream.resume();
      },
    );
  }

  /** The frame of a message. */
  #frame<T>(codec: MessageCodec<T>, message: MessageInput<T>): Uint8Array {
    const writer = this.#writer;
    writer.reset();
    writer.skip(5);
    codec.write(message, writer);
    const length = writer.length - 5;
    writer.patch(0, 0);
    writer.patch(1, length >>> 24);
    writer.patch(2, length >>> 16);
    writer.patch(3, length >>> 8);
    writer.patch(4, length);
    const frame = writer.finish();
    this.#options.onSentBytes?.(frame.length);
    return frame;
  }

  #failWith(stream: http2.ServerHttp2Stream, error: unknown): number {
    if (error instanceof StoreError || error instanceof GrpcError) {
      fail(stream, error.grpcStatus, error.message);
      return error.grpcStatus;
    }
    if (error instanceof WireError) {
      fail(stream, grpcStatus.internal, `grpc: error unmarshalling request: ${error.message}`);
      return grpcStatus.internal;
    }
    this.#options.logger.error('Request handler failed', {
      error: errorMessage(error),
      stack: (error as Error | undefined)?.stack,
    });
    fail(stream, grpcStatus.unknown, errorMessage(error));
    return grpcStatus.unknown;
  }

  #serveUnary<Req, Res>(
    info: MethodInfo<Req, Res>,
    handler: UnaryHandler<Req, Res>,
    stream: http2.ServerHttp2Stream,
    headers: http2.IncomingHttpHeaders,
  ): void {
    const started = this.#options.clock.monotonic();
    const { onHandled, onReceivedBytes, receiveBytesMax } = this.#options;
    const anyInfo = info as unknown as MethodInfo<unknown, unknown>;
    let first: Buffer | undefined;
    let rest: Buffer[] | undefined;
    let size = 0;
    let isDone = false;
    let isCounted = false;
    const paced = <T>(make: () => readonly [T, number]): T | Promise<T> => {
      if (this.#backlog.isFull(stream))
        return new Promise<void>((resume) => this.#backlog.wait(stream, resume)).then(() => paced(make));
      const [answer, bytes] = make();
      this.#backlog.add(stream, bytes);
      isCounted = true;
      return answer;
    };
    const finish = (status: number): void => {
      if (isDone) return;
      isDone = true;
      onHandled?.(anyInfo, status, this.#options.clock.monotonic() - started);
    };
    const reject = (error: unknown): void => {
      if (!isDone && !stream.destroyed) finish(this.#failWith(stream, error));
      else finish(grpcStatus.canceled);
    };
    const resolve = (response: MessageInput<Res>): void => {
      if (isDone || stream.destroyed) {
        finish(grpcStatus.canceled);
        return;
      }
      stream.respond(responseHeaders, { waitForTrailers: true });
      stream.on('wantTrailers', sendOkTrailers);
      const frame = this.#frame(info.response, response);
      if (!isCounted) this.#backlog.add(stream, frame.length);
      stream.end(frame);
      finish(grpcStatus.ok);
    };
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      onReceivedBytes?.(chunk.length);
      if (size > receiveBytesMax + 5) {
        if (!isDone) {
          const length = first !== undefined && first.length >= 5 ? first.readUInt32BE(1) : size - 5;
          finish(grpcStatus.resourceExhausted);
          fail(
            stream,
            grpcStatus.resourceExhausted,
            `grpc: received message larger than max (${length} vs. ${receiveBytesMax})`,
          );
        }
        return;
      }
      if (first === undefined) first = chunk;
      else (rest ??= [first]).push(chunk);
    });
    const onEnd = (): void => {
      if (isDone || stream.destroyed) return;
      // A client that asks on without taking its answers waits with what it has asked.
      if (this.#backlog.isFull(stream)) {
        this.#backlog.wait(stream, onEnd);
        return;
      }
      try {
        const bytes = rest === undefined ? first : Buffer.concat(rest);
        const request = readSingle(info.request, bytes);
        const call: Call = {
          headers,
          get commonName() {
            return commonNameOf(stream);
          },
          get isCancelled() {
            return stream.destroyed;
          },
          onClose: (listener) => void stream.on('close', listener),
          paced,
        };
        const result = handler(request, call);
        if (!(result instanceof Promise)) {
          resolve(result as MessageInput<Res>);
          return;
        }
        const timeoutMs = parseTimeout(headers['grpc-timeout']);
        const timer =
          timeoutMs === undefined
            ? undefined
            : this.#options.clock.setTimeout(
                () => reject(new GrpcError(grpcStatus.deadlineExceeded, 'context deadline exceeded')),
                timeoutMs,
              );
        result.then(
          (response) => {
            timer?.cancel();
            resolve(response as MessageInput<Res>);
          },
          (error: unknown) => {
            timer?.cancel();
            reject(error);
          },
        );
      } catch (error) {
        reject(error);
      }
    };
    stream.on('end', onEnd);
    stream.on('aborted', () => finish(grpcStatus.canceled));
  }

  #openCall<Req, Res>(
    info: MethodInfo<Req, Res>,
    stream: http2.ServerHttp2Stream,
    headers: http2.IncomingHttpHeaders,
  ): BidiCall<Req, Res> {
    const started = this.#options.clock.monotonic();
    const { onReceivedBytes, receiveBytesMax } = this.#options;
    let pending: Buffer = Buffer.alloc(0);
    let onMessage: ((message: Req) => void) | undefined;
    let onHalfClose: (() => void) | undefined;
    const closeListeners: (() => void)[] = [];
    let isEnded = false;
    let isResponded = false;
    let isCorked = false;
    let trailers: http2.OutgoingHttpHeaders = okTrailers;
    const finish = (status: number): void => {
      if (isEnded) return;
      isEnded = true;
      this.#options.onHandled?.(
        info as unknown as MethodInfo<unknown, unknown>,
        status,
        this.#options.clock.monotonic() - started,
      );
      for (const listener of closeListeners) listener();
    };
    const respond = (): void => {
      if (isResponded) return;
      isResponded = true;
      stream.respond(responseHeaders, { waitForTrailers: true });
      stream.on('wantTrailers', () => {
        stream.sendTrailers(trailers);
        endRequest(stream);
      });
    };
    const end = (error?: unknown): void => {
      if (isEnded) return;
      if (stream.destroyed) {
        finish(grpcStatus.canceled);
        return;
      }
      if (error === undefined) {
        respond();
        stream.end();
        finish(grpcStatus.ok);
        return;
      }
      if (!isResponded) {
        finish(this.#failWith(stream, error));
        return;
      }
      const status =
        error instanceof StoreError || error instanceof GrpcError ? error.grpcStatus : grpcStatus.unknown;
      trailers = { 'grpc-status': String(status), 'grpc-message': encodeGrpcMessage(errorMessage(error)) };
      stream.end();
      finish(status);
    };
    stream.on('data', (chunk: Buffer) => {
      if (isEnded) return;
      onReceivedBytes?.(chunk.length);
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      try {
        while (pending.length >= 5 && !isEnded) {
          const length = pending.readUInt32BE(1);
          if (length > receiveBytesMax) {
            throw new GrpcError(
              grpcStatus.resourceExhausted,
              `grpc: received message larger than max (${length} vs. ${receiveBytesMax})`,
            );
          }
          if (pending.length < 5 + length) break;
          const message = readSingle(info.request, pending.subarray(0, 5 + length));
          pending = pending.subarray(5 + length);
          onMessage?.(message);
        }
      } catch (error) {
        end(error);
      }
    });
    stream.on('end', () => {
      if (!isEnded) onHalfClose?.();
    });
    stream.on('close', () => finish(grpcStatus.canceled));
    return {
      headers,
      get commonName() {
        return commonNameOf(stream);
      },
      get isCancelled() {
        return isEnded || stream.destroyed;
      },
      write: (message) => {
        if (isEnded || stream.destroyed) return false;
        respond();
        // What one turn has to say to a stream, such as the events of its many watches, leaves in one piece.
        if (!isCorked) {
          isCorked = true;
          stream.cork();
          queueMicrotask(() => {
            isCorked = false;
            stream.uncork();
          });
        }
        stream.write(this.#frame(info.response, message));
        return stream.writableLength < streamBufferBytes;
      },
      onDrain: (listener) => void stream.on('drain', listener),
      onClose: (listener) => void closeListeners.push(listener),
      onMessage: (listener) => {
        onMessage = listener;
      },
      onHalfClose: (listener) => {
        onHalfClose = listener;
      },
      end,
    };
  }
}

function sendOkTrailers(this: http2.ServerHttp2Stream): void {
  this.sendTrailers(okTrailers);
}
