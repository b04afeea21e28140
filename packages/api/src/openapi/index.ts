export { DefinitionBuilder, jsonFields } from './definitions.ts';
export type { OpenApiSchema, OpenApiVersion } from './definitions.ts';
export {
  discoveryPath,
  groupVersionPath,
  groupVersionTag,
  groupVersionTitle,
  resourcePaths,
} from './operations.ts';
export type { PathEntry, PathOperation, TypeName } from './operations.ts';
export { buildOpenApiV2, openApiV2Steps } from './v2.ts';
export { buildOpenApiV3, defaultResources, openApiV3Paths, openApiV3Steps } from './v3.ts';
export type { OpenApiOptions } from './v3.ts';
