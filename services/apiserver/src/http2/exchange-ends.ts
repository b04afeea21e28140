import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHeaders, ServerStream } from '@pilothouse/http2';
import { errorCode, repeatedFields } from '@pilothouse/http2';
import { answerHead, type HeaderValue } from './answer-head.ts';
import { ExchangeStream } from './exchange-stream.ts';

type Listener = (...parameters: unknown[]) => void;

/** Headers inherit nothing, and V8 does not make a hash table of them as it does without a prototype. */
const noMembers = Object.freeze(Object.create(null) as object);
/** Statuses whose answers have no body. */
const bodiless = new Set([204, 205, 304]);
/** Events that are those of the request's body. */
const bodyEvents = new Set(['data', 'end', 'readable', 'error', 'pause', 'resume']);

/** What both ends share: events and state are those of the stream. */
abstract class End {
  protected readonly shared: ExchangeStream;

  constructor(shared: ExchangeStream) {
    this.shared = shared;
  }

  get socket(): unknown {
    return this.shared.stream.connection.owner;
  }

  get connection(): unknown {
    return this.socket;
  }

  get destroyed(): boolean {
    return this.shared.isDestroyed;
  }

  destroy(_error?: Error): this {
    this.shared.destroy();
    return this;
  }

  on(event: string, listener: Listener): this {
    this.shared.on(event, listener);
    return this;
  }

  once(event: string, listener: Listener): this {
    this.shared.once(event, listener);
    return this;
  }

  off(event: string, listener: Listener): this {
    this.shared.off(event, listener);
    return this;
  }

  prependListener(event: string, listener: Listener): this {
    this.shared.prependListener(event, listener);
    return this;
  }

  emit(event: string, ...parameters: unknown[]): boolean {
    return this.shared.emit(event, ...parameters);
  }

  listenerCount(event: string): number {
    return this.shared.listenerCount(event);
  }

  addListener(event: string, listener: Listener): this {
    return this.on(event, listener);
  }

  removeListener(event: string, listener: Listener): this {
    return this.off(event, listener);
  }
}

/** A request of HTTP/2 with the members of an IncomingMessage. */
export class Http2Request extends End {
  /** Shared by all requests that are alike: who changes them gives the request others. */
  headers: RequestHeaders;
  readonly #repeated: RequestHeaders[typeof repeatedFields];
  readonly method: string | undefined;
  url: string | undefined;
  readonly httpVersion = '2.0';
  readonly httpVersionMajor = 2;
  readonly httpVersionMinor = 0;

  constructor(shared: ExchangeStream, headers: RequestHeaders) {
    super(shared);
    this.headers = headers;
    this.#repeated = headers[repeatedFields];
    this.method = headers[':method'];
    this.url = headers[':path'];
  }

  /** Has the client open another connection; its requests on this one are still answered. */
  leaveConnection(): void {
    this.shared.stream.connection.shutdown();
  }

  /** Lets the client send all of its body, also after the answer; whoever calls this reads it, and calls {@link stop} in time. */
  linger(): void {
    this.shared.stream.lingers = true;
  }

  /** Has the client stop sending: the answer is complete. */
  stop(): void {
    this.shared.stream.reset(errorCode.noError);
  }

  /** As Node's: each value by itself. */
  get headersDistinct(): Record<string, string[]> {
    const distinct = Object.create(null) as Record<string, string[]>;
    for (const [name, value] of Object.entries(this.headers))
      distinct[name] = [...(this.#repeated?.[name] ?? [value ?? ''])];
    return distinct;
  }

  get rawHeaders(): string[] {
    return Object.entries(this.headers).flatMap(([name, value]) => [name, value ?? '']);
  }

  get readable(): boolean {
    return this.shared.hasBody ? this.shared.body.readable : !this.shared.isDestroyed;
  }

  get readableEnded(): boolean {
    return this.shared.isBodyRead;
  }

  get readableFlowing(): boolean | null {
    return this.shared.hasBody ? this.shared.body.readableFlowing : null;
  }

  get complete(): boolean {
    return this.shared.isComplete;
  }

  get aborted(): boolean {
    return this.shared.isAborted;
  }

  get trailers(): Record<string, string> {
    return {};
  }

  override on(event: string, listener: Listener): this {
    if (!bodyEvents.has(event)) return super.on(event, listener);
    this.shared.body.on(event, listener);
    return this;
  }

  override once(event: string, listener: Listener): this {
    if (!bodyEvents.has(event)) return super.once(event, listener);
    this.shared.body.once(event, listener);
    return this;
  }

  override off(event: string, listener: Listener): this {
    if (!bodyEvents.has(event)) return super.off(event, listener);
    if (this.shared.hasBody) this.shared.body.off(event, listener);
    return this;
  }

  pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    return this.shared.body.pipe(destination, options);
  }

  unpipe(destination?: NodeJS.WritableStream): this {
    this.shared.body.unpipe(destination);
    return this;
  }

  read(size?: number): unknown {
    return this.shared.body.read(size);
  }

  setEncoding(encoding: BufferEncoding): this {
    this.shared.body.setEncoding(encoding);
    return this;
  }

  pause(): this {
    this.shared.body.pause();
    return this;
  }

  resume(): this {
    this.shared.body.resume();
    return this;
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return this.shared.body[Symbol.asyncIterator]();
  }
}

/** An answer of HTTP/2 with the members of a ServerResponse. */
class Http2Response extends End {
  readonly req: Http2Request;
  statusCode = 200;
  statusMessage = '';
  sendDate = true;
  readonly #headers = Object.create(noMembers) as Record<string, HeaderValue>;
  /** The head is fixed; it leaves with what comes next. */
  #hasHead = false;
  #isHeadSent = false;
  #ended = false;

  constructor(shared: ExchangeStream, request: Http2Request) {
    super(shared);
    this.req = request;
  }

  get headersSent(): boolean {
    return this.#hasHead;
  }

  get writableEnded(): boolean {
    return this.#ended;
  }

  get finished(): boolean {
    return this.#ended;
  }

  get writable(): boolean {
    return !this.#ended && !this.shared.isDestroyed;
  }

  get writableFinished(): boolean {
    return this.shared.isFinished;
  }

  get writableNeedDrain(): boolean {
    return this.shared.stream.wantsDrain;
  }

  get writableLength(): number {
    return this.shared.stream.unsentBytes;
  }

  setHeader(name: string, value: HeaderValue): this {
    this.#headers[name.toLowerCase()] = value;
    return this;
  }

  appendHeader(name: string, value: string | readonly string[]): this {
    const key = name.toLowerCase();
    const before = this.#headers[key];
    const list = before === undefined ? [] : Array.isArray(before) ? (before as string[]) : [String(before)];
    this.#headers[key] = [...list, ...(typeof value === 'string' ? [value] : value)];
    return this;
  }

  getHeader(name: string): HeaderValue | undefined {
    return this.#headers[name.toLowerCase()];
  }

  getHeaders(): Record<string, HeaderValue> {
    return { ...this.#headers };
  }

  getHeaderNames(): string[] {
    return Object.keys(this.#headers);
  }

  hasHeader(name: string): boolean {
    return name.toLowerCase() in this.#headers;
  }

  removeHeader(name: string): void {
    Reflect.deleteProperty(this.#headers, name.toLowerCase());
  }

  writeHead(status: number, ...rest: readonly unknown[]): this {
    if (this.#hasHead) return this;
    this.statusCode = status;
    const given = (typeof rest[0] === 'string' ? rest[1] : rest[0]) as
      Record<string, HeaderValue | undefined> | undefined;
    for (const name in given) {
      const value = given[name];
      if (value !== undefined) this.#headers[name.toLowerCase()] = value;
    }
    this.#hasHead = true;
    return this;
  }

  flushHeaders(): void {
    if (this.#isHeadSent) return;
    const head = this.#head();
    this.#isHeadSent = true;
    this.shared.stream.respond(head, false);
  }

  write(chunk: Uint8Array | string, ...rest: readonly unknown[]): boolean {
    const { shared } = this;
    if (this.#ended || shared.isDestroyed) return false;
    this.flushHeaders();
    const callback = rest.at(-1);
    if (typeof callback === 'function') queueMicrotask(() => callback());
    if (this.#hasNoBody) return true;
    return shared.stream.write(bytesOf(chunk, rest[0]));
  }

  /** Writes pieces, `length` bytes in all, without joining them first; none of them may change any more. */
  writeMany(pieces: readonly Uint8Array[], length: number): boolean {
    const { shared } = this;
    if (this.#ended || shared.isDestroyed) return false;
    this.flushHeaders();
    return this.#hasNoBody || shared.stream.writeMany(pieces, length);
  }

  end(chunk?: Uint8Array | string | (() => void) | null, ...rest: readonly unknown[]): this {
    if (this.#ended) return this;
    const callback = typeof chunk === 'function' ? chunk : rest.at(-1);
    if (typeof callback === 'function') this.once('finish', callback as Listener);
    const { shared } = this;
    if (shared.isDestroyed) {
      this.#ended = true;
      return this;
    }
    const hasContent = chunk != null && typeof chunk !== 'function' && chunk.length > 0 && !this.#hasNoBody;
    const { stream } = shared;
    if (this.#isHeadSent) {
      if (hasContent) stream.write(bytesOf(chunk, rest[0]));
      this.#ended = true;
      stream.end();
      return this;
    }
    const head = this.#head();
    this.#isHeadSent = true;
    this.#ended = true;
    if (hasContent) stream.answer(head, bytesOf(chunk, rest[0]), undefined);
    else stream.respond(head, true);
    return this;
  }

  /** All that one turn of the event loop brings leaves together anyway. */
  cork(): void {}
  uncork(): void {}

  get #hasNoBody(): boolean {
    return this.req.method === 'HEAD' || bodiless.has(this.statusCode);
  }

  #head(): Buffer {
    this.#hasHead = true;
    return answerHead(this.statusCode, this.#headers, this.sendDate ? this.shared.now() : undefined);
  }
}

function bytesOf(chunk: Uint8Array | string, encoding: unknown): Uint8Array {
  if (typeof chunk !== 'string') return chunk;
  return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
}

/** Writes pieces, `length` bytes in all, to an answer of either protocol; none of them may change any more. */
export function writeMany(response: ServerResponse, pieces: readonly Uint8Array[], length: number): boolean {
  if (response instanceof Http2Response) return response.writeMany(pieces, length);
  return response.write(Buffer.concat(pieces, length));
}

/** The two ends of a stream in the shape of HTTP/1.1's, so that filters and handlers need not know the protocol. `now`: wall time in milliseconds. */
export function http2Exchange(
  stream: ServerStream,
  headers: RequestHeaders,
  now: () => number,
): { readonly request: IncomingMessage; readonly response: ServerResponse } {
  const shared = new ExchangeStream(stream, now);
  stream.receiver = shared;
  const request = new Http2Request(shared, headers);
  const response = new Http2Response(shared, request);
  return {
    request: request as unknown as IncomingMessage,
    response: response as unknown as ServerResponse,
  };
}
