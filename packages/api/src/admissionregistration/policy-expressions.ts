import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import type { CelProgram } from '../cel/environment.ts';
import { CelEnvironment, patchFunctions } from '../cel/environment.ts';
import { libraryTypes } from '../cel/functions.ts';
import { CelCompileError } from '../cel/issues.ts';
import type { CelType } from '../cel/types.ts';
import { celTypes, formatType, listType, mapType, structType } from '../cel/types.ts';

const { string, int, bool, dyn, timestamp } = celTypes;
const struct = (name: string, fields: Readonly<Record<string, CelType>>): CelType =>
  structType(name, (field) => (Object.hasOwn(fields, field) ? fields[field] : undefined));

const kind = struct('kubernetes.GroupVersionKind', { group: string, version: string, kind: string });
const resource = struct('kubernetes.GroupVersionResource', {
  group: string,
  version: string,
  resource: string,
});
const request = struct('kubernetes.AdmissionRequest', {
  kind,
  resource,
  subResource: string,
  requestKind: kind,
  requestResource: resource,
  requestSubResource: string,
  name: string,
  namespace: string,
  operation: string,
  userInfo: struct('kubernetes.UserInfo', {
    username: string,
    uid: string,
    groups: listType(string),
    extra: mapType(string, listType(string)),
  }),
  dryRun: bool,
  options: dyn,
});
const texts = mapType(string, string);
const namespaceObject = struct('kubernetes.Namespace', {
  metadata: struct('kubernetes.NamespaceMetadata', {
    name: string,
    generateName: string,
    namespace: string,
    labels: texts,
    annotations: texts,
    UID: string,
    creationTimestamp: timestamp,
    deletionGracePeriodSeconds: int,
    deletionTimestamp: timestamp,
    generation: int,
    resourceVersion: string,
    finalizers: listType(string),
  }),
  spec: struct('kubernetes.NamespaceSpec', { finalizers: listType(string) }),
  status: struct('kubernetes.NamespaceStatus', { phase: string }),
});

/** An operation of a JSON patch, as mutations build it. */
export const jsonPatchType = struct('JSONPatch', { op: string, path: string, from: string, value: dyn });
const objectTypes = new Map<string, CelType>();

/** `Object`, `Object.spec`, …: the types that mutations build objects of. Their fields are checked when they are applied. */
function patchStruct(name: string): CelType | undefined {
  if (name === 'JSONPatch') return jsonPatchType;
  if (name !== 'Object' && !name.startsWith('Object.')) return undefined;
  let known = objectTypes.get(name);
  if (known === undefined) {
    known = structType(name);
    if (objectTypes.size > 10_000) objectTypes.clear();
    objectTypes.set(name, known);
  }
  return known;
}
export const patchObjectType = patchStruct('Object') as CelType;

/** What expressions of a place may read besides the object and the request. */
export interface PolicyNames {
  readonly params?: boolean;
  readonly authorizer?: boolean;
  readonly namespaceObject?: boolean;
  /** Types for objects of patches. */
  readonly patches?: boolean;
  /** Of the object before and after; default: unknown. */
  readonly object?: CelType;
  /** Of the parameters; default: unknown. */
  readonly paramsType?: CelType;
  /** Variables of the policy that came before, and their types. */
  readonly variables?: ReadonlyMap<string, CelType>;
}

/** The environment of an expression in a policy, or in a webhook's match conditions. */
export function policyEnvironment(names: PolicyNames): CelEnvironment {
  const object = names.object ?? dyn;
  const variables: Record<string, CelType> = { object, oldObject: object, request };
  if (names.namespaceObject !== false) variables['namespaceObject'] = namespaceObject;
  if (names.params === true) variables['params'] = names.paramsType ?? dyn;
  if (names.authorizer === true) {
    variables['authorizer'] = libraryTypes.authorizer;
    variables['authorizer.requestResource'] = libraryTypes.resourceCheck;
  }
  if (names.variables !== undefined) {
    const composed = names.variables;
    variables['variables'] = structType('kubernetes.variables', (field) => composed.get(field));
  }
  return new CelEnvironment({
    variables,
    ...(names.patches === true ? { struct: patchStruct, functions: patchFunctions() } : {}),
  });
}

/** Thrown when an expression compiles, but not to a type that its place takes; the message is upstream's. */
export class CelResultTypeError extends Error {}

/** Compiles an expression to one of some types. Throws CelCompileError or {@link CelResultTypeError}. */
export function compileTo(
  environment: CelEnvironment,
  source: string,
  types: readonly CelType[],
): CelProgram {
  const program = environment.compile(source);
  const got = formatType(program.type);
  if (types.length === 0 || types.some((each) => goName(formatType(each)) === goName(got))) return program;
  const wanted = types.map((each) => goName(formatType(each)));
  throw new CelResultTypeError(
    wanted.length === 1
      ? `must evaluate to ${wanted[0]} but got ${goName(got)}`
      : `must evaluate to one of [${wanted.join(' ')}] but got ${goName(got)}`,
  );
}

/** Types as they print themselves, which is not how the checker prints them. */
function goName(name: string): string {
  switch (name) {
    case 'null':
      return 'null_type';
    case 'timestamp':
      return 'google.protobuf.Timestamp';
    case 'duration':
      return 'google.protobuf.Duration';
    default:
      return name;
  }
}

/** The finding about an expression that does not compile to one of these types. */
export function expressionErrors(
  environment: CelEnvironment,
  source: string,
  types: readonly CelType[],
  path: FieldPath,
  value = source,
): FieldError[] {
  try {
    compileTo(environment, source, types);
    return [];
  } catch (error) {
    if (error instanceof CelCompileError)
      return [fieldError.invalid(path, value, `compilation failed: ${error.message}`)];
    if (error instanceof CelResultTypeError) return [fieldError.invalid(path, value, error.message)];
    throw error;
  }
}
