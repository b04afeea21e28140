import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import fs from 'node:fs';
import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import {
  serveSocket,
  type RequestHeaders,
  type ServerConnection,
  type ServerStream,
} from '@pilothouse/http2';
import type { TlsContext } from '../tls-context.ts';

export interface ListenUrl {
  readonly text: string;
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly socketPath: string | undefined;
}

/** What is served on a port: gRPC and plain HTTP, told apart by the first bytes. */
export interface PortHandlers {
  onStream(stream: ServerStream, headers: RequestHeaders): void;
  onRequest(request: http.IncomingMessage, response: http.ServerResponse): void;
}

export interface ListenerOptions {
  readonly url: ListenUrl;
  readonly tls: TlsContext | undefined;
  /** Time for a TLS handshake, and for a connection to send its first bytes. */
  readonly handshakeTimeoutMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxConcurrentStreams: number;
  /** Shown when a TLS handshake fails: `client` or `peer`. */
  readonly what: string;
  readonly handlers: PortHandlers;
  /** Server keepalive: ping after this much time, close when unanswered. */
  readonly keepAlive?: { readonly intervalMs: number; readonly timeoutMs: number };
  /** Limits how many connections may be open; further ones are closed at once. */
  readonly connectionsMax?: number;
}

export interface Listener {
  readonly url: ListenUrl;
  /** The port that was taken, also when 0 was asked for. */
  readonly port: number;
  /** Stops accepting, ends idle sessions, and cuts what is left after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

const preface = Buffer.from('PRI * HTTP/2.0');

/** Opens a port that speaks HTTP/1.1 and HTTP/2, in clear or with TLS. Rejects with the system's error. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { url, handlers, logger, clock } = options;
  const handshakeTimeoutMs = options.handshakeTimeoutMs ?? 10_000;
  const connections = new Set<ServerConnection>();
  const sockets = new Set<net.Socket>();
  const h1 = http.createServer(
    {
      headersTimeout: handshakeTimeoutMs,
      requestTimeout: 3 * handshakeTimeoutMs,
      // Longer than the pause between two scrapes, or the client would meet a connection that just closes.
      keepAliveTimeout: 90_000,
      connectionsCheckingInterval: Math.min(1000, handshakeTimeoutMs),
    },
    (request, response) => handlers.onRequest(request, response),
  );
  // It gets its connections by hand; this starts the check for clients that send their headers too slowly.
  h1.emit('listening');
  const serveHttp2 = (socket: net.Socket, head?: Buffer): void => {
    const connection = serveSocket(socket, {
      monotonic: () => clock.monotonic(),
      after: (delayMs, callback) => clock.setTimeout(callback, delayMs),
      concurrentStreamsMax: options.maxConcurrentStreams,
      headerListBytesMax: 1 << 20,
      headTimeoutMs: handshakeTimeoutMs,
      onRequest: (stream, headers) => handlers.onStream(stream, headers),
      onClose() {
        connections.delete(connection);
        timer?.cancel();
      },
    });
    connections.add(connection);
    const timer =
      options.keepAlive === undefined
        ? undefined
        : startKeepAlive(connection, socket, clock, options.keepAlive);
    if (head !== undefined) connection.receive(head);
  };
  const accept = (socket: net.Socket): void => {
    socket.on('error', () => {});
    if (options.connectionsMax !== undefined && sockets.size >= options.connectionsMax) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    if (socket instanceof tls.TLSSocket && socket.alpnProtocol === 'h2') {
      serveHttp2(socket);
      return;
    }
    if (socket instanceof tls.TLSSocket && socket.alpnProtocol === 'http/1.1') {
      h1.emit('connection', socket);
      return;
    }
    const silent = clock.setTimeout(() => socket.destroy(), handshakeTimeoutMs);
    socket.on('close', () => silent.cancel());
    let head = Buffer.alloc(0);
    const sniff = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk !== null) head = Buffer.concat([head, chunk]);
      const length = Math.min(head.length, preface.length);
      const isHttp2 = preface.subarray(0, length).equals(head.subarray(0, length));
      if (isHttp2 && length < preface.length) {
        // Kept aside: given back to the socket it would be read again at once, without end.
        if (!socket.readableEnded) socket.once('readable', sniff);
        return;
      }
      silent.cancel();
      if (isHttp2) {
        serveHttp2(socket, head);
        return;
      }
      socket.unshift(head);
      h1.emit('connection', socket);
    };
    socket.once('readable', sniff);
  };

  const reject = (socket: net.Socket, error: string): void => {
    logger.warn(`rejected connection on ${options.what} endpoint`, {
      'remote-addr': `${socket.remoteAddress ?? ''}:${socket.remotePort ?? ''}`,
      error,
    });
    socket.destroy();
  };

  let server: net.Server;
  if (url.secure) {
    const secure = tls.createServer({
      ...options.tls?.serverOptions(),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: handshakeTimeoutMs,
    });
    options.tls?.renew(secure);
    secure.on('secureConnection', (socket) => {
      const refusal = options.tls?.refusal(socket);
      if (refusal === undefined) accept(socket);
      else reject(socket, refusal);
    });
    secure.on('tlsClientError', (error, socket) => reject(socket, errorMessage(error)));
    server = secure;
  } else server = net.createServer(accept);

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const ready = (): void => {
      server.off('error', reject);
      server.on('error', (error) =>
        logger.warn('Listener failed', { url: url.text, error: errorMessage(error) }),
      );
      resolve();
    };
    if (url.socketPath === undefined) server.listen({ host: url.host, port: url.port, backlog: 1024 }, ready);
    else {
      fs.rmSync(url.socketPath, { force: true });
      server.listen(url.socketPath, ready);
    }
  });
  const sweep = clock.setInterval(
    () => {
      for (const connection of connections) connection.tick();
    },
    Math.min(1000, handshakeTimeoutMs / 4),
  );
  const address = server.address();
  return {
    url,
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      h1.close();
      for (const connection of [...connections]) connection.shutdown();
      const timer = clock.setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      await closed;
      timer.cancel();
      sweep.cancel();
    },
  };
}

/** Pings until cancelled; a ping that is not answered in time ends the connection. */
function startKeepAlive(
  connection: ServerConnection,
  socket: net.Socket,
  clock: Clock,
  times: { readonly intervalMs: number; readonly timeoutMs: number },
): Timer {
  return clock.setInterval(() => {
    if (connection.isEnded) return;
    const timeout = clock.setTimeout(() => socket.destroy(), times.timeoutMs);
    connection.ping(() => timeout.cancel());
  }, times.intervalMs);
}
