import { createHash } from 'node:crypto';
import { errorMessage } from '@pilothouse/base';
import { statusErrors } from '@pilothouse/apimachinery';
import type { OpenApiDocuments } from '../endpoints/openapi-documents.ts';
import type { RemoteApi } from './remote-api.ts';
import { pathOf } from './remote-api.ts';
import type { RemoteConnections } from './remote-connections.ts';

const timeoutMs = 60_000;

/** Keeps the OpenAPI documents of one remote group-version among those of this server. */
export class RemoteOpenApi {
  readonly #documents: OpenApiDocuments;
  readonly #connections: RemoteConnections;
  readonly #keys = new Map<string, string[]>();
  readonly #tags = new Map<string, string>();

  constructor(documents: OpenApiDocuments, connections: RemoteConnections) {
    this.#documents = documents;
    this.#connections = connections;
  }

  /** Asks the server again. Rejects with an Error when it cannot answer; what was known stays. */
  async refresh(api: RemoteApi): Promise<void> {
    await this.#refreshV3(api);
    await this.#refreshV2(api);
  }

  forget(name: string): void {
    for (const key of this.#keys.get(name) ?? []) this.#documents.remove(key);
    this.#keys.delete(name);
    if (this.#tags.delete(name)) this.#documents.mergeV2(name, undefined);
  }

  async #refreshV3(api: RemoteApi): Promise<void> {
    const answer = await this.#connections.get(api, '/openapi/v3', {
      timeoutMs,
      headers: { accept: 'application/json' },
    });
    if (answer.status === 404) return;
    if (answer.status !== 200) throw new Error(`status ${answer.status} of /openapi/v3`);
    const { paths = {} } = JSON.parse(answer.body.toString()) as {
      paths?: Record<string, { serverRelativeURL?: string }>;
    };
    const own = pathOf(api).slice(1);
    const keys = [own, own.slice(0, own.lastIndexOf('/'))].filter(
      // The group's document is this server's when it serves a version of the group itself.
      (key) => paths[key] !== undefined && (key === own || !this.#documents.isOwn(key)),
    );
    for (const key of keys) {
      const url = paths[key]?.serverRelativeURL ?? `/openapi/v3/${key}`;
      this.#documents.add(key, {
        hash: new URL(url, 'https://server').searchParams.get('hash') ?? hashOf(url),
        text: () => this.#text(api, url),
      });
    }
    for (const key of this.#keys.get(api.name) ?? []) if (!keys.includes(key)) this.#documents.remove(key);
    this.#keys.set(api.name, keys);
  }

  async #text(api: RemoteApi, url: string): Promise<string> {
    let status: number;
    try {
      const answer = await this.#connections.get(api, url, {
        timeoutMs,
        headers: { accept: 'application/json' },
      });
      if (answer.status === 200) return answer.body.toString();
      ({ status } = answer);
    } catch (error) {
      throw statusErrors.serviceUnavailable(errorMessage(error));
    }
    throw statusErrors.serviceUnavailable(
      `The server of ${api.name} answered ${status} for its OpenAPI document`,
    );
  }

  async #refreshV2(api: RemoteApi): Promise<void> {
    const tag = this.#tags.get(api.name) ?? '';
    const answer = await this.#connections.get(api, '/openapi/v2', {
      timeoutMs,
      headers: { accept: 'application/json', ...(tag === '' ? {} : { 'if-none-match': tag }) },
    });
    if (answer.status === 304 || answer.status === 404) return;
    if (answer.status !== 200) throw new Error(`status ${answer.status} of /openapi/v2`);
    const newTag = answer.headers.etag ?? hashOf(answer.body);
    if (newTag === tag) return;
    const document = JSON.parse(answer.body.toString()) as Record<string, unknown>;
    this.#tags.set(api.name, newTag);
    this.#documents.mergeV2(api.name, { document, prefix: `${pathOf(api)}/` });
  }
}

function hashOf(content: string | Buffer): string {
  return createHash('sha512').update(content).digest('hex').toUpperCase();
}
