import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';

const messageBytesMax = 32 * 1024 * 1024;

/** Subprotocols that a client offers, in its order; empty when it offers none. */
export function offeredProtocols(request: IncomingMessage): string[] {
  return String(request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

export const isWebSocket = (request: IncomingMessage): boolean =>
  String(request.headers.upgrade ?? '').toLowerCase() === 'websocket';

/**
 * Takes over an upgrade request. The first offered subprotocol that is among `protocols` is chosen; a client that offers none gets ''
 * when that is among them. Gives undefined after answering 403 to a client with which there is no common one.
 */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocols: readonly string[],
): Promise<{ webSocket: WebSocket; protocol: string } | undefined> {
  const offered = offeredProtocols(request);
  const protocol =
    offered.length === 0
      ? protocols.find((each) => each === '')
      : offered.find((each) => protocols.includes(each));
  if (protocol === undefined) {
    const text = `unable to upgrade: none of the offered subprotocols [${offered.join(' ')}] is supported\n`;
    socket.end(
      `HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    return Promise.resolve(undefined);
  }
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
  });
  // Chosen here and not by the library, which refuses names with a slash (SPDY/3.1+…) as RFC 6455 has them.
  delete request.headers['sec-websocket-protocol'];
  server.on('headers', (headers) => {
    if (protocol !== '') headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
  });
  return new Promise((resolve) => {
    server.on('wsClientError', (_error, broken) => {
      broken.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      resolve(undefined);
    });
    server.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => webSocket.terminate());
      resolve({ webSocket, protocol });
    });
  });
}
