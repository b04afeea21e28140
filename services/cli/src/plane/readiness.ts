import http from 'node:http';
import https from 'node:https';

export interface HttpProbe {
  readonly url: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly timeoutMs: number;
  /** The name that the server's certificate must have, where it is not the URL's. */
  readonly serverName?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** One GET (or POST when `body` is given) on a fresh connection; undefined when nothing answers in time. */
export function probe(options: HttpProbe, body?: string): Promise<HttpAnswer | undefined> {
  return new Promise((resolve) => {
    const secure = options.url.startsWith('https:');
    const request = (secure ? https : http).request(
      options.url,
      {
        method: body === undefined ? 'GET' : 'POST',
        timeout: options.timeoutMs,
        agent: false,
        ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' } }),
        ...(options.ca === undefined ? {} : { ca: options.ca }),
        ...(options.cert === undefined ? {} : { cert: options.cert }),
        ...(options.key === undefined ? {} : { key: options.key }),
        ...(options.serverName === undefined ? {} : { servername: options.serverName }),
      },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString('utf8') }),
        );
        response.on('error', () => resolve(undefined));
      },
    );
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
    request.end(body);
  });
}
