import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import type { Status } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import { StatusError, statusErrors } from '@pilothouse/apimachinery';
import { limits } from '../limits.ts';
import { Http2Request } from '../http2/exchange-ends.ts';
import type { Exchange } from '../request/exchange.ts';
import type { ObjectCodec } from './codec.ts';
import type { ObjectMediaType } from './negotiation.ts';
import { isPretty, jsonType, negotiateError } from './negotiation.ts';

const compress = promisify(gzip);

/** Headers of every answer of the API. */
export const noStore = 'no-cache, private';

/** A `Warning` header value: code 299, no agent, quoted text (RFC 7234). Control characters are dropped. */
export function warningHeader(text: string): string {
  let quoted = '';
  for (const character of text) {
    const point = character.codePointAt(0) as number;
    if (character === '"' || character === '\\') quoted += `\\${character}`;
    else if (point >= 0x20 && point !== 0x7f) quoted += character;
  }
  return `299 - "${quoted}"`;
}

/** Starts the answer: status and headers, with the warnings so far. */
export function startResponse(
  exchange: Exchange,
  status: number,
  headers: Record<string, string | number | string[]> = {},
): void {
  const response = exchange.response;
  if (!response.hasHeader('cache-control')) response.setHeader('Cache-Control', noStore);
  if (exchange.warnings.length > 0) {
    response.setHeader(
      'Warning',
      exchange.warnings.map((text) => Buffer.from(warningHeader(text)).toString('latin1')),
    );
  }
  response.writeHead(status, headers);
}

export function respondText(
  exchange: Exchange,
  status: number,
  text: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  respondBytes(exchange, status, contentType, Buffer.from(text));
}

export function respondBytes(
  exchange: Exchange,
  status: number,
  contentType: string,
  body: Uint8Array,
): void {
  startBytes(exchange, status, contentType, body);
  exchange.response.end(exchange.method === 'HEAD' ? undefined : body);
}

function startBytes(exchange: Exchange, status: number, contentType: string, body: Uint8Array): void {
  exchange.audit?.response(contentType, body);
  startResponse(exchange, status, { 'Content-Type': contentType, 'Content-Length': body.length });
}

/** Like {@link respondBytes}, compressed when the body is large and the client accepts gzip. */
export async function respondObjectBytes(
  exchange: Exchange,
  status: number,
  contentType: string,
  body: Uint8Array,
): Promise<void> {
  exchange.audit?.response(contentType, body);
  if (body.length < limits.gzipBytesMin || !acceptsGzip(exchange)) {
    respondBytes(exchange, status, contentType, body);
    return;
  }
  const packed = await compress(body, { level: 1 });
  exchange.response.setHeader('Content-Encoding', 'gzip');
  exchange.response.setHeader('Vary', 'Accept-Encoding');
  respondBytes(exchange, status, contentType, packed);
}

/** Only reads are compressed, as upstream does. */
export function acceptsGzip(exchange: Exchange): boolean {
  if (exchange.method !== 'GET') return false;
  return exchange
    .header('accept-encoding')
    .split(',')
    .some((coding) => /^\s*gzip\s*(;|$)/.test(coding) && !/;\s*q=0(\.0*)?\s*$/.test(coding));
}

export async function respondObject(
  exchange: Exchange,
  codec: ObjectCodec,
  status: number,
  object: object,
  output: { mediaType: ObjectMediaType; pretty: boolean },
): Promise<void> {
  const pretty = isPretty(exchange.query, exchange.userAgent, output.pretty);
  await respondObjectBytes(
    exchange,
    status,
    output.mediaType,
    codec.encode(object, output.mediaType, pretty),
  );
}

/** A refusal that upstream gives as plain text and not as a Status. */
export class TextRefusal extends Error {
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: number, text: string, headers: Readonly<Record<string, string>> = {}) {
    super(text);
    this.code = code;
    this.headers = headers;
  }
}

/** What a thrown value becomes for the client; anything that is not a StatusError is this server's fault. */
export function statusOf(error: unknown): Status {
  if (error instanceof StatusError) return error.status;
  // Only a request can be nested so deeply; nothing here recurses without it.
  if (error instanceof RangeError && error.message.startsWith('Maximum call stack'))
    return statusErrors.badRequest('exceeded max depth').status;
  return statusErrors.internal(error instanceof Error ? error.message : String(error)).status;
}

/** Ends the exchange with an error. After the headers are out, only the connection can be cut. */
export function respondError(exchange: Exchange, codec: ObjectCodec, clock: Clock, error: unknown): void {
  const response = exchange.response;
  if (response.headersSent) {
    response.destroy(error instanceof Error ? error : undefined);
    return;
  }
  if (error instanceof TextRefusal) {
    for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    respondLingering(exchange, clock, error.code, 'text/plain; charset=utf-8', Buffer.from(error.message));
    return;
  }
  const status = statusOf(error);
  const code = status.code ?? 500;
  exchange.audit?.responseStatus(status);
  const retryAfter = status.details?.retryAfterSeconds;
  if (retryAfter !== undefined && retryAfter > 0) response.setHeader('Retry-After', String(retryAfter));
  const mediaType = negotiateError(exchange.header('accept'));
  const pretty = isPretty(exchange.query, exchange.userAgent, false);
  let contentType: string = mediaType;
  let body: Uint8Array;
  try {
    body = codec.encode(status, mediaType, pretty);
  } catch {
    contentType = jsonType;
    body = Buffer.from(`${JSON.stringify(status)}\n`);
  }
  respondLingering(exchange, clock, code, contentType, body);
}

/**
 * Answers a client that may still be sending. A body that nobody read must not stall a connection that will be used again, and a
 * connection that is closed on top of one is reset, which takes the answer from a client that has not come to reading it yet. So the rest is
 * read and thrown away, up to a limit of bytes and of time, before the exchange ends.
 */
function respondLingering(
  exchange: Exchange,
  clock: Clock,
  status: number,
  contentType: string,
  body: Uint8Array,
): void {
  const { request, response } = exchange;
  if (exchange.upgrade !== undefined || request.complete || exchange.method === 'HEAD') {
    respondBytes(exchange, status, contentType, body);
    return;
  }
  startBytes(exchange, status, contentType, body);
  const stream = request instanceof Http2Request ? request : undefined;
  stream?.linger();
  // All of the answer is out: the length is told. What comes after it ends the exchange.
  if (stream === undefined) response.write(body);
  else response.end(body);
  let left = limits.discardBytesMax;
  const finish = (): void => {
    timer.cancel();
    request.off('data', discard).off('end', finish).off('close', finish);
    if (stream === undefined) response.end();
    if (request.complete) return;
    if (stream === undefined) request.destroy();
    else stream.stop();
  };
  const discard = (piece: Uint8Array): void => {
    left -= piece.length;
    if (left < 0) finish();
  };
  const timer = clock.setTimeout(finish, limits.lingerMs);
  request.on('data', discard).once('end', finish).once('close', finish);
}
