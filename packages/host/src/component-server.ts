import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@pilothouse/base';
import { FileWatcher } from './files/file-watcher.ts';
import { followServedCertificate, readServedCertificate } from './pki/served-certificate.ts';
import type { TlsPolicy } from './pki/tls-policy.ts';
import { defaultTlsPolicy } from './pki/tls-policy.ts';

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
  const handler: http.RequestListener = (request, response) => {
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
  const { cert, key, certFile, keyFile, policy = defaultTlsPolicy } = options;
  let unfollow: (() => void) | undefined;
  let server: http.Server;
  if (certFile !== undefined && keyFile !== undefined) {
    const secure = https.createServer(readServedCertificate({ certFile, keyFile, policy }), handler);
    const own = options.watcher ? undefined : new FileWatcher(options.clock && { clock: options.clock });
    const end = followServedCertificate(secure, { certFile, keyFile, policy }, options.watcher ?? own);
    unfollow = () => {
      end();
      own?.close();
    };
    server = secure;
  } else if (cert !== undefined && key !== undefined) {
    server = https.createServer({ ...policy, cert, key }, handler);
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
