import https from 'node:https';
import { retireAgent } from '../node/retire-agent.ts';
import { checkServerName } from '../node/server-identity.ts';

/** An answer may not be larger. */
const responseBytesMax = 4 * 1024 * 1024;

export interface HttpsPeer {
  readonly caPem?: string;
  readonly certPem?: string;
  readonly keyPem?: string;
  /** Name that the certificate must have; default: the host of the URL. */
  readonly serverName?: string;
  readonly insecure?: boolean;
}

export interface HttpsAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Requests to one peer over kept connections. Follows no redirects: a peer may not send this server elsewhere. */
export class HttpsClient {
  #agent: https.Agent;

  constructor(peer: HttpsPeer = {}) {
    this.#agent = agentFor(peer);
  }

  /** New requests go over new connections; those that run end on the old ones. */
  renew(peer: HttpsPeer): void {
    retireAgent(this.#agent);
    this.#agent = agentFor(peer);
  }

  /** Rejects when there is no answer: no connection, no trust, too late, too large. The message never holds a body or a header. */
  send(
    url: string,
    options: { method?: string; headers?: Record<string, string>; body?: string; timeoutMs: number },
  ): Promise<HttpsAnswer> {
    const { method = 'GET', headers = {}, body, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      const fail = (detail: string, code?: string): void => {
        const verb = method === 'GET' ? 'Get' : 'Post';
        reject(Object.assign(new Error(`${verb} "${url}": ${detail}`), { code }));
      };
      const request = https.request(
        url,
        {
          method,
          agent: this.#agent,
          headers: {
            accept: 'application/json',
            ...(body === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
            ...headers,
          },
          signal: AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs))),
        },
        (response) => {
          const chunks: Buffer[] = [];
          let length = 0;
          response.on('data', (chunk: Buffer) => {
            length += chunk.length;
            if (length > responseBytesMax) request.destroy(new Error('the answer is too large'));
            else chunks.push(chunk);
          });
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              text: Buffer.concat(chunks).toString('utf8'),
              headers: response.headers,
            }),
          );
          response.on('error', (error) => fail(error.message));
        },
      );
      request.on('error', (error: Error & { code?: string }) =>
        fail(
          error.name === 'TimeoutError' || error.name === 'AbortError'
            ? 'context deadline exceeded'
            : error.message,
          error.name === 'TimeoutError' || error.name === 'AbortError' ? 'ETIMEDOUT' : error.code,
        ),
      );
      request.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function agentFor(peer: HttpsPeer): https.Agent {
  return new https.Agent({
    keepAlive: true,
    maxSockets: 32,
    allowPartialTrustChain: true,
    checkServerIdentity: checkServerName,
    minVersion: 'TLSv1.2',
    ...(peer.caPem === undefined ? {} : { ca: peer.caPem }),
    ...(peer.certPem === undefined ? {} : { cert: peer.certPem }),
    ...(peer.keyPem === undefined ? {} : { key: peer.keyPem }),
    ...(peer.serverName === undefined ? {} : { servername: peer.serverName }),
    ...(peer.insecure === true ? { rejectUnauthorized: false } : {}),
  });
}
