import type { IncomingMessage, ServerResponse } from 'node:http';
import { headerBlock, type RequestHeaders, type ServerStream, type StreamReceiver } from '@pilothouse/http2';
import type { HttpExchange } from './gateway.ts';

/** An HTTP/1.1 exchange. */
export function exchangeOfRequest(request: IncomingMessage, response: ServerResponse): HttpExchange {
  return {
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: request.headers,
    body: (bytesMax) => readBody(request, bytesMax),
    start(status, headers) {
      // What was not read must not block the connection for the next request.
      request.resume();
      response.writeHead(status, headers);
    },
    write: (text) => (response.destroyed ? false : response.write(text)),
    onDrain: (listener) => void response.on('drain', listener),
    end(text) {
      if (!response.destroyed) response.end(text ?? '');
    },
    onClose: (listener) => void response.on('close', listener),
  };
}

/** Gives `serve` an HTTP/2 exchange once the request is complete, or longer than `bytesMax`. */
export function serveStream(
  stream: ServerStream,
  headers: RequestHeaders,
  options: { readonly bytesMax: number; readonly serve: (exchange: HttpExchange) => void },
): void {
  const { bytesMax, serve } = options;
  const body = new StreamBody(bytesMax, () =>
    serve({
      method: headers[':method'] ?? 'GET',
      path: headers[':path'] ?? '/',
      headers,
      body: (most) => body.text(Math.min(most, bytesMax)),
      start(status, responseHeaders) {
        if (stream.isClosed || stream.hasHeaders) return;
        const fields = Object.entries(responseHeaders).map(
          ([name, value]) => [name.toLowerCase(), value] as const,
        );
        stream.respond(headerBlock([[':status', String(status)], ...fields]));
      },
      write: (text) => stream.write(Buffer.from(text)),
      onDrain: (listener) => void (body.onDrain = listener),
      end(text) {
        if (stream.isClosed) return;
        if (text !== undefined && text !== '') stream.write(Buffer.from(text));
        stream.end();
      },
      onClose: (listener) => void body.closeListeners.push(listener),
    }),
  );
  stream.receiver = body;
}

/** What a client sends on a stream. */
class StreamBody implements StreamReceiver {
  readonly closeListeners: (() => void)[] = [];
  onDrain: (() => void) | undefined;
  readonly #bytesMax: number;
  readonly #onComplete: () => void;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #isComplete = false;

  constructor(bytesMax: number, onComplete: () => void) {
    this.#bytesMax = bytesMax;
    this.#onComplete = onComplete;
  }

  text(bytesMax: number): Promise<string> {
    if (this.#bytes > bytesMax)
      return Promise.reject(new Error(`Request body is larger than ${bytesMax} bytes`));
    return Promise.resolve(Buffer.concat(this.#pieces).toString('utf8'));
  }

  receiveData(piece: Buffer): void {
    if (this.#isComplete) return;
    this.#bytes += piece.length;
    this.#pieces.push(piece);
    if (this.#bytes > this.#bytesMax) this.receiveEnd();
  }

  receiveEnd(): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    this.#onComplete();
  }

  streamClosed(): void {
    this.#pieces = [];
    for (const listener of this.closeListeners) listener();
  }

  streamDrained(): void {
    this.onDrain?.();
  }
}

async function readBody(source: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    source.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > bytesMax) reject(new Error(`Request body is larger than ${bytesMax} bytes`));
      else chunks.push(chunk);
    });
    source.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    source.on('error', reject);
  });
}
