import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import { errorMessage } from '@pilothouse/base';
import { FlagError } from '@pilothouse/host';
import { decodeYaml } from '@pilothouse/serializer';
import type { HttpsPeer } from './https-json.ts';

/** Where a webhook is and how this server proves itself to it. */
export interface WebhookAccess {
  readonly url: string;
  readonly peer: HttpsPeer;
  readonly headers: Readonly<Record<string, string>>;
}

type Entry = Readonly<Record<string, unknown>>;

/** What a kubeconfig file says of a webhook: the cluster is the webhook, the user is this server. Throws FlagError. */
export function webhookAccess(kubeconfig: WebhookKubeconfig): WebhookAccess {
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

/**
 * A kubeconfig file about webhooks, read once, as upstream does; the files that it names may be read again. What throws, throws FlagError that
 * names the file and what is wrong, never a value of it.
 */
export class WebhookKubeconfig {
  readonly #file: string;
  readonly #document: Entry;
  /** Of the files it names, as last read. */
  readonly #contents = new Map<string, string>();

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

  /** For messages. */
  get file(): string {
    return this.#file;
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
    const token = this.#token(user);
    const name = textOf(user, 'username');
    const certPem = this.pem(user, 'client-certificate');
    const keyPem = this.pem(user, 'client-key');
    if (certPem !== undefined && keyPem !== undefined) {
      try {
        createSecureContext({ cert: certPem, key: keyPem });
      } catch (error) {
        throw this.wrong(`its client certificate and key cannot be used: ${errorMessage(error)}`);
      }
    }
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

  /** Reads the files that were asked for again; whether one of them differs. Rejects with FlagError; then nothing changed. */
  async reread(): Promise<boolean> {
    const newest = await Promise.all(
      [...this.#contents.keys()].map(async (name) => {
        try {
          return [name, await readFile(this.#path(name), 'utf8')] as const;
        } catch (error) {
          throw this.wrong(errorMessage(error));
        }
      }),
    );
    const changed = newest.filter(([name, text]) => text !== this.#contents.get(name));
    for (const [name, text] of changed) this.#contents.set(name, text);
    return changed.length > 0;
  }

  /** The token of a file counts before the one that is written out, which stands in for it. */
  #token(user: Entry): string | undefined {
    const written = textOf(user, 'token');
    const file = textOf(user, 'tokenFile');
    if (file === undefined) return written;
    try {
      const token = this.#content(file).trim();
      if (token !== '') return token;
      throw this.wrong(`the token file "${file}" is empty`);
    } catch (error) {
      if (written !== undefined) return written;
      throw error;
    }
  }

  #path(name: string): string {
    return path.resolve(path.dirname(this.#file), name);
  }

  #content(name: string): string {
    const known = this.#contents.get(name);
    if (known !== undefined) return known;
    try {
      const text = readFileSync(this.#path(name), 'utf8');
      this.#contents.set(name, text);
      return text;
    } catch (error) {
      throw this.wrong(errorMessage(error));
    }
  }
}

function textOf(holder: Entry, key: string): string | undefined {
  const value = holder[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
