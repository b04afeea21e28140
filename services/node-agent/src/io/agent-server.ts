import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '@pilothouse/apimachinery';

export interface AgentServerOptions {
  readonly address: string;
  readonly port: number;
  /** PEM files; plain HTTP without them. */
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly clientCaFile?: string;
  listPods(): KubeObject[];
}

/** The agent's own HTTPS server. A simulated runtime has no processes, and says so when asked for their streams. */
export function startAgentServer(
  options: AgentServerOptions,
): Promise<{ port: number; close(): Promise<void> }> {
  const handler: http.RequestListener = (request, response) => {
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const answer = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type }).end(text);
    };
    if (path === '/healthz' || path === '/livez' || path === '/readyz' || path === '/healthz/ping')
      answer(200, 'ok');
    else if (path === '/pods' || path === '/pods/')
      answer(
        200,
        JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: options.listPods() }),
        'application/json',
      );
    else if (/^\/(containerLogs|exec|attach|run|portForward)\//.test(path)) {
      answer(
        501,
        `Container runtime "simulated" runs no processes: ${path.split('/')[1]} is not available on this node\n`,
      );
    } else answer(404, '404 page not found\n');
  };
  const server =
    options.certFile !== undefined && options.keyFile !== undefined
      ? https.createServer(
          {
            cert: readFileSync(options.certFile),
            key: readFileSync(options.keyFile),
            ...(options.clientCaFile === undefined
              ? {}
              : { ca: readFileSync(options.clientCaFile), requestCert: true, rejectUnauthorized: false }),
          },
          handler,
        )
      : http.createServer(handler);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.address, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((done) => {
            server.closeAllConnections();
            server.close(() => done());
          }),
      });
    });
  });
}
