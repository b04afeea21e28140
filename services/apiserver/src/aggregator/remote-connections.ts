import { Agent, request as httpsRequest } from 'node:https';
import type { ClientRequest, IncomingHttpHeaders } from 'node:http';
import type { Random } from '@pilothouse/base';
import { aggregatorUser, identityHeaders } from './identity-headers.ts';
import { networkErrorText } from '../node/network-error.ts';
import { retireAgent } from '../node/retire-agent.ts';
import type { RemoteApi } from './remote-api.ts';
import { serverNameOf } from './remote-api.ts';
import type { ServiceAddress, ServiceLookup } from './service-address.ts';
import { serviceAddress } from './service-address.ts';

/** Documents of other servers may not be larger. */
const documentBytesMax = 64 * 1024 * 1024;
const connectMs = 10_000;

/** How this server shows that it may speak for others. */
export interface ProxyClientCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface RemoteAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Connections to extension API servers, kept open between requests. */
export class RemoteConnections {
  #certificate: ProxyClientCertificate | undefined;
  readonly #lookup: ServiceLookup;
  readonly #random: Random;
  readonly #endpointsOnly: boolean;
  /** One agent for each way to trust: a connection is verified once, when it is made. */
  readonly #agents = new Map<string, Agent>();

  constructor(options: {
    readonly certificate: ProxyClientCertificate | undefined;
    readonly lookup: ServiceLookup;
    readonly random: Random;
    /** --enable-aggregator-routing: never the address of the service. */
    readonly endpointsOnly: boolean;
  }) {
    this.#certificate = options.certificate;
    this.#lookup = options.lookup;
    this.#random = options.random;
    this.#endpointsOnly = options.endpointsOnly;
  }

  /** Throws an Error when the service leads nowhere. */
  address(api: RemoteApi): ServiceAddress {
    return serviceAddress(api, this.#lookup, { random: this.#random, endpointsOnly: this.#endpointsOnly });
  }

  /** Starts a request; the caller sends the body and ends it. `path` with its query. */
  open(
    api: RemoteApi,
    address: ServiceAddress,
    options: {
      readonly method: string;
      readonly path: string;
      readonly headers: Readonly<Record<string, string | string[]>>;
    },
  ): ClientRequest {
    const outgoing = httpsRequest({
      host: address.host,
      port: address.port,
      servername: serverNameOf(api),
      agent: this.#agent(api),
      method: options.method,
      path: options.path,
      headers: { ...options.headers, host: `${address.host}:${address.port}` },
    });
    // Only until the connection stands: a watch may be silent for long.
    outgoing.setTimeout(connectMs, () => {
      if (outgoing.socket?.connecting !== false) {
        outgoing.destroy(Object.assign(new Error('dial timeout'), { code: 'ETIMEDOUT' }));
      }
    });
    return outgoing;
  }

  /** GET of a document as the aggregator itself. Rejects with an Error in Go's words. */
  async get(
    api: RemoteApi,
    path: string,
    options: { readonly timeoutMs: number; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<RemoteAnswer> {
    const address = this.address(api);
    return new Promise((resolve, reject) => {
      const outgoing = this.open(api, address, {
        method: 'GET',
        path,
        headers: { ...options.headers, ...identityHeaders(aggregatorUser) },
      });
      const signal = AbortSignal.timeout(options.timeoutMs);
      const fail = (error: unknown): void => {
        outgoing.destroy();
        reject(new Error(networkErrorText(signal.aborted ? signal.reason : error, address)));
      };
      signal.addEventListener('abort', fail);
      outgoing.once('error', fail);
      outgoing.once('response', (answer) => {
        const chunks: Buffer[] = [];
        let length = 0;
        answer.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > documentBytesMax) fail(new Error('the answer is too large'));
          else chunks.push(chunk);
        });
        answer.once('error', fail);
        answer.once('end', () => {
          signal.removeEventListener('abort', fail);
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) });
        });
      });
      outgoing.end();
    });
  }

  /** New connections show this one; those in use end with their requests. */
  renew(certificate: ProxyClientCertificate): void {
    this.#certificate = certificate;
    for (const agent of this.#agents.values()) retireAgent(agent);
    this.#agents.clear();
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  #agent(api: RemoteApi): Agent {
    const key = `${serverNameOf(api)} ${api.insecure ? 'insecure' : (api.caPem ?? '')}`;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      agent = new Agent({
        keepAlive: true,
        ...(this.#certificate === undefined
          ? {}
          : { cert: this.#certificate.certPem, key: this.#certificate.keyPem }),
        ...(api.insecure ? { rejectUnauthorized: false } : {}),
        ...(api.caPem === undefined ? {} : { ca: api.caPem }),
        // As Go: any certificate of the bundle may be trusted, the server's own too.
        allowPartialTrustChain: true,
      });
      this.#agents.set(key, agent);
    }
    return agent;
  }
}
