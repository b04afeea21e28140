import http2 from 'node:http2';
import type { Clock, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { EtcdError, grpcCode } from './errors.ts';
import { openSocket, type Endpoint, type EtcdTls } from './endpoint.ts';
import { limits } from './limits.ts';

/** A gRPC stream as the watch and lease code sees it. */
export interface GrpcStream {
  /** Sends one message. */
  write(message: Uint8Array): void;
  /** No more messages from this side. */
  end(): void;
  /** Cuts the stream; `onEnd` is not called. */
  cancel(): void;
}

export interface GrpcStreamHandlers {
  onMessage(message: Uint8Array): void;
  /** Once, when the stream is over: undefined for status OK. */
  onEnd(error: EtcdError | undefined): void;
}

export type Metadata = Readonly<Record<string, string>>;

const hasMessageHeader = 5;

/** gRPC's length-prefixed frame around a message. */
export function frame(message: Uint8Array): Buffer {
  const buffer = Buffer.allocUnsafe(hasMessageHeader + message.length);
  buffer[0] = 0;
  buffer.writeUInt32BE(message.length, 1);
  buffer.set(message, hasMessageHeader);
  return buffer;
}

/** Cuts a byte stream into gRPC messages. */
export class Deframer {
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer, onMessage: (message: Uint8Array) => void): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= hasMessageHeader) {
      let first = this.#chunks[0] as Buffer;
      if (first.length < hasMessageHeader) first = this.#join();
      const total = hasMessageHeader + first.readUInt32BE(1);
      if (this.#length < total) return;
      if (first[0] !== 0)
        throw new EtcdError(grpcCode.internal, 'Server sent a compressed message that was not asked for');
      if (first.length < total) first = this.#join();
      const message = first.subarray(hasMessageHeader, total);
      if (first.length === total) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(total);
      this.#length -= total;
      onMessage(message);
    }
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  #join(): Buffer {
    const joined = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}

/** One HTTP/2 session to one endpoint. Made connecting; dead for good once `onDown` fired. */
export class Connection {
  readonly endpoint: Endpoint;
  readonly #session: http2.ClientHttp2Session;
  readonly #clock: Clock;
  #keepAlive: Timer | undefined;
  #connectTimer: Timer | undefined;
  #isUp = false;
  #isDown = false;
  #lastError: Error | undefined;
  readonly #onDown: (connection: Connection, error: Error | undefined) => void;
  readonly #ready: Promise<void>;

  constructor(
    endpoint: Endpoint,
    options: {
      clock: Clock;
      tls: EtcdTls | undefined;
      onDown: (connection: Connection, error: Error | undefined) => void;
    },
  ) {
    this.endpoint = endpoint;
    this.#clock = options.clock;
    this.#onDown = options.onDown;
    const authority = `${endpoint.secure ? 'https' : 'http'}://${endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
    this.#session = http2.connect(authority, {
      createConnection: () => openSocket(endpoint, options.tls),
      settings: { enablePush: false, initialWindowSize: limits.windowBytes, maxFrameSize: 1 << 20 },
      maxSessionMemory: 1024,
      peerMaxConcurrentStreams: 2 ** 31 - 1,
    });
    this.#ready = new Promise((resolve, reject) => {
      this.#session.once('connect', () => {
        // The timer below may have ended it in the same turn.
        if (this.#session.destroyed) return;
        this.#isUp = true;
        this.#connectTimer?.cancel();
        this.#session.setLocalWindowSize(limits.windowBytes);
        this.#scheduleKeepAlive();
        resolve();
      });
      this.#session.once('close', () => reject(this.#notConnected()));
    });
    this.#ready.catch(() => {});
    this.#connectTimer = this.#clock.setTimeout(() => {
      this.#lastError = new Error(`no connection within ${limits.connectTimeoutMs} ms`);
      this.#session.destroy();
    }, limits.connectTimeoutMs);
    this.#session.on('error', (error: Error) => {
      this.#lastError = error;
    });
    // After GOAWAY running streams finish, new ones must go elsewhere.
    this.#session.on('goaway', () => this.#down());
    this.#session.on('close', () => this.#down());
  }

  get isUp(): boolean {
    return this.#isUp && !this.#isDown;
  }

  /** Resolves when requests can be sent; rejects with an EtcdError that is `notSent`. */
  ready(): Promise<void> {
    return this.#ready;
  }

  #notConnected(): EtcdError {
    const reason = this.#lastError === undefined ? 'connection closed' : errorMessage(this.#lastError);
    return new EtcdError(
      grpcCode.unavailable,
      `Cannot reach etcd endpoint "${this.endpoint.text}": ${reason}`,
      {
        notSent: true,
        cause: this.#lastError,
      },
    );
  }

  #down(): void {
    this.#connectTimer?.cancel();
    this.#keepAlive?.cancel();
    if (this.#isDown) return;
    this.#isDown = true;
    this.#onDown(this, this.#lastError);
    if (!this.#session.destroyed) this.#session.close();
  }

  #scheduleKeepAlive(): void {
    this.#keepAlive = this.#clock.setInterval(() => {
      if (this.#session.destroyed || this.#isDown) return;
      const timeout = this.#clock.setTimeout(() => {
        this.#lastError = new Error('keepalive ping was not answered');
        this.#session.destroy();
      }, limits.keepAliveTimeoutMs);
      try {
        this.#session.ping(() => timeout.cancel());
      } catch {
        timeout.cancel();
      }
    }, limits.keepAliveIntervalMs);
  }

  #request(path: string, metadata: Metadata, timeoutMs: number | undefined): http2.ClientHttp2Stream {
    if (this.#isDown || this.#session.destroyed) throw this.#notConnected();
    const headers: http2.OutgoingHttpHeaders = {
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'pilothouse-etcd-client',
      ...metadata,
    };
    if (timeoutMs !== undefined) headers['grpc-timeout'] = `${Math.max(1, Math.ceil(timeoutMs))}m`;
    return this.#session.request(headers, { endStream: false });
  }

  #track(
    stream: http2.ClientHttp2Stream,
    onMessage: (message: Uint8Array) => void,
    done: (error: EtcdError | undefined) => void,
  ): void {
    const deframer = new Deframer();
    let status: number | undefined;
    let text = '';
    let failure: Error | undefined;
    let answered = false;
    const readStatus = (headers: http2.IncomingHttpHeaders): void => {
      const value = headers['grpc-status'];
      if (value === undefined) return;
      status = Number(value);
      const message = headers['grpc-message'];
      text = typeof message === 'string' ? decodeGrpcMessage(message) : '';
    };
    stream.on('response', (headers) => {
      answered = true;
      readStatus(headers);
      if (headers[':status'] !== 200 && status === undefined) {
        status =
          headers[':status'] === 503 || headers[':status'] === 502 ? grpcCode.unavailable : grpcCode.unknown;
        text = `unexpected HTTP status code received from server: ${headers[':status']}`;
      }
    });
    stream.on('data', (chunk: Buffer) => {
      try {
        deframer.push(chunk, onMessage);
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error));
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
    });
    stream.on('trailers', readStatus);
    // The server is done; without this, a stream whose own side is still open would never close.
    stream.on('end', () => {
      if (!stream.closed && !stream.writableEnded) stream.close();
    });
    stream.on('error', (error) => {
      failure ??= error;
    });
    stream.on('close', () => {
      if (failure instanceof EtcdError) done(failure);
      else if (status === undefined) {
        const refused =
          stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM || (!answered && !this.#isUp);
        const reason =
          failure === undefined
            ? `stream ended without a status (code ${stream.rstCode})`
            : errorMessage(failure);
        done(
          new EtcdError(
            grpcCode.unavailable,
            `Connection to etcd endpoint "${this.endpoint.text}" broke: ${reason}`,
            {
              notSent: refused,
              cause: failure ?? this.#lastError,
            },
          ),
        );
      } else done(status === 0 ? undefined : new EtcdError(status, text));
    });
  }

  /** One request, one reply. The returned promise settles when the stream is closed. */
  unary(
    path: string,
    message: Uint8Array,
    options: { timeoutMs: number; metadata: Metadata; signal?: AbortSignal | undefined },
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const stream = this.#request(path, options.metadata, options.timeoutMs);
      let reply: Uint8Array | undefined;
      const timer = this.#clock.setTimeout(
        () => fail(new EtcdError(grpcCode.deadlineExceeded, 'context deadline exceeded')),
        options.timeoutMs,
      );
      let settled: EtcdError | undefined;
      const fail = (error: EtcdError): void => {
        settled = error;
        stream.close(http2.constants.NGHTTP2_CANCEL);
      };
      const onAbort = (): void => fail(new EtcdError(grpcCode.canceled, 'context canceled'));
      options.signal?.addEventListener('abort', onAbort, { once: true });
      this.#track(
        stream,
        (bytes) => (reply = bytes),
        (error) => {
          timer.cancel();
          options.signal?.removeEventListener('abort', onAbort);
          const problem = settled ?? error;
          if (problem !== undefined) reject(problem);
          else if (reply === undefined)
            reject(new EtcdError(grpcCode.internal, `Server answered ${path} without a message`));
          else resolve(reply);
        },
      );
      stream.end(frame(message));
    });
  }

  stream(path: string, metadata: Metadata, handlers: GrpcStreamHandlers): GrpcStream {
    const stream = this.#request(path, metadata, undefined);
    let cancelled = false;
    this.#track(
      stream,
      (message) => {
        if (!cancelled) handlers.onMessage(message);
      },
      (error) => {
        if (!cancelled) handlers.onEnd(error);
      },
    );
    return {
      write: (message) => void stream.write(frame(message)),
      end: () => void stream.end(),
      cancel: () => {
        cancelled = true;
        stream.close(http2.constants.NGHTTP2_CANCEL);
      },
    };
  }

  /** Closes at once; running calls end as unavailable. */
  close(): void {
    this.#isDown = true;
    this.#connectTimer?.cancel();
    this.#keepAlive?.cancel();
    this.#session.destroy();
  }
}

/** grpc-message is percent-encoded UTF-8. */
function decodeGrpcMessage(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
