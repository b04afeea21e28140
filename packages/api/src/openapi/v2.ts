import { runSteps, type Steps } from '@pilothouse/base';
import { builtinGroupVersions } from '../generated/resources.ts';
import { DefinitionBuilder, type OpenApiSchema } from './definitions.ts';
import {
  discoveryPath,
  type PathEntry,
  type PathOperation,
  resourcePaths,
  type TypeName,
} from './operations.ts';
import { type ParameterFacts, splitParameters } from './parameters.ts';
import { defaultResources, type OpenApiOptions, openApiV3Paths, typeSchema } from './v3.ts';

const descriptionOfCode: Readonly<Record<string, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  401: 'Unauthorized',
};

/** The Swagger 2.0 document of everything served, as plain JSON. About a megabyte: build it once for each change of what is served. */
export function buildOpenApiV2(options: OpenApiOptions = {}): OpenApiSchema {
  return runSteps(openApiV2Steps(options));
}

/** {@link buildOpenApiV2} in steps of a path or a definition. */
export function* openApiV2Steps(options: OpenApiOptions = {}): Steps<OpenApiSchema> {
  const resources = options.resources ?? defaultResources();
  const definitions = new DefinitionBuilder('v2');
  const served = builtinGroupVersions.filter(({ group, version }) =>
    resources.some((resource) => resource.group === group && resource.version === version),
  );
  const discovery = openApiV3Paths(served)
    .map(discoveryPath)
    .filter((entry) => entry !== undefined);
  const entries = [...discovery, ...resources.flatMap(resourcePaths)].sort((a, b) =>
    a.path < b.path ? -1 : 1,
  );
  const paths: Record<string, OpenApiSchema> = {};
  for (const entry of entries) {
    paths[entry.path] = pathItem(entry, definitions, options);
    yield;
  }
  Object.assign(paths, options.extraPaths);
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: '1.36' },
    paths,
    definitions: { ...(yield* definitions.finish()), ...options.extraDefinitions },
    securityDefinitions: {
      BearerToken: {
        description: 'Bearer Token authentication',
        type: 'apiKey',
        name: 'authorization',
        in: 'header',
      },
    },
    security: [{ BearerToken: [] }],
  };
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
    uniqueItems: true,
    type: parameter.type,
    description: parameter.description,
    name: parameter.name,
    in: parameter.in,
    ...(parameter.in === 'path' && { required: true }),
  };
}

function renderOperation(
  operation: PathOperation,
  parameters: readonly ParameterFacts[],
  definitions: DefinitionBuilder,
  options: OpenApiOptions,
): OpenApiSchema {
  const schemaOf = (type: TypeName): OpenApiSchema =>
    typeSchema(type, definitions, options, '#/definitions/');
  const body: OpenApiSchema[] = operation.body
    ? [
        {
          name: 'body',
          in: 'body',
          ...(operation.body.required && { required: true }),
          schema: schemaOf(operation.body.type),
        },
      ]
    : [];
  const all = [...body, ...parameters.map(renderParameter)];
  return {
    description: operation.description,
    ...(operation.consumes.length > 0 && { consumes: operation.consumes }),
    produces: operation.produces,
    schemes: ['https'],
    tags: [operation.tag],
    operationId: operation.operationId,
    ...(all.length > 0 && { parameters: all }),
    responses: Object.fromEntries(
      operation.codes.map((code) => [
        code,
        {
          description: descriptionOfCode[code] ?? '',
          ...(code !== '401' && { schema: schemaOf(operation.returns) }),
        },
      ]),
    ),
    ...(operation.action !== '' && { 'x-kubernetes-action': operation.action }),
    ...(operation.gvk && {
      'x-kubernetes-group-version-kind': {
        group: operation.gvk[0],
        kind: operation.gvk[2],
        version: operation.gvk[1],
      },
    }),
  };
}
