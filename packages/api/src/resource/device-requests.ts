import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { compileDeviceSelector, deviceSelectorCostMax } from '../cel/device-selector.ts';
import { CelCompileError } from '../cel/issues.ts';
import { formatType } from '../cel/types.ts';
import { setZeroDefault } from '../defaults/set.ts';
import { nameIsDnsSubdomain } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, problems, text } from '../validation/values.ts';
import {
  validateDeviceName,
  validateDeviceToleration,
  validateDriverName,
  validateFullyQualifiedName,
  validateItems,
  validateRawObject,
  validateSet,
} from './device-names.ts';

export const requestsMax = 32;
const alternativesMax = 8;
const tolerationsMax = 16;
export const configsMax = 32;
const parametersBytesMax = 10 * 1024;

/** Requests of a claim's devices; an allocation without a mode is of a count, without a count of one. */
export function defaultDevices(devices: Json | null | undefined): void {
  if (!isSet(devices)) return;
  for (const request of list(devices['requests']) as Json[]) {
    if (isSet(request['exactly'])) defaultRequest(request['exactly'] as Json);
    for (const each of list(request['firstAvailable']) as Json[]) defaultRequest(each);
  }
}

function defaultRequest(request: Json): void {
  setZeroDefault(request, 'allocationMode', 'ExactCount');
  if (request['allocationMode'] === 'ExactCount') setZeroDefault(request, 'count', 1);
  for (const toleration of list(request['tolerations']) as Json[])
    setZeroDefault(toleration, 'operator', 'Equal');
}

/** The requests of a claim by name, each with the names of its alternatives. */
export type RequestNames = ReadonlyMap<string, ReadonlySet<string>>;

export function requestNamesOf(devices: Json): RequestNames {
  return new Map(
    (list(devices['requests']) as Json[]).map((request) => [
      text(request['name']),
      new Set((list(request['firstAvailable']) as Json[]).map((each) => text(each['name']))),
    ]),
  );
}

/** A claim's devices. */
export function validateDevices(devices: Json, path: FieldPath): FieldError[] {
  const names = requestNamesOf(devices);
  return [
    ...validateSet<Json>(
      devices['requests'],
      requestsMax,
      path.child('requests'),
      validateRequest,
      (request) => text(request['name']),
    ),
    ...validateItems<Json>(devices['constraints'], requestsMax, path.child('constraints'), (constraint, at) =>
      validateConstraint(constraint, names, at),
    ),
    ...validateItems<Json>(devices['config'], configsMax, path.child('config'), (config, at) => [
      ...validateReferences(config['requests'], names, at.child('requests')),
      ...validateConfiguration(config, at),
    ]),
  ];
}

/** What a driver is told beyond the request. */
export function validateConfiguration(config: Json, path: FieldPath): FieldError[] {
  const at = path.child('opaque');
  if (!isSet(config['opaque'])) return [fieldError.required(at)];
  const opaque = config['opaque'] as Json;
  return [
    ...validateDriverName(text(opaque['driver']), at.child('driver')),
    ...validateRawObject(opaque['parameters'], parametersBytesMax, at.child('parameters')),
  ];
}

function validateRequest(request: Json, path: FieldPath): FieldError[] {
  const errors = validateDeviceName(text(request['name']), path.child('name'));
  const alternatives = list(request['firstAvailable']) as Json[];
  const exactly = request['exactly'] as Json | null | undefined;
  if (isSet(exactly) && alternatives.length > 0)
    errors.push(
      fieldError.invalid(
        path,
        null,
        'exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set',
      ),
    );
  else if (isSet(exactly)) errors.push(...validateExact(exactly, path.child('exactly')));
  else if (alternatives.length > 0)
    errors.push(
      ...validateSet<Json>(
        alternatives,
        alternativesMax,
        path.child('firstAvailable'),
        (each, at) => [
          ...validateDeviceName(text(each['name']), at.child('name')),
          ...validateExact(each, at),
        ],
        (each) => text(each['name']),
      ),
    );
  else errors.push(fieldError.required(path, 'exactly one of `exactly` or `firstAvailable` is required'));
  return errors;
}

function validateExact(request: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const className = text(request['deviceClassName']);
  if (className === '') errors.push(fieldError.required(path.child('deviceClassName')));
  else
    errors.push(...problems(path.child('deviceClassName'), className, nameIsDnsSubdomain(className, false)));
  errors.push(...validateSelectors(request['selectors'], path.child('selectors')));
  const count: number = request['count'] ?? 0;
  switch (request['allocationMode']) {
    case 'All':
      if (count !== 0)
        errors.push(
          fieldError.invalid(
            path.child('count'),
            count,
            "must not be specified when allocationMode is 'All'",
          ),
        );
      break;
    case 'ExactCount':
      if (count <= 0)
        errors.push(fieldError.invalid(path.child('count'), count, 'must be greater than zero'));
      break;
    default:
      errors.push(
        fieldError.notSupported(path.child('allocationMode'), text(request['allocationMode']), [
          'All',
          'ExactCount',
        ]),
      );
  }
  errors.push(
    ...validateItems<Json>(
      request['tolerations'],
      tolerationsMax,
      path.child('tolerations'),
      validateDeviceToleration,
    ),
  );
  return errors;
}

const expressionMax = 10 * 1024;

/** A selector must compile to bool (attributes are of no type that is known before) and be cheap by estimate. */
function validateSelector(expression: string, path: FieldPath): FieldError[] {
  if (expression.length > expressionMax) return [fieldError.tooLong(path, expressionMax)];
  try {
    const program = compileDeviceSelector(expression);
    if (program.type.kind !== 'bool' && program.type.kind !== 'dyn')
      return [
        fieldError.invalid(
          path,
          expression,
          `must evaluate to bool or the unknown type, not ${formatType(program.type)}`,
        ),
      ];
    if (program.estimatedCost.max > deviceSelectorCostMax)
      return [fieldError.forbidden(path, 'too complex, exceeds cost limit')];
    return [];
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    return [fieldError.invalid(path, expression, `compilation failed: ${error.message}`)];
  }
}

export function validateSelectors(selectors: unknown, path: FieldPath): FieldError[] {
  return validateItems<Json>(selectors, requestsMax, path, (selector, at) => {
    const cel = selector['cel'] as Json | null | undefined;
    return isSet(cel)
      ? validateSelector(text(cel['expression']), at.child('cel', 'expression'))
      : [fieldError.required(at.child('cel'))];
  });
}

/** `request` or `request/alternative`, both of the claim. */
export function validateReference(reference: string, names: RequestNames, path: FieldPath): FieldError[] {
  const unknown = fieldError.invalid(
    path,
    reference,
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
  );
  const [request, alternative, ...more] = reference.split('/') as [string, ...string[]];
  if (more.length > 0) return [unknown];
  const errors = validateDeviceName(request, path);
  if (alternative !== undefined) errors.push(...validateDeviceName(alternative, path));
  const alternatives = names.get(request);
  if (alternatives === undefined || (alternative !== undefined && !alternatives.has(alternative)))
    errors.push(unknown);
  return errors;
}

export function validateReferences(references: unknown, names: RequestNames, path: FieldPath): FieldError[] {
  return validateSet<string>(
    references,
    requestsMax,
    path,
    (reference, at) => validateReference(reference, names, at),
    (reference) => reference,
  );
}

function validateConstraint(constraint: Json, names: RequestNames, path: FieldPath): FieldError[] {
  const errors = validateReferences(constraint['requests'], names, path.child('requests'));
  for (const name of ['matchAttribute', 'distinctAttribute'])
    if (isSet(constraint[name]))
      return [...errors, ...validateFullyQualifiedName(text(constraint[name]), path.child(name))];
  return [
    ...errors,
    fieldError.required(
      path,
      'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set',
    ),
  ];
}
