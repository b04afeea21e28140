import { createHash } from 'node:crypto';
import { jsonText } from '@pilothouse/apimachinery';
import type { BuiltinResource } from '@pilothouse/api';
import { buildOpenApiV2, buildOpenApiV3, openApiV3Paths } from '@pilothouse/api/openapi';
import type { OpenApiSchema } from '@pilothouse/api/openapi';
import { encodeOpenApiV2Protobuf, encodeOpenApiV3Protobuf } from '@pilothouse/serializer';
import { buildVersion } from '../version.ts';
import type { ForeignOpenApi } from './merge-openapi.ts';
import { mergeOpenApiV2 } from './merge-openapi.ts';

/** A document with the hash by which clients cache it. */
export interface OpenApiDocument {
  readonly body: Buffer;
  /** Upper-case hex. */
  readonly hash: string;
}

/** A v3 document made elsewhere: of custom resources or of an aggregated server. */
export interface OpenApiSource {
  readonly hash: string;
  /** JSON text. */
  text(): string | Promise<string>;
}

/** Custom resources of one group-version, for the document of everything. */
export interface CustomOpenApi {
  readonly resources: readonly BuiltinResource[];
  definitions(): Record<string, OpenApiSchema>;
  readonly kindName: (group: string, version: string, kind: string) => string | undefined;
}

function hashOf(text: string): string {
  return createHash('sha512').update(text).digest('hex').toUpperCase();
}

/**
 * OpenAPI v2 and v3 documents. They are large, so each is built when it is first asked for, and kept. Hashes depend on what is served
 * only, so that all replicas give the same.
 */
export class OpenApiDocuments {
  readonly #resources: readonly BuiltinResource[];
  readonly #served: readonly { group: string; version: string }[];
  readonly #v3 = new Map<string, OpenApiDocument>();
  readonly #v3Protobuf = new Map<string, OpenApiDocument>();
  readonly #added = new Map<string, OpenApiSource>();
  #custom: () => readonly CustomOpenApi[] = () => [];
  /** By name of the APIService, so that the document does not depend on who answered first. */
  readonly #foreign = new Map<string, ForeignOpenApi>();
  #v2: OpenApiDocument | undefined;
  #v2Protobuf: OpenApiDocument | undefined;

  constructor(resources: readonly BuiltinResource[]) {
    this.#resources = resources;
    const served = new Map(
      resources.map(({ group, version }) => [`${group}/${version}`, { group, version }]),
    );
    this.#served = [...served.values()];
  }

  /** Adds or replaces the document of a key such as `apis/example.com/v1`. */
  add(key: string, source: OpenApiSource): void {
    this.#added.set(key, source);
  }

  remove(key: string): void {
    this.#added.delete(key);
    this.#v3Protobuf.delete(key);
  }

  /** Whether the document of a key is made here. */
  isOwn(key: string): boolean {
    return openApiV3Paths(this.#served).includes(key);
  }

  /** Replaces the custom resources in the v2 document; they are asked for when it is. */
  customize(custom: () => readonly CustomOpenApi[]): void {
    this.#custom = custom;
    this.#forgetV2();
  }

  /** Adds, replaces or takes away the paths of another server in the v2 document. */
  mergeV2(name: string, foreign: ForeignOpenApi | undefined): void {
    if (foreign === undefined) this.#foreign.delete(name);
    else this.#foreign.set(name, foreign);
    this.#forgetV2();
  }

  #forgetV2(): void {
    this.#v2 = undefined;
    this.#v2Protobuf = undefined;
  }

  /** The v3 index: key → relative URL with the document's hash. */
  index(): { paths: Record<string, { serverRelativeURL: string }> } {
    const paths: Record<string, { serverRelativeURL: string }> = {};
    const keys = new Set([...openApiV3Paths(this.#served), ...this.#added.keys()]);
    for (const key of [...keys].sort()) {
      paths[key] = { serverRelativeURL: `/openapi/v3/${key}?hash=${this.#hash(key)}` };
    }
    return { paths };
  }

  #hash(key: string): string {
    const added = this.#added.get(key);
    if (added) return added.hash;
    const names = this.#resources
      .filter(({ group, version }) => key === (group === '' ? `api/${version}` : `apis/${group}/${version}`))
      .map(({ plural }) => plural);
    return hashOf(JSON.stringify([buildVersion.info.gitVersion, key, names]));
  }

  /** Undefined for an unknown key. */
  async v3(key: string): Promise<OpenApiDocument | undefined> {
    const added = this.#added.get(key);
    if (added) return { body: Buffer.from(await added.text()), hash: added.hash };
    let document = this.#v3.get(key);
    if (!document) {
      if (!openApiV3Paths(this.#served).includes(key)) return undefined;
      const built = buildOpenApiV3(key, { resources: this.#resources });
      if (!built) return undefined;
      document = { body: Buffer.from(jsonText(built)), hash: this.#hash(key) };
      this.#v3.set(key, document);
    }
    return document;
  }

  /** {@link v3} as gnostic's `openapi.v3.Document`, with the hash of the JSON form. */
  async v3Protobuf(key: string): Promise<OpenApiDocument | undefined> {
    const document = await this.v3(key);
    if (!document) return undefined;
    let encoded = this.#v3Protobuf.get(key);
    if (encoded?.hash !== document.hash) {
      const body = encodeOpenApiV3Protobuf(JSON.parse(document.body.toString()) as Record<string, unknown>);
      encoded = { body, hash: document.hash };
      this.#v3Protobuf.set(key, encoded);
    }
    return encoded;
  }

  v2(): OpenApiDocument {
    if (!this.#v2) {
      const document = this.#buildV2();
      const names = [...this.#foreign.keys()].sort();
      if (names.length > 0)
        mergeOpenApiV2(
          document,
          names.map((name) => this.#foreign.get(name) as ForeignOpenApi),
        );
      const body = Buffer.from(jsonText(document));
      this.#v2 = { body, hash: hashOf(body.toString('latin1')) };
    }
    return this.#v2;
  }

  /** The v2 document as gnostic's `openapi.v2.Document`; its hash is that of the JSON form. */
  v2Protobuf(): OpenApiDocument {
    if (!this.#v2Protobuf) {
      const { body, hash } = this.v2();
      const document = JSON.parse(body.toString()) as Record<string, unknown>;
      this.#v2Protobuf = { body: encodeOpenApiV2Protobuf(document), hash };
    }
    return this.#v2Protobuf;
  }

  #buildV2(): OpenApiSchema {
    const custom = this.#custom();
    if (custom.length === 0) return buildOpenApiV2({ resources: this.#resources });
    return buildOpenApiV2({
      resources: [...this.#resources, ...custom.flatMap(({ resources }) => resources)],
      extraDefinitions: Object.assign({}, ...custom.map((each) => each.definitions())) as Record<
        string,
        OpenApiSchema
      >,
      kindName: (group, version, kind) => {
        for (const each of custom) {
          const name = each.kindName(group, version, kind);
          if (name !== undefined) return name;
        }
        return undefined;
      },
    });
  }
}
