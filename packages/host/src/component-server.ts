import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '@pilothouse/base';
import { FileWatcher } from './files/file-watcher.ts';
import { followServedCertificate, readServedCertificate } from './pki/served-certificate.ts';
import type { TlsPolicy } from './pki/tls-policy.ts';
import { defaultTlsPolicy } from './pki/tls-policy.ts';

/** Decides who may have an answer. */
export interface ComponentAccess {
  /** `certificate`: DER, not verified. Undefined: may pass; else the answer, a Status as JSON. */
  check(request: {
    readonly method: string;
    readonly path: string;
    readonly authorization: string;
    readonly certificate: Uint8Array | undefined;
  }): Promise<{ readonly code: number; readonly body: string } | undefined>;
}

export interface ComponentServerOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** PEM texts, for a certificate that lives as long as the process. */
  readonly cert?: string;
  readonly key?: string;
  /** PEM files, read again when they change. With neither, the server speaks plain HTTP. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Default: TLS 1.2 and later, suites with forward secrecy. */
  readonly policy?: TlsPolicy;
  readonly clock?: Clock;
  /** Follows the files; default: one of this server alone. */
  readonly watcher?: FileWatcher;
  /** Absent: everybody may read everything. */
  readonly access?: ComponentAccess;
  /** Whether /readyz answers 200; without it always. */
  isReady?(): boolean;
  /** Body of /metrics in Prometheus' text format 0.0.4. */
  metrics(): string;
}

export interface ComponentServer {
  readonly port: number;
  /** Ends open connections too. */
  close(): Promise<void>;
}

/** /healthz, /livez, /readyz and /metrics of a component that is not an API server. Rejects when the port is taken. */
export function startComponentServer(options: ComponentServerOptions): Promise<ComponentServer> {
  const answer: http.RequestListener = (request, response) => {
    const [path] = (request.url ?? '/').split('?');
    const plain = (status: number, text: string): void => {
      response
        .writeHead(status, {
          'content-type': 'text/plain; charset=utf-8',
          'x-content-type-options': 'nosniff',
        })
        .end(text);
    };
    if (path === '/healthz' || path === '/livez') plain(200, 'ok');
    else if (path === '/readyz') {
      if (options.isReady?.() ?? true) plain(200, 'ok');
      else plain(500, '[+]ping ok\n[-]informer-sync failed: reason withheld\nreadyz check failed\n');
    } else if (path === '/metrics') {
      response
        .writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
        .end(options.metrics());
    } else plain(404, '404 page not found\n');
  };
  const { access } = options;
  const handler: http.RequestListener =
    access === undefined
      ? answer
      : (request, response) => void guarded(access, request, response, () => answer(request, response));
  // Certificates are asked for and not checked by TLS: whose they are is the access's to say.
  const clients = access === undefined ? {} : { requestCert: true, rejectUnauthorized: false };
  const { cert, key, certFile, keyFile, policy = defaultTlsPolicy } = options;
  let unfollow: (() => void) | undefined;
  let server: http.Server;
  if (certFile !== undefined && keyFile !== undefined) {
    const secure = https.createServer(
      { ...readServedCertificate({ certFile, keyFile, policy }), ...clients },
      handler,
    );
    const own = options.watcher ? undefined : new FileWatcher(options.clock && { clock: options.clock });
    const end = followServedCertificate(secure, { certFile, keyFile, policy }, options.watcher ?? own);
    unfollow = () => {
      end();
      own?.close();
    };
    server = secure;
  } else if (cert !== undefined && key !== undefined) {
    server = https.createServer({ ...policy, ...clients, cert, key }, handler);
  } else server = http.createServer(handler);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.address, () =>
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((done) => {
            unfollow?.();
            server.closeAllConnections();
            server.close(() => done());
          }),
      }),
    );
  });
}

async function guarded(
  access: ComponentAccess,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  pass: () => void,
): Promise<void> {
  const { socket } = request;
  const refusal = await access.check({
    method: request.method ?? 'GET',
    path: (request.url ?? '/').split('?')[0] ?? '/',
    authorization: request.headers.authorization ?? '',
    certificate: socket instanceof TLSSocket ? rawCertificate(socket) : undefined,
  });
  if (refusal === undefined) {
    pass();
    return;
  }
  response
    .writeHead(refusal.code, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' })
    .end(refusal.body);
}

function rawCertificate(socket: TLSSocket): Uint8Array | undefined {
  // Without a certificate there is an object without members.
  return (socket.getPeerCertificate() as Partial<ReturnType<TLSSocket['getPeerCertificate']>>).raw;
}
