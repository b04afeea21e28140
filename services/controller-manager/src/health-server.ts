import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

export interface HealthServerOptions {
  readonly address: string;
  readonly port: number;
  readonly certFile?: string;
  readonly keyFile?: string;
  metrics(): string;
}

/** /healthz, /livez, /readyz and /metrics of a component, over TLS when it has a certificate. */
export function startHealthServer(options: HealthServerOptions): Promise<{ close(): Promise<void> }> {
  const handler: http.RequestListener = (request, response) => {
    const path = (request.url ?? '/').split('?')[0];
    if (path === '/healthz' || path === '/livez' || path === '/readyz')
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
    else if (path === '/metrics')
      response
        .writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
        .end(options.metrics());
    else response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('404 page not found\n');
  };
  const server =
    options.certFile !== undefined && options.keyFile !== undefined
      ? https.createServer(
          { cert: readFileSync(options.certFile), key: readFileSync(options.keyFile) },
          handler,
        )
      : http.createServer(handler);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.address, () =>
      resolve({
        close: () =>
          new Promise((done) => {
            server.closeAllConnections();
            server.close(() => done());
          }),
      }),
    );
  });
}
