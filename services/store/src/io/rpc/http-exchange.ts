import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Readable, Writable } from 'node:stream';
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
    ...writing(response),
  };
}

/** An HTTP/2 exchange. */
export function exchangeOfStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): HttpExchange {
  stream.on('error', () => {});
  return {
    method: headers[':method'] ?? 'GET',
    path: headers[':path'] ?? '/',
    headers,
    body: (bytesMax) => readBody(stream, bytesMax),
    start(status, responseHeaders) {
      stream.resume();
      if (!stream.destroyed && !stream.headersSent) stream.respond({ ':status': status, ...responseHeaders });
    },
    ...writing(stream),
  };
}

function writing(target: Writable): Pick<HttpExchange, 'write' | 'onDrain' | 'end' | 'onClose'> {
  return {
    write: (text) => (target.destroyed ? false : target.write(text)),
    onDrain: (listener) => void target.on('drain', listener),
    end(text) {
      if (!target.destroyed) target.end(text ?? '');
    },
    onClose: (listener) => void target.on('close', listener),
  };
}

async function readBody(source: Readable, bytesMax: number): Promise<string> {
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
