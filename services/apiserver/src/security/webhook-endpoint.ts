import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock, Random } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import { FlagError } from '@pilothouse/host';
import { decodeYaml } from '@pilothouse/serializer';
import type { HttpsPeer } from './https-json.ts';
import { HttpsClient } from './https-json.ts';

/** Attempts and waits of upstream's webhooks. */
const attempts = 5;
const firstWaitMs = 500;
const waitFactor = 1.5;
const waitJitter = 0.2;

/** Where a webhook is and how this server proves itself to it. */
export interface WebhookAccess {
  readonly url: string;
  readonly peer: HttpsPeer;
  readonly headers: Readonly<Record<string, string>>;
}

type Entry = Readonly<Record<string, unknown>>;

/**
 * Reads a kubeconfig file that describes a webhook: the cluster is the webhook, the user is this server. Throws FlagError that names the
 * file and what is missing, never a value of it.
 */
export function readWebhookAccess(file: string): WebhookAccess {
  const kubeconfig = new WebhookKubeconfig(file);
  const context = kubeconfig.find('contexts', 'context', kubeconfig.currentContext);
  const cluster = kubeconfig.find('clusters', 'cluster', context['cluster']);
  const user = context['user'] === undefined ? {} : kubeconfig.find('users', 'user', context['user']);
  const url = textOf(cluster, 'server');
  if (url === undefined || !url.startsWith('https://'))
    throw kubeconfig.wrong('its server must be an https URL');
  const { headers, ...identity } = kubeconfig.identityOf(user);
  const caPem = kubeconfig.pem(cluster, 'certificate-authority');
  const serverName = textOf(cluster, 'tls-server-name');
  return {
    url,
    peer: {
      ...identity,
      ...(caPem === undefined ? {} : { caPem }),
      ...(serverName === undefined ? {} : { serverName }),
      ...(cluster['insecure-skip-tls-verify'] === true ? { insecure: true } : {}),
    },
    headers,
  };
}

/** How this server proves itself to a webhook. */
export interface WebhookIdentity {
  readonly certPem?: string;
  readonly keyPem?: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A kubeconfig file about webhooks. Each method throws FlagError that names the file. */
export class WebhookKubeconfig {
  readonly #file: string;
  readonly #document: Entry;

  constructor(file: string) {
    this.#file = file;
    try {
      this.#document = (decodeYaml(readFileSync(file, 'utf8')).value ?? {}) as Entry;
    } catch (error) {
      throw this.wrong(
        (error as { syscall?: string }).syscall === undefined ? 'it is no YAML' : errorMessage(error),
      );
    }
  }

  get currentContext(): unknown {
    return this.#document['current-context'];
  }

  wrong(detail: string): FlagError {
    return new FlagError(`Cannot use webhook kubeconfig "${this.#file}": ${detail}`);
  }

  entries(list: string): readonly Entry[] {
    const entries = this.#document[list];
    return Array.isArray(entries) ? (entries as Entry[]) : [];
  }

  find(list: string, member: string, name: unknown): Entry {
    const entry = this.entries(list).find((each) => each['name'] === name);
    if (entry === undefined) throw this.wrong(`it has no ${member} "${String(name ?? '')}"`);
    return (entry[member] ?? {}) as Entry;
  }

  identityOf(user: Entry): WebhookIdentity {
    for (const method of ['exec', 'auth-provider']) {
      if (user[method] !== undefined)
        throw this.wrong(
          `its user has "${method}", which this server does not run; use a client certificate, "token", "tokenFile", or "username" and "password"`,
        );
    }
    const tokenFile = textOf(user, 'tokenFile');
    const token =
      textOf(user, 'token') ?? (tokenFile === undefined ? undefined : this.#content(tokenFile).trim());
    const name = textOf(user, 'username');
    const certPem = this.pem(user, 'client-certificate');
    const keyPem = this.pem(user, 'client-key');
    const authorization =
      token !== undefined
        ? `Bearer ${token}`
        : name === undefined
          ? undefined
          : `Basic ${Buffer.from(`${name}:${textOf(user, 'password') ?? ''}`).toString('base64')}`;
    return {
      ...(certPem === undefined ? {} : { certPem }),
      ...(keyPem === undefined ? {} : { keyPem }),
      headers: authorization === undefined ? {} : { authorization },
    };
  }

  pem(holder: Entry, key: string): string | undefined {
    const inline = textOf(holder, `${key}-data`);
    if (inline !== undefined) return Buffer.from(inline, 'base64').toString('utf8');
    const name = textOf(holder, key);
    return name === undefined ? undefined : this.#content(name);
  }

  #content(name: string): string {
    try {
      return readFileSync(path.resolve(path.dirname(this.#file), name), 'utf8');
    } catch (error) {
      throw this.wrong(errorMessage(error));
    }
  }
}

function textOf(holder: Entry, key: string): string | undefined {
  const value = holder[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Sends reviews to one webhook. */
export class WebhookEndpoint {
  readonly #access: WebhookAccess;
  readonly #client: HttpsClient;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #firstWaitMs: number;

  constructor(access: WebhookAccess, ports: { clock: Clock; random: Random; firstWaitMs?: number }) {
    this.#firstWaitMs = ports.firstWaitMs ?? firstWaitMs;
    this.#access = access;
    this.#client = new HttpsClient(access.peer);
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  /**
   * POSTs a review and gives the parsed answer. Tries again, five times in all, after a reset connection, 429, 500 and 504; the whole
   * takes `timeoutMs` at most. Rejects with an Error whose text has no part of the review.
   */
  async post(review: object, timeoutMs: number): Promise<Readonly<Record<string, unknown>>> {
    const body = JSON.stringify(review);
    const deadline = this.#clock.monotonic() + timeoutMs;
    let waitMs = this.#firstWaitMs;
    for (let attempt = 1; ; attempt++) {
      const leftMs = deadline - this.#clock.monotonic();
      if (leftMs <= 0) throw new Error(`Post "${this.#access.url}": context deadline exceeded`);
      try {
        return await this.#once(body, leftMs);
      } catch (error) {
        const again = error instanceof Temporary || (error as { code?: string }).code === 'ECONNRESET';
        if (!again || attempt === attempts) throw error;
        await sleep(this.#clock, waitMs * (1 + waitJitter * this.#random.float()));
        waitMs *= waitFactor;
      }
    }
  }

  close(): void {
    this.#client.close();
  }

  async #once(body: string, timeoutMs: number): Promise<Readonly<Record<string, unknown>>> {
    const { url, headers } = this.#access;
    const answer = await this.#client.send(url, {
      method: 'POST',
      headers: { 'user-agent': 'kube-apiserver', ...headers },
      body,
      timeoutMs,
    });
    if (answer.status < 200 || answer.status > 299) {
      const text = `the webhook ${url} answered with status ${answer.status}`;
      throw [429, 500, 504].includes(answer.status) ? new Temporary(text) : new Error(text);
    }
    try {
      const parsed: unknown = JSON.parse(answer.text);
      if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>;
    } catch {
      // Told below.
    }
    throw new Error(`the webhook ${url} answered with something that is no JSON object`);
  }
}

class Temporary extends Error {}
