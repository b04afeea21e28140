import { createHash } from 'node:crypto';
import type { BuiltinResource } from '@pilothouse/api';
import { openApiV2Steps, openApiV3Paths, openApiV3Steps } from '@pilothouse/api/openapi';
import type { OpenApiSchema } from '@pilothouse/api/openapi';
import type { Steps } from '@pilothouse/base';
import { openApiV2ProtobufSteps, openApiV3ProtobufSteps } from '@pilothouse/serializer';
import { buildVersion } from '../version.ts';
import { jsonSteps } from './json-steps.ts';
import type { ForeignOpenApi } from './merge-openapi.ts';
import { mergeOpenApiV2 } from './merge-openapi.ts';
import { paceSteps, type Pace } from './pace-steps.ts';

/** A document with the hash by which clients cache it. */
export interface OpenApiDocument {
  readonly body: Buffer;
  /** Upper-case hex. */
  readonly hash: string;
}

/** A v3 document that others bring: of custom resources, to be made here, or of an aggregated server, as that one wrote it. */
export type OpenApiSource = {
  /** Names the content. */
  readonly hash: string;
} & ({ document(): Steps<OpenApiSchema> } | { text(): Promise<string> });

/** Custom resources of one group-version, for the document of everything. */
export interface CustomOpenApi {
  readonly resources: readonly BuiltinResource[];
  definitions(): Steps<Record<string, OpenApiSchema>>;
  readonly kindName: (group: string, version: string, kind: string) => string | undefined;
}

/** What the v2 document is made of, at one moment. */
interface Everything {
  readonly custom: readonly CustomOpenApi[];
  /** In the order of their names. */
  readonly foreign: readonly ForeignOpenApi[];
}

/** Members of documents down to here are steps: paths and methods, schemas. */
const stepDepth = 3;

function hashOf(text: string): string {
  return createHash('sha512').update(text).digest('hex').toUpperCase();
}

/**
 * OpenAPI v2 and v3 documents. They are large, so each is built when it is first asked for, once for all who ask, and kept. With hundreds of
 * custom resources that takes a second, in which others are served in between. Hashes depend on what is served only, so that all replicas
 * give the same.
 */
export class OpenApiDocuments {
  readonly #resources: readonly BuiltinResource[];
  readonly #served: readonly { group: string; version: string }[];
  readonly #pace: Pace;
  /** By form and key, with what it was made from. */
  readonly #built = new Map<string, { readonly of: unknown; readonly document: Promise<OpenApiDocument> }>();
  readonly #added = new Map<string, OpenApiSource>();
  #custom: () => readonly CustomOpenApi[] = () => [];
  /** By name of the APIService, so that the document does not depend on who answered first. */
  readonly #foreign = new Map<string, ForeignOpenApi>();
  #everything: Everything | undefined;

  constructor(resources: readonly BuiltinResource[], pace: Pace) {
    this.#resources = resources;
    this.#pace = pace;
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
    this.#built.delete(`v3/${key}`);
    this.#built.delete(`v3-protobuf/${key}`);
  }

  /** Whether the document of a key is made here. */
  isOwn(key: string): boolean {
    return openApiV3Paths(this.#served).includes(key);
  }

  /** Replaces the custom resources in the v2 document; they are asked for when it is. */
  customize(custom: () => readonly CustomOpenApi[]): void {
    this.#custom = custom;
    this.#everything = undefined;
  }

  /** Adds, replaces or takes away the paths of another server in the v2 document. */
  mergeV2(name: string, foreign: ForeignOpenApi | undefined): void {
    if (foreign === undefined) this.#foreign.delete(name);
    else this.#foreign.set(name, foreign);
    this.#everything = undefined;
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
    const source = this.#sourceOf(key);
    if (source === undefined) return undefined;
    const { hash } = source;
    // What another server wrote is asked for each time: it may have changed under the same hash.
    if ('text' in source) return { body: Buffer.from(await source.text()), hash };
    return this.#keep(`v3/${key}`, hash, async () => {
      const document = await paceSteps(source.document(), this.#pace);
      return { body: await paceSteps(jsonSteps(document, stepDepth), this.#pace), hash };
    });
  }

  /** {@link v3} as gnostic's `openapi.v3.Document`, with the hash of the JSON form. */
  async v3Protobuf(key: string): Promise<OpenApiDocument | undefined> {
    const source = this.#sourceOf(key);
    if (source === undefined) return undefined;
    const { hash } = source;
    const made = async (): Promise<OpenApiDocument> => {
      const document =
        'text' in source
          ? (JSON.parse(await source.text()) as OpenApiSchema)
          : await paceSteps(source.document(), this.#pace);
      return { body: await paceSteps(openApiV3ProtobufSteps(document), this.#pace), hash };
    };
    return this.#keep(`v3-protobuf/${key}`, hash, made);
  }

  #sourceOf(key: string): OpenApiSource | undefined {
    const added = this.#added.get(key);
    if (added !== undefined || !this.isOwn(key)) return added;
    const resources = this.#resources;
    return {
      hash: this.#hash(key),
      *document() {
        return (yield* openApiV3Steps(key, { resources })) ?? {};
      },
    };
  }

  v2(): Promise<OpenApiDocument> {
    return this.#v2(this.#all());
  }

  #v2(everything: Everything): Promise<OpenApiDocument> {
    return this.#keep('v2', everything, async () => {
      const document = await paceSteps(this.#v2Steps(everything), this.#pace);
      const body = await paceSteps(jsonSteps(document, stepDepth), this.#pace);
      return { body, hash: hashOf(body.toString('latin1')) };
    });
  }

  /** The v2 document as gnostic's `openapi.v2.Document`; its hash is that of the JSON form. */
  v2Protobuf(): Promise<OpenApiDocument> {
    const everything = this.#all();
    return this.#keep('v2-protobuf', everything, async () => {
      const { hash } = await this.#v2(everything);
      const document = await paceSteps(this.#v2Steps(everything), this.#pace);
      return { body: await paceSteps(openApiV2ProtobufSteps(document), this.#pace), hash };
    });
  }

  #all(): Everything {
    this.#everything ??= {
      custom: this.#custom(),
      foreign: [...this.#foreign.keys()].sort().map((name) => this.#foreign.get(name) as ForeignOpenApi),
    };
    return this.#everything;
  }

  *#v2Steps({ custom, foreign }: Everything): Steps<OpenApiSchema> {
    const extraDefinitions: Record<string, OpenApiSchema> = {};
    for (const each of custom) Object.assign(extraDefinitions, yield* each.definitions());
    const document = yield* openApiV2Steps({
      resources: [...this.#resources, ...custom.flatMap(({ resources }) => resources)],
      extraDefinitions,
      kindName: (group, version, kind) => {
        for (const each of custom) {
          const name = each.kindName(group, version, kind);
          if (name !== undefined) return name;
        }
        return undefined;
      },
    });
    if (foreign.length > 0) mergeOpenApiV2(document, foreign);
    return document;
  }

  /** What was made of `of`, or is being made; another `of` replaces it. A failure is not kept. */
  #keep(slot: string, of: unknown, make: () => Promise<OpenApiDocument>): Promise<OpenApiDocument> {
    const known = this.#built.get(slot);
    if (known !== undefined && known.of === of) return known.document;
    const entry = { of, document: make() };
    this.#built.set(slot, entry);
    entry.document.catch(() => {
      if (this.#built.get(slot) === entry) this.#built.delete(slot);
    });
    return entry.document;
  }
}
