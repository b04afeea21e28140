import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import {
  isConfigMapKey,
  isDns1123Label,
  isQualifiedName,
  isRelaxedEnvVarName,
  isValidLabelValue,
  nameIsDnsSubdomain,
} from './names.ts';
import { quantityOf } from './quantities.ts';
import type { Json } from './values.ts';
import { list, problems, text } from './values.ts';

const envFieldPaths = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const volumeFieldPaths = [
  'metadata.name',
  'metadata.namespace',
  'metadata.labels',
  'metadata.annotations',
  'metadata.uid',
];
const containerResourceFields = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
/** Paths that a Pod knows beyond those allowed here; anything else is "not supported" at the conversion of the label. */
const convertible = new Set([
  ...envFieldPaths,
  ...volumeFieldPaths,
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
  'status.nominatedNodeName',
  'spec.hostNetwork',
]);

export function validateEnv(env: unknown, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  list(env).forEach((variable: Json, index) => {
    const at = path.index(index);
    const name = text(variable['name']);
    if (name === '') errors.push(fieldError.required(at.child('name')));
    else errors.push(...problems(at.child('name'), name, isRelaxedEnvVarName(name)));
    errors.push(...validateEnvVarValueFrom(variable, at.child('valueFrom')));
  });
  return errors;
}

function validateEnvVarValueFrom(variable: Json, path: FieldPath): FieldError[] {
  const source = variable['valueFrom'] as Json | null | undefined;
  if (source === null || source === undefined) return [];
  const errors: FieldError[] = [];
  let sources = 0;
  const each = (name: string, validate: (value: Json, at: FieldPath) => FieldError[]): void => {
    const value = source[name] as Json | null | undefined;
    if (value === null || value === undefined) return;
    sources += 1;
    errors.push(...validate(value, path.child(name)));
  };
  each('fieldRef', (value, at) => validateFieldRef(value, envFieldPaths, at));
  each('resourceFieldRef', (value, at) => validateResourceFieldRef(value, at, false));
  each('configMapKeyRef', validateKeySelector);
  each('secretKeyRef', validateKeySelector);
  each('fileKeyRef', validateFileKeySelector);
  if (sources === 0)
    errors.push(
      fieldError.invalid(
        path,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ),
    );
  else if (text(variable['value']) !== '') {
    if (sources > 0)
      errors.push(fieldError.invalid(path, '', 'may not be specified when `value` is not empty'));
  } else if (sources > 1)
    errors.push(fieldError.invalid(path, '', 'may not have more than one field specified at a time'));
  return errors;
}

/** `metadata.labels['key']` → [path, key]. */
function subscript(path: string): [string, string] | undefined {
  const match = /^(.*)\['([^']*)'\]$/.exec(path);
  return match === null ? undefined : [match[1] as string, match[2] as string];
}

export function validateFieldRef(ref: Json, allowed: readonly string[], path: FieldPath): FieldError[] {
  const version = text(ref['apiVersion']);
  const fieldPath = text(ref['fieldPath']);
  if (version === '') return [fieldError.required(path.child('apiVersion'))];
  if (fieldPath === '') return [fieldError.required(path.child('fieldPath'))];
  const split = subscript(fieldPath);
  if (split !== undefined) {
    const [outer, key] = split;
    if (outer === 'metadata.annotations') return problems(path, key, isQualifiedName(key.toLowerCase()));
    if (outer === 'metadata.labels') return problems(path, key, isQualifiedName(key));
    return [fieldError.invalid(path, outer, 'does not support subscript')];
  }
  if (version !== 'v1')
    return [
      fieldError.invalid(
        path.child('fieldPath'),
        fieldPath,
        `error converting fieldPath: unsupported pod version: ${version}`,
      ),
    ];
  if (!convertible.has(fieldPath))
    return [
      fieldError.invalid(
        path.child('fieldPath'),
        fieldPath,
        `error converting fieldPath: field label not supported: ${fieldPath}`,
      ),
    ];
  if (!allowed.includes(fieldPath))
    return [fieldError.notSupported(path.child('fieldPath'), fieldPath, [...allowed].sort())];
  return [];
}

export function validateResourceFieldRef(ref: Json, path: FieldPath, inVolume: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (inVolume && text(ref['containerName']) === '')
    return [fieldError.required(path.child('containerName'))];
  const resource = text(ref['resource']);
  if (resource === '') return [...errors, fieldError.required(path.child('resource'))];
  const hugePages = resource.startsWith('limits.hugepages-') || resource.startsWith('requests.hugepages-');
  if (!containerResourceFields.includes(resource) && !hugePages)
    return [...errors, fieldError.notSupported(path.child('resource'), resource, containerResourceFields)];
  errors.push(...validateDivisor(resource, ref['divisor'], path));
  return errors;
}

function validateDivisor(resource: string, divisor: unknown, path: FieldPath): FieldError[] {
  if (divisor === undefined || divisor === null) return [];
  const quantity = quantityOf(divisor);
  if (quantity.isZero) return [];
  const amount = quantity.nano;
  const unit = 1_000_000_000n;
  const inUnits = (names: readonly string[]): boolean =>
    names.some((name) => quantityOf(name).nano === amount);
  const cpu = resource.endsWith('.cpu');
  if (cpu) {
    if (amount === unit / 1000n || amount === unit) return [];
    return [
      fieldError.invalid(
        path.child('divisor'),
        resource,
        "only divisor's values 1m and 1 are supported with the cpu resource",
      ),
    ];
  }
  if (inUnits(['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'])) return [];
  const what = resource.includes('hugepages-')
    ? 'hugepages'
    : resource.endsWith('ephemeral-storage')
      ? 'local ephemeral storage'
      : 'memory';
  return [
    fieldError.invalid(
      path.child('divisor'),
      resource,
      `only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the ${what} resource`,
    ),
  ];
}

function validateKeySelector(selector: Json, path: FieldPath): FieldError[] {
  const errors = problems(
    path.child('name'),
    text(selector['name']),
    nameIsDnsSubdomain(text(selector['name']), true),
  );
  const key = text(selector['key']);
  if (key === '') errors.push(fieldError.required(path.child('key')));
  else errors.push(...problems(path.child('key'), key, isConfigMapKey(key)));
  return errors;
}

function validateFileKeySelector(selector: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of ['key', 'volumeName', 'path'])
    if (text(selector[name]) === '') errors.push(fieldError.required(path.child(name)));
  const volume = text(selector['volumeName']);
  if (volume !== '') errors.push(...problems(path.child('volumeName'), volume, isDns1123Label(volume)));
  const file = text(selector['path']);
  if (file.startsWith('/'))
    errors.push(fieldError.invalid(path.child('path'), file, 'must be a relative path'));
  if (file.split('/').includes('..'))
    errors.push(fieldError.invalid(path.child('path'), file, "must not contain '..'"));
  return errors;
}

export function validateEnvFrom(sources: unknown, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  list(sources).forEach((source: Json, index) => {
    const at = path.index(index);
    const prefix = text(source['prefix']);
    if (prefix !== '') errors.push(...problems(at.child('prefix'), prefix, isRelaxedEnvVarName(prefix)));
    let count = 0;
    for (const name of ['configMapRef', 'secretRef']) {
      const ref = source[name] as Json | null | undefined;
      if (ref === null || ref === undefined) continue;
      count += 1;
      const refName = text(ref['name']);
      if (refName === '') errors.push(fieldError.required(at.child(name, 'name')));
      else errors.push(...problems(at.child(name, 'name'), refName, nameIsDnsSubdomain(refName, true)));
    }
    if (count === 0)
      errors.push(fieldError.invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (count > 1)
      errors.push(fieldError.invalid(path, '', 'may not have more than one field specified at a time'));
  });
  return errors;
}

/** Files of a downward API volume. */
export function validateDownwardItem(file: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (text(file['path']) === '') errors.push(fieldError.required(path.child('path')));
  errors.push(...validateLocalNonReservedPath(text(file['path']), path.child('path')));
  const fieldRef = file['fieldRef'] as Json | null | undefined;
  const resourceRef = file['resourceFieldRef'] as Json | null | undefined;
  if (fieldRef !== null && fieldRef !== undefined) {
    errors.push(...validateFieldRef(fieldRef, volumeFieldPaths, path.child('fieldRef')));
    if (resourceRef !== null && resourceRef !== undefined)
      errors.push(
        fieldError.invalid(
          path,
          'resource',
          'fieldRef and resourceFieldRef can not be specified simultaneously',
        ),
      );
  } else if (resourceRef !== null && resourceRef !== undefined)
    errors.push(...validateResourceFieldRef(resourceRef, path.child('resourceFieldRef'), true));
  else errors.push(fieldError.required(path, 'one of fieldRef and resourceFieldRef is required'));
  errors.push(...validateFileMode(file['mode'], path.child('mode')));
  return errors;
}

export const fileModeMessage = 'must be a number between 0 and 0777 (octal), both inclusive';

export function validateFileMode(mode: unknown, path: FieldPath): FieldError[] {
  return typeof mode === 'number' && (mode < 0 || mode > 0o777)
    ? [fieldError.invalid(path, mode, fileModeMessage)]
    : [];
}

/** Relative, without `..`. */
export function validateLocalDescendingPath(value: string, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (value.startsWith('/')) errors.push(fieldError.invalid(path, value, 'must be a relative path'));
  errors.push(...validatePathNoBacksteps(value, path));
  return errors;
}

export function validatePathNoBacksteps(value: string, path: FieldPath): FieldError[] {
  return value.split('/').includes('..') ? [fieldError.invalid(path, value, "must not contain '..'")] : [];
}

export function validateLocalNonReservedPath(value: string, path: FieldPath): FieldError[] {
  const errors = validateLocalDescendingPath(value, path);
  if (value.startsWith('..') && !value.startsWith('../'))
    errors.push(fieldError.invalid(path, value, "must not start with '..'"));
  return errors;
}

export function validateLabelValue(value: string, path: FieldPath): FieldError[] {
  return problems(path, value, isValidLabelValue(value));
}
