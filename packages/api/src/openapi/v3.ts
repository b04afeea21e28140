import { runSteps, type Steps } from '@pilothouse/base';
import type { BuiltinGroupVersion, BuiltinResource } from '../discovery-data.ts';
import { featureGates } from '../generated/feature-gates.ts';
import { builtinGroupVersions, builtinResources } from '../generated/resources.ts';
import { builtinSchemas } from '../schemas.ts';
import { DefinitionBuilder, type OpenApiSchema } from './definitions.ts';
import {
  discoveryPath,
  type PathEntry,
  type PathOperation,
  resourcePaths,
  type TypeName,
} from './operations.ts';
import { type ParameterFacts, splitParameters } from './parameters.ts';

export interface OpenApiOptions {
  /** Served resources; those of a stock server by default. */
  readonly resources?: readonly BuiltinResource[];
  /** Definitions of custom kinds by OpenAPI name; they win over built-in ones. */
  readonly extraDefinitions?: Readonly<Record<string, OpenApiSchema>>;
  /** OpenAPI name of a custom kind; undefined for others. */
  readonly kindName?: (group: string, version: string, kind: string) => string | undefined;
  /** Path items to add, by path. */
  readonly extraPaths?: Readonly<Record<string, OpenApiSchema>>;
}

const releaseVersion = '1.36';

/** Resources that a stock server serves: stable ones whose gate is on. */
export function defaultResources(): BuiltinResource[] {
  return builtinResources.filter(
    (resource) =>
      resource.served === 'default' &&
      (resource.gate === undefined || featureGates[resource.gate]?.default === true),
  );
}

/** Keys of the v3 index (`api/v1`, `apis/apps/v1`…), sorted; each is a document. */
export function openApiV3Paths(
  served: readonly Pick<BuiltinGroupVersion, 'group' | 'version'>[] = builtinGroupVersions.filter(
    (groupVersion) => groupVersion.served === 'default',
  ),
): string[] {
  const paths = new Set(['.well-known/openid-configuration', 'api', 'apis', 'openid/v1/jwks', 'version']);
  for (const { group, version } of served) {
    if (group === '') paths.add(`api/${version}`);
    else paths.add(`apis/${group}`).add(`apis/${group}/${version}`);
  }
  return [...paths].sort();
}

const descriptionOfCode: Readonly<Record<string, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  401: 'Unauthorized',
};

/**
 * The OpenAPI v3 document of one index key, for example `apis/apps/v1` or `version`; undefined for an unknown key. Plain JSON, members
 * in a fixed order, so that a hash over it is stable.
 */
export function buildOpenApiV3(key: string, options: OpenApiOptions = {}): OpenApiSchema | undefined {
  return runSteps(openApiV3Steps(key, options));
}

/** {@link buildOpenApiV3} in steps of a path or a definition: custom resources come by the hundred. */
export function* openApiV3Steps(key: string, options: OpenApiOptions = {}): Steps<OpenApiSchema | undefined> {
  const discovery = discoveryPath(key);
  if (!discovery) return undefined;
  const groupVersion = groupVersionOf(key);
  const definitions = new DefinitionBuilder('v3', groupVersion);
  const resources = (options.resources ?? defaultResources()).filter(
    (resource) => groupVersion && resource.group === groupVersion[0] && resource.version === groupVersion[1],
  );
  const entries = [discovery, ...resources.flatMap(resourcePaths)].sort((a, b) => (a.path < b.path ? -1 : 1));
  const paths: Record<string, OpenApiSchema> = {};
  for (const entry of entries) {
    paths[entry.path] = pathItem(entry, definitions, options);
    yield;
  }
  Object.assign(paths, options.extraPaths);
  const schemas = { ...(yield* definitions.finish()), ...options.extraDefinitions };
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: releaseVersion },
    paths,
    components: {
      ...(Object.keys(schemas).length > 0 && { schemas }),
      securitySchemes: {
        BearerToken: {
          type: 'apiKey',
          description: 'Bearer Token authentication',
          name: 'authorization',
          in: 'header',
        },
      },
    },
  };
}

function groupVersionOf(key: string): readonly [group: string, version: string] | undefined {
  const parts = key.split('/');
  if (parts[0] === 'api' && parts.length === 2) return ['', parts[1] as string];
  return parts[0] === 'apis' && parts.length === 3 ? [parts[1] as string, parts[2] as string] : undefined;
}

function pathItem(entry: PathEntry, definitions: DefinitionBuilder, options: OpenApiOptions): OpenApiSchema {
  const { common, rest } = splitParameters(
    entry.pathParameters,
    entry.operations.map((operation) => operation.query),
  );
  const item: Record<string, unknown> = {};
  entry.operations.forEach((operation, index) => {
    item[operation.method] = renderOperation(operation, rest[index] ?? [], definitions, options);
  });
  if (common.length > 0) item['parameters'] = common.map(renderParameter);
  return item;
}

function renderParameter(parameter: ParameterFacts): OpenApiSchema {
  return {
    name: parameter.name,
    in: parameter.in,
    description: parameter.description,
    ...(parameter.in === 'path' && { required: true }),
    schema: { type: parameter.type, uniqueItems: true },
  };
}

/** Schema of a type: a reference, made through the definitions, to a custom kind, or a plain string. */
export function typeSchema(
  type: TypeName,
  definitions: DefinitionBuilder,
  options: OpenApiOptions,
  prefix: string,
): OpenApiSchema {
  if (type.kind === 'string') return { type: 'string' };
  if (type.kind === 'message') return { $ref: definitions.ref(type.message) };
  const custom = options.kindName?.(...type.gvk);
  if (custom !== undefined) return { $ref: prefix + custom };
  const schema = builtinSchemas.kind(...type.gvk);
  return schema?.openapi === undefined ? { type: 'string' } : { $ref: definitions.ref(schema.name) };
}

function renderOperation(
  operation: PathOperation,
  parameters: readonly ParameterFacts[],
  definitions: DefinitionBuilder,
  options: OpenApiOptions,
): OpenApiSchema {
  const schemaOf = (type: TypeName): OpenApiSchema =>
    typeSchema(type, definitions, options, '#/components/schemas/');
  const content = (types: readonly string[], type: TypeName): OpenApiSchema =>
    Object.fromEntries([...types].sort().map((mediaType) => [mediaType, { schema: schemaOf(type) }]));
  const responses = Object.fromEntries(
    operation.codes.map((code) => [
      code,
      {
        description: descriptionOfCode[code] ?? '',
        ...(code !== '401' && { content: content(operation.produces, operation.returns) }),
      },
    ]),
  );
  return {
    tags: [operation.tag],
    description: operation.description,
    operationId: operation.operationId,
    ...(parameters.length > 0 && { parameters: parameters.map(renderParameter) }),
    ...(operation.body && {
      requestBody: {
        content: content(operation.consumes, operation.body.type),
        ...(operation.body.required && { required: true }),
      },
    }),
    responses,
    ...(operation.action !== '' && { 'x-kubernetes-action': operation.action }),
    ...(operation.gvk && {
      'x-kubernetes-group-version-kind': {
        group: operation.gvk[0],
        version: operation.gvk[1],
        kind: operation.gvk[2],
      },
    }),
  };
}
