import type { Clock, Deadlines, Logger, Span, Tracer } from '@pilothouse/base';
import type { ServerStream } from '@pilothouse/http2';
import type { MessageCodec, MessageInput, MethodInfo } from '@pilothouse/proto';

/** Headers by name in lower case; texts are bytes as characters. */
export type CallHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** One call as a handler sees it. */
export interface Call {
  readonly headers: CallHeaders;
  /** Common name of a verified client certificate. */
  readonly commonName: string | undefined;
  readonly isCancelled: boolean;
  /** Of a unary call that is recorded in a trace. */
  span?: Span | undefined;
  /** The call is over, by an answer or because its client left. */
  onClose(listener: () => void): void;
  /**
   * For answers that may be large: makes one when its connection has taken enough of the earlier ones. `make` tells the answer's
   * size in bytes. Without it the answer is made at once.
   */
  paced?<T>(make: () => readonly [answer: T, bytes: number]): T | Promise<T>;
}

export interface ServerStreamCall<Res> extends Call {
  /** Sends one message; false when the socket is behind: wait for {@link ServerStreamCall.onDrain}. */
  write(message: MessageInput<Res>): boolean;
  /** As {@link ServerStreamCall.write}, of a message that is encoded already, in parts. Not there where messages are not sent as they are. */
  writeParts?(parts: readonly Uint8Array[]): boolean;
  onDrain(listener: () => void): void;
}

export interface BidiCall<Req, Res> extends ServerStreamCall<Res> {
  /** `listener` may throw to end the call with that error. */
  onMessage(listener: (message: Req) => void): void;
  /** The client sends no more. */
  onHalfClose(listener: () => void): void;
  end(error?: unknown): void;
}

export type UnaryHandler<Req, Res> = (
  request: Req,
  call: Call,
) => Promise<MessageInput<Res>> | MessageInput<Res>;

export interface GrpcServerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Larger requests are refused with ResourceExhausted. */
  readonly receiveBytesMax: number;
  /** Called before each handler; may throw. */
  readonly intercept?: (info: MethodInfo<unknown, unknown>, headers: CallHeaders) => void;
  /** Work that must be done before any handler sees the call, such as checking a signed token; undefined when there is none. */
  readonly prepare?: (headers: CallHeaders) => Promise<void> | undefined;
  /** After each call; for metrics and slow-request logs. */
  readonly onHandled?: (info: MethodInfo<unknown, unknown>, status: number, durationMs: number) => void;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  /** Counts of messages of a method, kept up by its streams; a unary call has one each way. */
  readonly messageCounts?: (info: MethodInfo<unknown, unknown>) => MessageCounts;
  readonly onReceivedBytes?: (bytes: number) => void;
  readonly onSentBytes?: (bytes: number) => void;
}

export interface MessageCounts {
  received: number;
  sent: number;
}

/** What calls use of their server. */
export interface CallContext {
  readonly options: GrpcServerOptions;
  readonly deadlines: Deadlines;
  /** The frame of a message. */
  frame<T>(codec: MessageCodec<T>, message: MessageInput<T>): Uint8Array;
  /** Ends a call that has sent nothing yet with an error; gives its status. */
  failWith(stream: ServerStream, error: unknown): number;
}
