import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

export const protocolHeader = 'x-stream-protocol-version';

export const isSpdy = (request: IncomingMessage): boolean =>
  String(request.headers.upgrade ?? '').toLowerCase() === 'spdy/3.1';

function offered(request: IncomingMessage): string[] {
  const value = request.headers[protocolHeader];
  const text = Array.isArray(value) ? value.join(',') : (value ?? '');
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

/**
 * Answers a SPDY upgrade with the first of `protocols` that the client offers (the last one, unnamed, when it offers none).
 * Undefined after answering 403 to a client that speaks none of them; the texts are upstream's.
 */
export function acceptSpdy(
  request: IncomingMessage,
  socket: Duplex,
  protocols: readonly string[],
): string | undefined {
  const names = offered(request);
  const chosen = names.length === 0 ? protocols.at(-1) : protocols.find((each) => names.includes(each));
  if (chosen === undefined) {
    const text = `unable to upgrade: unable to negotiate protocol: client supports [${names.join(' ')}], server supports [${protocols.join(' ')}]\n`;
    socket.end(
      `HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
    return undefined;
  }
  const version = names.length === 0 ? '' : `X-Stream-Protocol-Version: ${chosen}\r\n`;
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${version}\r\n`,
  );
  return chosen;
}
