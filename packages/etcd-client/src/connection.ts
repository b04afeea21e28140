import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '@pilothouse/base';
import { Deadlines, errorMessage } from '@pilothouse/base';
import { ClientSession, headerBlock, type StreamHandler } from '@pilothouse/http2';
import { EtcdError, grpcCode } from './errors.ts';
import { openSocket, type Endpoint, type EtcdTls } from './endpoint.ts';
import { limits } from './limits.ts';
import { SilenceWatch } from './silence-watch.ts';

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
const nothing = new Uint8Array(0);

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

/** Opens the byte stream to an endpoint; tests have one of their own. */
export type Dial = (endpoint: Endpoint, tls: EtcdTls | undefined) => Duplex;

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly tls: EtcdTls | undefined;
  readonly onDown: (connection: Connection, error: Error | undefined) => void;
  /** Set where there are other endpoints to go to: told when the server stands still. */
  readonly silence?: {
    onQuiet(connection: Connection): void;
    onSilent(connection: Connection): void;
  };
  readonly dial?: Dial;
}

const healthPath = '/grpc.health.v1.Health/Check';

/** One HTTP/2 session to one endpoint. Made connecting; dead for good once `onDown` fired. */
export class Connection {
  readonly endpoint: Endpoint;
  readonly #session: ClientSession;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  #keepAlive: Timer | undefined;
  #silence: SilenceWatch | undefined;
  #calls = 0;
  #connectTimer: Timer | undefined;
  #isUp = false;
  #isDown = false;
  #lastError: Error | undefined;
  readonly #onDown: (connection: Connection, error: Error | undefined) => void;
  readonly #ready: Promise<void>;
  /** Header blocks of calls, by path. */
  readonly #heads = new Map<string, Buffer>();
  #timeoutText = '';
  #timeoutHead: Buffer = Buffer.alloc(0);

  constructor(endpoint: Endpoint, options: ConnectionOptions) {
    this.endpoint = endpoint;
    this.#clock = options.clock;
    this.#deadlines = new Deadlines(options.clock);
    this.#onDown = options.onDown;
    const socket = (options.dial ?? openSocket)(endpoint, options.tls);
    this.#ready = new Promise((resolve, reject) => {
      socket.once(endpoint.secure ? 'secureConnect' : 'connect', () => {
        // The timer below may have ended it in the same turn.
        if (socket.destroyed) return;
        this.#isUp = true;
        this.#connectTimer?.cancel();
        this.#scheduleKeepAlive();
        if (options.silence !== undefined) this.#watchSilence(options.silence);
        resolve();
      });
      socket.once('close', () => reject(this.#notConnected()));
    });
    this.#ready.catch(() => {});
    this.#session = new ClientSession(socket, {
      windowBytes: limits.windowBytes,
      // After GOAWAY running streams finish, new ones must go elsewhere.
      onGoAway: () => this.#down(),
      onClose: (error) => {
        this.#lastError ??= error;
        this.#deadlines.clear();
        this.#silence?.stop();
        this.#down();
      },
    });
    const connectMs = options.silence === undefined ? limits.connectTimeoutMs : limits.connectElsewhereMs;
    this.#connectTimer = this.#clock.setTimeout(() => {
      this.#lastError = new Error(`no connection within ${connectMs} ms`);
      this.#session.destroy();
    }, connectMs);
  }

  /** The server has spoken, be it only its greeting. */
  get isAudible(): boolean {
    return this.isUp && this.#session.received > 0;
  }

  #watchSilence(silence: NonNullable<ConnectionOptions['silence']>): void {
    const session = this.#session;
    const calls = (): number => this.#calls;
    this.#silence = new SilenceWatch(this.#clock, {
      get received() {
        return session.received;
      },
      get answers() {
        return session.answers;
      },
      get streams() {
        return session.streams;
      },
      get calls() {
        return calls();
      },
      ping: () => session.ping(() => {}),
      ask: () => {
        if (this.#isDown || session.isDown) return;
        this.unary(healthPath, nothing, { timeoutMs: limits.requestTimeoutMs, metadata: {} }).catch(() => {});
      },
      onQuiet: () => silence.onQuiet(this),
      onSilent: () => silence.onSilent(this),
    });
  }

  /** Ends it because of `reason`; running calls end as unavailable. */
  abandon(reason: string): void {
    this.#lastError ??= new Error(reason);
    this.#session.destroy();
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
    this.#session.close();
  }

  #scheduleKeepAlive(): void {
    this.#keepAlive = this.#clock.setInterval(() => {
      if (this.#isDown || this.#session.isDown) return;
      const timeout = this.#clock.setTimeout(() => {
        this.#lastError = new Error('keepalive ping was not answered');
        this.#session.destroy();
      }, limits.keepAliveTimeoutMs);
      this.#session.ping(() => timeout.cancel());
    }, limits.keepAliveIntervalMs);
  }

  /** The header block of a call, which is the same for all calls of a path but for their deadline. */
  #head(path: string, metadata: Metadata): Buffer {
    let head = this.#heads.get(path);
    if (head === undefined) {
      const { host, port, secure } = this.endpoint;
      head = headerBlock([
        [':method', 'POST'],
        [':scheme', secure ? 'https' : 'http'],
        [':path', path],
        [':authority', `${host.includes(':') ? `[${host}]` : host}:${port}`],
        ['content-type', 'application/grpc'],
        ['te', 'trailers'],
        ['user-agent', 'pilothouse-etcd-client'],
        ...Object.entries(metadata),
      ]);
      this.#heads.set(path, head);
    }
    return head;
  }

  #deadlineHead(timeoutMs: number): Buffer {
    const text = `${Math.max(1, Math.ceil(timeoutMs))}m`;
    if (text !== this.#timeoutText) {
      this.#timeoutText = text;
      this.#timeoutHead = headerBlock([['grpc-timeout', text]]);
    }
    return this.#timeoutHead;
  }

  /** A call's side of a stream: cuts messages and tells how it ended. */
  #handler(
    onMessage: (message: Uint8Array) => void,
    done: (error: EtcdError | undefined) => void,
    cancel: () => void,
  ): StreamHandler {
    const deframer = new Deframer();
    let status: number | undefined;
    let text = '';
    return {
      onHeaders: ({ httpStatus, grpcStatus, grpcMessage }) => {
        if (grpcStatus !== undefined) {
          status = Number(grpcStatus);
          text = grpcMessage === undefined ? '' : decodeGrpcMessage(grpcMessage);
        } else if (httpStatus !== undefined && httpStatus !== 200) {
          status = httpStatus === 503 || httpStatus === 502 ? grpcCode.unavailable : grpcCode.unknown;
          text = `unexpected HTTP status code received from server: ${httpStatus}`;
        }
      },
      onData: (piece) => {
        try {
          deframer.push(piece, onMessage);
        } catch (error) {
          cancel();
          if (error instanceof EtcdError) done(error);
          else done(this.#broken(errorMessage(error), false, error));
        }
      },
      onEnd: ({ code, isUnprocessed }) => {
        if (status !== undefined) done(status === 0 ? undefined : new EtcdError(status, text));
        else if (code === undefined && this.#lastError !== undefined)
          done(this.#broken(errorMessage(this.#lastError), isUnprocessed, this.#lastError));
        else
          done(this.#broken(`stream ended without a status (code ${code ?? 0})`, isUnprocessed, undefined));
      },
    };
  }

  #broken(reason: string, notSent: boolean, cause: unknown): EtcdError {
    return new EtcdError(
      grpcCode.unavailable,
      `Connection to etcd endpoint "${this.endpoint.text}" broke: ${reason}`,
      { notSent, cause },
    );
  }

  /** One request, one reply. The returned promise settles when the stream is closed. */
  unary(
    path: string,
    message: Uint8Array,
    options: {
      timeoutMs: number;
      metadata: Metadata;
      signal?: AbortSignal | undefined;
      traceparent?: string | undefined;
    },
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#isDown || this.#session.isDown) throw this.#notConnected();
      let reply: Uint8Array | undefined;
      const { signal, traceparent } = options;
      const head = [this.#head(path, options.metadata), this.#deadlineHead(options.timeoutMs)];
      const settle = (): void => {
        this.#calls--;
        place.leave();
        signal?.removeEventListener('abort', onAbort);
      };
      const giveUp = (error: EtcdError): void => {
        settle();
        stream.cancel();
        reject(error);
      };
      const onAbort = (): void => giveUp(new EtcdError(grpcCode.canceled, 'context canceled'));
      const stream = this.#session.request(
        traceparent === undefined ? head : [...head, headerBlock([['traceparent', traceparent]])],
        this.#handler(
          (bytes) => (reply = bytes),
          (error) => {
            settle();
            if (error !== undefined) reject(error);
            else if (reply === undefined)
              reject(new EtcdError(grpcCode.internal, `Server answered ${path} without a message`));
            else resolve(reply);
          },
          () => stream.cancel(),
        ),
      );
      this.#calls++;
      const place = this.#deadlines.add({
        at: this.#clock.monotonic() + options.timeoutMs,
        onOver: () => giveUp(new EtcdError(grpcCode.deadlineExceeded, 'context deadline exceeded')),
      });
      signal?.addEventListener('abort', onAbort, { once: true });
      stream.write(frame(message), true);
    });
  }

  stream(path: string, metadata: Metadata, handlers: GrpcStreamHandlers): GrpcStream {
    if (this.#isDown || this.#session.isDown) throw this.#notConnected();
    let cancelled = false;
    const stream = this.#session.request(
      [this.#head(path, metadata)],
      this.#handler(
        (message) => {
          if (!cancelled) handlers.onMessage(message);
        },
        (error) => {
          if (!cancelled) handlers.onEnd(error);
        },
        () => stream.cancel(),
      ),
    );
    return {
      write: (message) => stream.write(frame(message), false),
      end: () => stream.end(),
      cancel: () => {
        cancelled = true;
        stream.cancel();
      },
    };
  }

  /** Closes at once; running calls end as unavailable. */
  /** No more calls; ends with the last stream that runs on it. */
  retire(): void {
    this.#session.close();
  }

  close(): void {
    this.#isDown = true;
    this.#connectTimer?.cancel();
    this.#keepAlive?.cancel();
    this.#silence?.stop();
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
