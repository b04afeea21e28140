import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Http2SecureServer } from 'node:http2';
import { createSecureServer } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '@pilothouse/base';
import { deferred } from '@pilothouse/base';
import type { EdgeConfig } from './edge-config.ts';
import { Http2Connections } from './http2/connections.ts';
import { limits } from './limits.ts';
import { SniCertificates } from './sni-certificates.ts';
import type { TlsPolicy } from './tls-policy.ts';
import { defaultTlsPolicy } from './tls-policy.ts';

export interface TlsMaterial {
  /** Leaf first. */
  readonly certPem: string;
  readonly keyPem: string;
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** The listening socket: HTTP/2 and HTTP/1.1 on one TLS port, or plain HTTP/1.1 for tests and behind a proxy. */
export class HttpServer {
  readonly server: Http2SecureServer | Server;
  readonly #tlsPolicy: TlsPolicy;
  readonly #sni: SniCertificates;
  readonly #http2: Http2Connections;
  readonly #ticker: Timer;
  readonly #connections = new Set<Duplex>();

  constructor(
    handler: RequestHandler,
    options: {
      readonly clock: Clock;
      readonly tls?: TlsMaterial;
      readonly tlsPolicy?: TlsPolicy;
      readonly http2?: Pick<EdgeConfig, 'http2' | 'http2StreamsMax'>;
      onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
      onTlsError?(error: Error): void;
    },
  ) {
    this.#tlsPolicy = options.tlsPolicy ?? defaultTlsPolicy;
    this.#sni = new SniCertificates(this.#tlsPolicy);
    this.server = options.tls
      ? secureServer(handler, options.tls, this.#tlsPolicy, this.#sni, options.http2?.http2 ?? true)
      : plainServer(handler);
    this.server.on('upgrade', options.onUpgrade);
    this.#http2 = new Http2Connections(
      handler,
      options.clock,
      options.http2?.http2StreamsMax ?? limits.concurrentStreamsMax,
    );
    this.#ticker = options.clock.setInterval(() => this.#http2.tick(), limits.headersCheckMs);
    if (options.tls) takeHttp2(this.server as Http2SecureServer, this.#http2);
    this.server.on(options.tls ? 'secureConnection' : 'connection', (socket: Duplex) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
      socket.on('error', () => socket.destroy());
    });
    this.server.on('tlsClientError', (error: Error) => options.onTlsError?.(error));
    this.server.on('clientError', (error: Error, socket: Duplex) => {
      const isOverflow = (error as { code?: string }).code === 'HPE_HEADER_OVERFLOW';
      const status = isOverflow ? '431 Request Header Fields Too Large' : '400 Bad Request';
      if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
    });
  }

  /** Certificates of new connections; open ones keep theirs. */
  setTls(tls: TlsMaterial): void {
    if ('setSecureContext' in this.server)
      this.server.setSecureContext({ cert: tls.certPem, key: tls.keyPem, ...this.#tlsPolicy });
  }

  /** The certificate of flag number `index` for clients that ask for one of `names` (SNI); none: the names in it. */
  setSni(index: number, names: readonly string[], tls: TlsMaterial): void {
    this.#sni.set(index, names, tls.certPem, tls.keyPem);
  }

  /** Ends the connections whose client certificate (DER) `isRefused`; what they were sent before is not waited for. */
  cut(isRefused: (certificate: Buffer) => boolean): void {
    for (const connection of this.#connections) {
      if (!(connection instanceof TLSSocket)) continue;
      const certificate = connection.getPeerCertificate().raw as Buffer | undefined;
      if (certificate !== undefined && isRefused(certificate)) connection.destroy();
    }
  }

  listen(host: string, port: number): Promise<{ host: string; port: number }> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host, port, backlog: 1024 }, () => {
        this.server.off('error', reject);
        const address = this.server.address();
        resolve({ host, port: typeof address === 'object' && address ? address.port : port });
      });
    });
  }

  /**
   * Stops accepting and tells HTTP/2 clients to go elsewhere; what is being answered goes on. What they send before they hear of it is not looked
   * at, and their libraries know that it was not (REFUSED_STREAM). The connections stay open for them to hear it: closing one while more of the
   * client's arrives would reset it, and the client could not tell what became of its requests.
   */
  stopListening(): void {
    this.server.close();
    this.#http2.shutdown();
    if ('closeIdleConnections' in this.server) (this.server as Server).closeIdleConnections();
  }

  /** Resolves when the HTTP/2 connections have ended after {@link stopListening} and the last answers, or after so many milliseconds. */
  async disconnected(clock: Clock, withinMs: number): Promise<void> {
    const late = deferred<void>();
    const timer = clock.setTimeout(() => late.resolve(), withinMs);
    await Promise.race([this.#http2.gone(), late.promise]);
    timer.cancel();
  }

  /** Cuts what is still open. */
  destroyConnections(): void {
    this.#ticker.cancel();
    this.#http2.destroy();
    for (const connection of this.#connections) connection.destroy();
  }
}

/** Connections whose TLS handshake chose HTTP/2 are served here; Node keeps those of HTTP/1.1. */
function takeHttp2(server: Http2SecureServer, http2: Http2Connections): void {
  const listeners = server.listeners('secureConnection');
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol !== 'h2') {
      for (const listener of listeners) listener.call(server, socket);
      return;
    }
    socket.setNoDelay(true);
    http2.accept(socket);
  });
}

function secureServer(
  handler: RequestHandler,
  tls: TlsMaterial,
  policy: TlsPolicy,
  sni: SniCertificates,
  speaksHttp2: boolean,
): Http2SecureServer {
  const server = createSecureServer({
    allowHTTP1: true,
    cert: tls.certPem,
    key: tls.keyPem,
    ...policy,
    honorCipherOrder: true,
    // Nothing found: the serving certificate as it is now.
    SNICallback: (name: string, done: (error: null, context?: SecureContext) => void) =>
      done(null, sni.find(name)),
    // Certificates are checked by the authenticator, so that a bad one gives 401 and not a broken connection.
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: limits.handshakeMs,
    maxHeaderSize: limits.headerBytesMax,
  } as Parameters<typeof createSecureServer>[0]);
  // Node's HTTP/2 server always offers both; this is what it offers, as TLS writes it: a length before each name.
  if (!speaksHttp2) Object.assign(server, { ALPNProtocols: Buffer.from('\x08http/1.1') });
  // For HTTP/1.1 beside HTTP/2; the type does not know them, the server does.
  Object.assign(server, {
    headersTimeout: limits.headersMs,
    connectionsCheckingInterval: limits.headersCheckMs,
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
  });
  // HTTP/1.1 only: see takeHttp2.
  server.on('request', guarded(handler) as never);
  return server;
}

function plainServer(handler: RequestHandler): Server {
  return createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      keepAliveTimeout: limits.keepAliveMs,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.headersCheckMs,
      requestTimeout: 0,
    },
    guarded(handler),
  );
}

/** What Node leaves open for HTTP/1.1: requests without a host, and those behind others on a connection that ends. */
function guarded(handler: RequestHandler): RequestHandler {
  const refused = new WeakSet<Duplex>();
  return (request, response) => {
    const { socket } = request;
    // What was sent behind a refused request is not looked at.
    if (refused.has(socket)) return;
    if (request.headers.host === undefined && request.httpVersion === '1.1') {
      refused.add(socket);
      response.writeHead(400, { Connection: 'close', 'Content-Type': 'text/plain; charset=utf-8' });
      response.end('400 Bad Request: missing required Host header');
      return;
    }
    // A response that waits behind another has no socket yet, and would never hear that there will be none.
    if (response.socket === null) {
      const gone = (): void => {
        if (response.socket !== null) return;
        response.destroy();
        response.emit('close');
      };
      socket.once('close', gone);
      response.once('close', () => socket.off('close', gone));
    }
    handler(request, response);
  };
}
