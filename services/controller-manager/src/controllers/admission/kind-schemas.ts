import type { OpenApiComponents } from '@pilothouse/api/admissionregistration';
import { openApiSchemaOf } from '@pilothouse/api/admissionregistration';
import type { JsonSchema } from '@pilothouse/api/apiextensions';
import type { GroupVersionKind } from '@pilothouse/apimachinery';
import { apiVersionOf, hasReason } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { RestClient } from '@pilothouse/client';

interface ResourceList {
  readonly resources?: readonly { readonly name: string; readonly kind: string }[];
}

/** Documents are large; several policies are usually about the same kinds. */
const keptMs = 30_000;
const documentsMax = 8;

/** Kinds and their schemas as the API server publishes them, custom resources too. */
export class KindSchemas {
  readonly #client: RestClient;
  readonly #clock: Clock;
  readonly #documents = new Map<string, { readonly atMs: number; readonly document: Promise<unknown> }>();

  constructor(client: RestClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Undefined: no such resource is served. */
  async kindOf(group: string, version: string, resource: string): Promise<GroupVersionKind | undefined> {
    const list = (await this.#read(pathOf(group, version))) as ResourceList | undefined;
    const found = list?.resources?.find(({ name }) => name === resource);
    return found === undefined ? undefined : { group, version, kind: found.kind };
  }

  /** Undefined: nothing is known about the kind. */
  async schemaOf(kind: GroupVersionKind): Promise<JsonSchema | undefined> {
    const document = await this.#read(`/openapi/v3${pathOf(kind.group, kind.version)}`);
    return document === undefined ? undefined : openApiSchemaOf(document as OpenApiComponents, kind);
  }

  async #read(path: string): Promise<unknown> {
    const now = this.#clock.monotonic();
    let kept = this.#documents.get(path);
    if (kept === undefined || now - kept.atMs > keptMs) {
      const document = this.#client.raw('GET', path).catch((error: unknown) => {
        this.#documents.delete(path);
        if (hasReason(error, 'NotFound')) return undefined;
        throw error;
      });
      kept = { atMs: now, document };
      this.#documents.delete(path);
      this.#documents.set(path, kept);
      const [oldest] = this.#documents.keys();
      if (this.#documents.size > documentsMax && oldest !== undefined) this.#documents.delete(oldest);
    }
    return kept.document;
  }
}

const pathOf = (group: string, version: string): string =>
  group === '' ? `/api/${version}` : `/apis/${apiVersionOf(group, version)}`;
