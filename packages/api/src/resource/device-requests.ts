import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { compileDeviceSelector, deviceSelectorCostMax } from '../cel/device-selector.ts';
import { CelCompileError } from '../cel/issues.ts';
import { formatType } from '../cel/types.ts';
import { setZeroDefault } from '../defaults/set.ts';
import { validateTolerations } from '../validation/affinity.ts';
import { isDns1123Label, nameIsDnsSubdomain } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, problems, text } from '../validation/values.ts';

const requestsMax = 32;

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

/** A claim's devices. */
export function validateDevices(devices: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const requests = list(devices['requests']) as Json[];
  if (requests.length > requestsMax)
    errors.push(fieldError.tooMany(path.child('requests'), requests.length, requestsMax));
  requests.forEach((request, index) => {
    const at = path.child('requests').index(index);
    errors.push(...validateRequest(request, at));
    const name = text(request['name']);
    if (names.has(name)) errors.push(fieldError.duplicate(at, name));
    names.add(name);
  });
  list(devices['constraints']).forEach((constraint: Json, index) => {
    errors.push(...validateConstraint(constraint, names, path.child('constraints').index(index)));
  });
  list(devices['config']).forEach((config: Json, index) => {
    const at = path.child('config').index(index);
    errors.push(...validateRequestNames(config['requests'], names, at.child('requests')));
    if (!isSet(config['opaque'])) errors.push(fieldError.required(at.child('opaque')));
    else errors.push(...validateOpaque(config['opaque'] as Json, at.child('opaque')));
  });
  return errors;
}

function validateRequest(request: Json, path: FieldPath): FieldError[] {
  const errors = validateRequestName(text(request['name']), path.child('name'));
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
  else if (alternatives.length > 0) {
    const seen = new Set<string>();
    alternatives.forEach((each, index) => {
      const at = path.child('firstAvailable').index(index);
      errors.push(...validateRequestName(text(each['name']), at.child('name')), ...validateExact(each, at));
      if (seen.has(text(each['name']))) errors.push(fieldError.duplicate(at, text(each['name'])));
      seen.add(text(each['name']));
    });
  } else errors.push(fieldError.required(path, 'exactly one of `exactly` or `firstAvailable` is required'));
  return errors;
}

function validateRequestName(name: string, path: FieldPath): FieldError[] {
  return name === '' ? [fieldError.required(path)] : problems(path, name, isDns1123Label(name));
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
  errors.push(...validateTolerations(request['tolerations'], path.child('tolerations')));
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
  const all = list(selectors) as Json[];
  const errors: FieldError[] = [];
  if (all.length > requestsMax) errors.push(fieldError.tooMany(path, all.length, requestsMax));
  all.forEach((selector, index) => {
    const cel = selector['cel'] as Json | null | undefined;
    if (!isSet(cel)) errors.push(fieldError.required(path.index(index).child('cel')));
    else
      errors.push(...validateSelector(text(cel['expression']), path.index(index).child('cel', 'expression')));
  });
  return errors;
}

function validateRequestNames(
  references: unknown,
  names: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  (list(references) as string[]).forEach((reference, index) => {
    const base = reference.split('/')[0] as string;
    errors.push(...problems(path.index(index), base, isDns1123Label(base)));
    if (!names.has(base))
      errors.push(
        fieldError.invalid(
          path.index(index),
          reference,
          "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
        ),
      );
    if (seen.has(reference)) errors.push(fieldError.duplicate(path.index(index), reference));
    seen.add(reference);
  });
  return errors;
}

function validateConstraint(constraint: Json, names: ReadonlySet<string>, path: FieldPath): FieldError[] {
  const errors = validateRequestNames(constraint['requests'], names, path.child('requests'));
  const attribute = constraint['matchAttribute'] as string | null | undefined;
  if (isSet(attribute)) errors.push(...validateFullyQualifiedName(attribute, path.child('matchAttribute')));
  else if (isSet(constraint['distinctAttribute']))
    errors.push(
      ...validateFullyQualifiedName(text(constraint['distinctAttribute']), path.child('distinctAttribute')),
    );
  else errors.push(fieldError.required(path.child('matchAttribute')));
  return errors;
}

/** `domain/C_identifier`. */
export function validateFullyQualifiedName(name: string, path: FieldPath): FieldError[] {
  if (name === '') return [fieldError.required(path)];
  if (!name.includes('/'))
    return [
      fieldError.invalid(
        path,
        name,
        'a fully qualified name must be a domain and a name separated by a slash',
      ),
    ];
  return [];
}

export function validateDriverName(name: string, path: FieldPath): FieldError[] {
  if (name === '') return [fieldError.required(path)];
  const errors: FieldError[] = [];
  if (name.length > 63) errors.push(fieldError.tooLong(path, 63));
  return [...errors, ...problems(path, name, nameIsDnsSubdomain(name.toLowerCase(), false))];
}

export function validateOpaque(opaque: Json, path: FieldPath): FieldError[] {
  const errors = validateDriverName(text(opaque['driver']), path.child('driver'));
  if (!isSet(opaque['parameters'])) errors.push(fieldError.required(path.child('parameters')));
  return errors;
}
