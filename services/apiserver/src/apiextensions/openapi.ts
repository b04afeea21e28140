import { jsonText } from '@pilothouse/apimachinery';
import { createHash } from 'node:crypto';
import { runSteps, type Steps } from '@pilothouse/base';
import type { BuiltinResource } from '@pilothouse/api';
import type { JsonSchema } from '@pilothouse/api/apiextensions';
import { DefinitionBuilder, openApiV3Steps } from '@pilothouse/api/openapi';
import type { OpenApiSchema } from '@pilothouse/api/openapi';
import type { CustomOpenApi, OpenApiDocuments, OpenApiSource } from '../endpoints/openapi-documents.ts';
import type { GroupVersionResources } from './custom-resources.ts';

const mainVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const subresourceVerbs = ['get', 'patch', 'update'];

/** Keeps the OpenAPI documents in step with the custom resources that are served. */
export class CustomOpenApiPublisher {
  readonly #documents: OpenApiDocuments;
  readonly #served = new Map<string, GroupVersionResources>();

  constructor(documents: OpenApiDocuments) {
    this.#documents = documents;
  }

  publish(changed: readonly GroupVersionResources[]): void {
    for (const each of changed) {
      const key = `apis/${each.group}/${each.version}`;
      if (!each.isServed) {
        this.#served.delete(key);
        this.#documents.remove(key);
      } else {
        this.#served.set(key, each);
        this.#documents.add(key, this.#source(key, each));
      }
      const groupKey = `apis/${each.group}`;
      const isLast = ![...this.#served.values()].some(({ group }) => group === each.group);
      if (isLast) this.#documents.remove(groupKey);
      else {
        this.#documents.add(groupKey, {
          hash: hashOf(groupKey),
          *document() {
            return (yield* openApiV3Steps(groupKey)) ?? {};
          },
        });
      }
    }
    this.#documents.customize(() => [...this.#served.values()].map((each) => customOpenApi(each, 'v2')));
  }

  // Definitions come by the hundred, and nobody may ask in between: nothing is made before it is asked for.
  #source(key: string, served: GroupVersionResources): OpenApiSource {
    let hash: string | undefined;
    return {
      get hash() {
        return (hash ??= hashOf(
          [served.group, served.version, ...served.definitions.map(hashOfDefinition)].join(),
        ));
      },
      *document() {
        const { resources, kindName, definitions } = customOpenApi(served, 'v3');
        const extraDefinitions = yield* definitions();
        return (yield* openApiV3Steps(key, { resources, kindName, extraDefinitions })) ?? {};
      },
    };
  }
}

/** By spec: each state of a definition has one of its own. */
const hashes = new WeakMap<object, string>();

function hashOfDefinition({ spec, names }: GroupVersionResources['definitions'][number]): string {
  let hash = hashes.get(spec);
  if (hash === undefined) {
    hash = hashOf(jsonText([spec, names]));
    hashes.set(spec, hash);
  }
  return hash;
}

function hashOf(text: string): string {
  return createHash('sha512').update(text).digest('hex').toUpperCase();
}

/** `com.example.v1.Website`. */
function openApiName(group: string, version: string, kind: string): string {
  return [...group.split('.').reverse(), version, kind].join('.');
}

/** Resources and definitions of a group-version. The schemas come to nothing until {@link CustomOpenApi.definitions} is called. */
function customOpenApi(
  { group, version, definitions }: GroupVersionResources,
  form: 'v2' | 'v3',
): CustomOpenApi {
  const kinds = new Set(
    definitions.flatMap(({ names }) => [names.kind, names.listKind ?? `${names.kind}List`]),
  );
  const resources = definitions.map(({ spec, names }): BuiltinResource => {
    const { subresources } = spec.versions.find(({ name }) => name === version) ?? {};
    return {
      group,
      version,
      plural: names.plural,
      singular: names.singular ?? '',
      kind: names.kind,
      namespaced: spec.scope === 'Namespaced',
      verbs: mainVerbs,
      served: 'default',
      subresources: [
        ...(subresources?.status === undefined
          ? []
          : [{ name: 'status', kind: names.kind, verbs: subresourceVerbs }]),
        ...(subresources?.scale === undefined
          ? []
          : [{ name: 'scale', group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: subresourceVerbs }]),
      ],
    };
  });
  const render = function* (): Steps<Record<string, OpenApiSchema>> {
    const { shared, typeMeta, objectMeta, listMeta } = metaDefinitions(form, [group, version]);
    const out: Record<string, OpenApiSchema> = { ...shared };
    for (const { spec, names } of definitions) {
      const schema = spec.versions.find(({ name }) => name === version)?.schema?.openAPIV3Schema ?? {};
      const name = openApiName(group, version, names.kind);
      const listKind = names.listKind ?? `${names.kind}List`;
      const tag = (kind: string) => ({ 'x-kubernetes-group-version-kind': [{ group, kind, version }] });
      const own = published(schema, form);
      const properties = {
        ...(own['properties'] as object | undefined),
        ...typeMeta,
        metadata: objectMeta,
      };
      out[name] = { ...own, type: 'object', properties: sorted(properties), ...tag(names.kind) };
      const items = { $ref: `${form === 'v2' ? '#/definitions/' : '#/components/schemas/'}${name}` };
      out[openApiName(group, version, listKind)] = {
        description: `${listKind} is a list of ${names.kind}`,
        type: 'object',
        required: ['items'],
        properties: sorted({
          ...typeMeta,
          metadata: listMeta,
          items: {
            description: `List of ${names.plural}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md`,
            type: 'array',
            items,
          },
        }),
        ...tag(listKind),
      };
      yield;
    }
    return out;
  };
  return {
    resources,
    definitions: render,
    kindName: (ofGroup, ofVersion, kind) =>
      ofGroup === group && ofVersion === version && kinds.has(kind)
        ? openApiName(group, version, kind)
        : undefined,
  };
}

function sorted(properties: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The members that every object and list has, as built-in kinds publish them, and the definitions behind them. */
function metaDefinitions(form: 'v2' | 'v3', groupVersion: readonly [string, string]) {
  const builder = new DefinitionBuilder(form, groupVersion);
  builder.ref('k8s.io.api.core.v1.ConfigMap');
  builder.ref('k8s.io.api.core.v1.ConfigMapList');
  const shared = runSteps(builder.finish());
  const memberOf = (kind: string, name: string): unknown =>
    (shared[`io.k8s.api.core.v1.${kind}`]?.['properties'] as Record<string, unknown> | undefined)?.[name];
  const found = {
    typeMeta: { apiVersion: memberOf('ConfigMap', 'apiVersion'), kind: memberOf('ConfigMap', 'kind') },
    objectMeta: memberOf('ConfigMap', 'metadata'),
    listMeta: memberOf('ConfigMapList', 'metadata'),
  };
  delete shared['io.k8s.api.core.v1.ConfigMap'];
  delete shared['io.k8s.api.core.v1.ConfigMapList'];
  return { shared, ...found };
}

const notInV2 = new Set([
  'oneOf',
  'anyOf',
  'allOf',
  'not',
  'nullable',
  'default',
  'x-kubernetes-validations',
]);

/** A schema as it is published. Swagger 2.0 cannot say everything: what it cannot is left out, so that clients do not refuse good objects. */
function published(schema: JsonSchema, form: 'v2' | 'v3'): Record<string, unknown> {
  if (form === 'v3') return { ...schema };
  const out: Record<string, unknown> = {};
  const intOrString = schema['x-kubernetes-int-or-string'] === true;
  const keepsUnknown = schema['x-kubernetes-preserve-unknown-fields'] === true;
  for (const [key, value] of Object.entries(schema)) {
    if (notInV2.has(key)) continue;
    if (keepsUnknown && (key === 'properties' || key === 'items' || key === 'required')) continue;
    if (key === 'type' && (schema.nullable === true || intOrString)) continue;
    if (key === 'properties') {
      out[key] = Object.fromEntries(
        Object.entries(value as Record<string, JsonSchema>).map(([name, each]) => [
          name,
          published(each, form),
        ]),
      );
    } else if ((key === 'items' || key === 'additionalProperties') && typeof value === 'object') {
      out[key] = published(value as JsonSchema, form);
    } else out[key] = value as unknown;
  }
  if (schema.nullable === true)
    for (const key of ['properties', 'items', 'additionalProperties']) delete out[key];
  return out;
}
