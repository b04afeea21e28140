export { compileDeviceSelector, deviceMatches, deviceSelectorCostMax } from './device-selector.ts';
export {
  CelEnvironment,
  celCallCostMax,
  celMatchConditionsCostMax,
  CelProgram,
  celRequestCostMax,
  kubernetesFunctions,
} from './environment.ts';
export type { CelEnvironmentOptions, CelOutcome } from './environment.ts';
export { FunctionTable, libraryTypes } from './functions.ts';
export { CelCompileError, CelEvaluationError, CelPending } from './issues.ts';
export { CelAuthorizer, celResourceCheck } from './library/authorization.ts';
export type {
  CelAuthorizationDecision,
  CelAuthorizationQuery,
  CelAuthorize,
} from './library/authorization.ts';
export { CelQuantity } from './library/kubernetes.ts';
export { celTypes, formatType, listType, mapType, optionalType, structType } from './types.ts';
export { pattern } from './patterns.ts';
export type { CelType } from './types.ts';
export {
  BuiltObject,
  CelMap,
  CelObject,
  CelOptional,
  Duration,
  fromJson,
  JsonMap,
  LiteralMap,
  parseDuration,
  parseTimestamp,
  Timestamp,
  toJson,
} from './values.ts';
