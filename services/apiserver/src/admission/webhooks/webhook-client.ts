import https from 'node:https';
import { parseExact } from '@pilothouse/apimachinery';
import type { WebhookIdentity } from '../../security/webhook-kubeconfig.ts';
import { networkErrorText } from '../../node/network-error.ts';
import { retireAgent } from '../../node/retire-agent.ts';
import { checkServerName } from '../../node/server-identity.ts';
import type { WebhookTarget } from './service-resolver.ts';
import type { WebhookCredentials } from './webhook-credentials.ts';

/** The answer of a webhook may not be larger. */
const responseBytesMax = 7 * 1024 * 1024;
const agentsMax = 256;

/** POSTs JSON to webhooks over kept connections. */
export class WebhookClient {
  readonly #agents = new Map<string, https.Agent>();
  readonly #credentials: WebhookCredentials | undefined;

  /** Without credentials webhooks are asked anonymously. */
  constructor(credentials?: WebhookCredentials) {
    this.#credentials = credentials;
    if (credentials !== undefined)
      credentials.onChange = () => {
        for (const agent of this.#agents.values()) retireAgent(agent);
        this.#agents.clear();
      };
  }

  /** The parsed answer. Rejects with an Error in Go's words: connection, certificate, time, status, no JSON. */
  async post(
    target: WebhookTarget,
    caPem: string | undefined,
    body: string,
    timeoutMs: number,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<unknown> {
    const identity = await this.#credentials?.for(target.serverName, target.namedPort ?? target.port);
    const { status, text } = await this.#send(target, caPem, identity, body, timeoutMs, headers);
    if (status === 404) throw new Error('the server could not find the requested resource');
    if (status < 200 || status > 299) {
      throw new Error(
        `an error on the server (${JSON.stringify(text.slice(0, 2048))}) has prevented the request from succeeding`,
      );
    }
    return parseExact(text);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  #send(
    target: WebhookTarget,
    caPem: string | undefined,
    identity: WebhookIdentity | undefined,
    body: string,
    timeoutMs: number,
    headers: Readonly<Record<string, string>>,
  ): Promise<{ status: number; text: string }> {
    const post = (detail: string): Error => new Error(`Post "${target.url}": ${detail}`);
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          host: target.host,
          port: target.port,
          path: target.path,
          method: 'POST',
          servername: /^[\d.]+$|:/.test(target.serverName) ? '' : target.serverName,
          agent: this.#agent(caPem, identity),
          ...(identity?.certPem === undefined ? {} : { cert: identity.certPem, key: identity.keyPem }),
          ...(caPem === undefined ? {} : { ca: caPem }),
          // As Go: a bundle may hold the server's own certificate (envtest does that) or an intermediate one.
          allowPartialTrustChain: true,
          checkServerIdentity: checkServerName,
          headers: {
            'content-type': 'application/json',
            accept: 'application/json',
            'user-agent': 'kube-apiserver-admission',
            'content-length': Buffer.byteLength(body),
            ...identity?.headers,
            ...headers,
          },
          signal: AbortSignal.timeout(timeoutMs),
        },
        (response) => {
          const chunks: Buffer[] = [];
          let length = 0;
          response.on('data', (chunk: Buffer) => {
            length += chunk.length;
            if (length > responseBytesMax) request.destroy(post('the answer is too large'));
            else chunks.push(chunk);
          });
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
          );
          response.on('error', (error) => reject(post(networkErrorText(error, target))));
        },
      );
      request.on('error', (error) =>
        reject(error.message.startsWith('Post ') ? error : post(networkErrorText(error, target))),
      );
      request.end(body);
    });
  }

  #agent(caPem: string | undefined, identity: WebhookIdentity | undefined): https.Agent {
    const key = `${caPem ?? ''}${identity?.certPem ?? ''}`;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      if (this.#agents.size >= agentsMax) this.close();
      agent = new https.Agent({ keepAlive: true, maxSockets: 64 });
      this.#agents.set(key, agent);
    }
    return agent;
  }
}
