import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError, jsonText } from '@pilothouse/apimachinery';
import { validateLabelName } from '../validation/meta.ts';
import { byteLength, isDns1123Label, nameIsDnsSubdomain } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, problems, text } from '../validation/values.ts';
import { validateLabelValue } from '../validation/env.ts';

const driverNameMax = 63;
const poolNameMax = 253;
const identifierMax = 32;

export const validateDeviceName = (name: string, path: FieldPath): FieldError[] =>
  problems(path, name, isDns1123Label(name));

export function validateDriverName(name: string, path: FieldPath): FieldError[] {
  if (name === '') return [fieldError.required(path)];
  const errors: FieldError[] = [];
  if (name.length > driverNameMax) errors.push(fieldError.tooLong(path, driverNameMax));
  return [...errors, ...problems(path, name, nameIsDnsSubdomain(name.toLowerCase(), false))];
}

/** One or more DNS names with slashes between them. */
export function validatePoolName(name: string, path: FieldPath): FieldError[] {
  if (name === '') return [fieldError.required(path)];
  const errors: FieldError[] = [];
  if (name.length > poolNameMax) errors.push(fieldError.tooLong(path, poolNameMax));
  for (const part of name.split('/')) errors.push(...problems(path, part, nameIsDnsSubdomain(part, false)));
  return errors;
}

function validateIdentifier(name: string, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (name.length > identifierMax) errors.push(fieldError.tooLong(path, identifierMax));
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    errors.push(
      fieldError.invalid(
        path,
        name,
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')",
      ),
    );
  return errors;
}

/** `identifier` or `domain/identifier`; of names with more slashes nothing is checked, as upstream. */
export function validateQualifiedName(name: string, path: FieldPath): FieldError[] {
  const parts = name.split('/');
  const [first, second] = parts as [string, string | undefined];
  if (parts.length === 1) return validateIdentifier(first, path);
  if (parts.length > 2 || second === undefined) return [];
  return [
    ...(first === ''
      ? [fieldError.invalid(path, '', 'the domain must not be empty')]
      : validateDriverName(first, path)),
    ...(second === ''
      ? [fieldError.invalid(path, '', 'the name must not be empty')]
      : validateIdentifier(second, path)),
  ];
}

/** `domain/identifier`. */
export function validateFullyQualifiedName(name: string, path: FieldPath): FieldError[] {
  const errors = validateQualifiedName(name, path);
  if (!name.includes('/'))
    errors.push(
      fieldError.invalid(
        path,
        name,
        'a fully qualified name must be a domain and a name separated by a slash',
      ),
    );
  return errors;
}

export function validateUuid(value: string, path: FieldPath): FieldError[] {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(value)
    ? []
    : [fieldError.invalid(path, value, 'must be a lowercase UUID in 8-4-4-4-12 format')];
}

/** Checks every item, unless there are more than `max`: then only that is told. */
export function validateItems<T>(
  values: unknown,
  max: number,
  path: FieldPath,
  check: (value: T, path: FieldPath) => FieldError[],
): FieldError[] {
  const items = list(values) as T[];
  if (items.length > max) return [fieldError.tooMany(path, items.length, max)];
  return items.flatMap((item, index) => check(item, path.index(index)));
}

/** As `validateItems`, and no two may have the same key; `shown` is what a message says of a double one. */
export function validateSet<T>(
  values: unknown,
  max: number,
  path: FieldPath,
  check: (value: T, path: FieldPath) => FieldError[],
  keyOf: (value: T) => string,
  shown: (value: T) => unknown = keyOf,
): FieldError[] {
  const items = list(values) as T[];
  const errors = validateItems(values, max, path, check);
  if (items.length > max) return errors;
  const seen = new Set<string>();
  items.forEach((item, index) => {
    const key = keyOf(item);
    if (seen.has(key)) errors.push(fieldError.duplicate(path.index(index), shown(item)));
    seen.add(key);
  });
  return errors;
}

/** A JSON object of at most `max` bytes that a driver, not the API, understands. */
export function validateRawObject(value: unknown, max: number, path: FieldPath): FieldError[] {
  if (!isSet(value)) return [fieldError.required(path)];
  if (byteLength(jsonText(value)) > max) return [fieldError.tooLong(path, max)];
  if (typeof value !== 'object' || Array.isArray(value))
    return [fieldError.invalid(path, '<value omitted>', 'must be a valid JSON object')];
  return [];
}

const taintEffects = ['NoExecute', 'NoSchedule', 'None'];

export function validateDeviceTaint(taint: Json, path: FieldPath): FieldError[] {
  const errors = validateLabelName(text(taint['key']), path.child('key'));
  const value = text(taint['value']);
  if (value !== '') errors.push(...validateLabelValue(value, path.child('value')));
  const effect = text(taint['effect']);
  if (effect === '') errors.push(fieldError.required(path.child('effect')));
  else if (!taintEffects.includes(effect))
    errors.push(fieldError.notSupported(path.child('effect'), effect, taintEffects));
  return errors;
}

export function validateDeviceToleration(toleration: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const key = text(toleration['key']);
  if (key !== '') errors.push(...validateLabelName(key, path.child('key')));
  const value = text(toleration['value']);
  const operator = text(toleration['operator']);
  if (operator === 'Exists') {
    if (value !== '')
      errors.push(fieldError.invalid(path.child('value'), value, 'must be empty for operator `Exists`'));
  } else if (operator === 'Equal') errors.push(...validateLabelValue(value, path.child('value')));
  else if (operator === '') errors.push(fieldError.required(path.child('operator')));
  else errors.push(fieldError.notSupported(path.child('operator'), operator, ['Equal', 'Exists']));
  const effect = text(toleration['effect']);
  if (effect !== '' && !taintEffects.includes(effect))
    errors.push(fieldError.notSupported(path.child('effect'), effect, taintEffects));
  return errors;
}

const bindingConditionsMax = 4;

/** Conditions that a device's driver sets before, or instead of, the pod's binding. */
export function validateBindingConditions(device: Json, path: FieldPath): FieldError[] {
  const names = ['bindingConditions', 'bindingFailureConditions'] as const;
  const [conditions, failures] = names.map((name) => list(device[name]) as string[]) as [string[], string[]];
  const errors = names.flatMap((name) =>
    validateItems(device[name], bindingConditionsMax, path.child(name), validateLabelName),
  );
  for (const [name, values] of [
    [names[0], conditions],
    [names[1], failures],
  ] as const)
    values.forEach((value, index) => {
      const at = path.child(name).index(index);
      if (values.indexOf(value) < index) errors.push(fieldError.duplicate(at, value));
      if (name === 'bindingFailureConditions' && conditions.includes(value))
        errors.push(
          fieldError.invalid(at, value, 'bindingFailureConditions must not overlap with bindingConditions'),
        );
    });
  if (conditions.length === 0 && failures.length > 0)
    errors.push(
      fieldError.invalid(
        path.child(names[0]),
        device[names[0]] ?? null,
        'bindingConditions are required to use bindingFailureConditions',
      ),
    );
  if (failures.length === 0 && conditions.length > 0)
    errors.push(
      fieldError.invalid(
        path.child(names[1]),
        device[names[1]] ?? null,
        'bindingFailureConditions are required to use bindingConditions',
      ),
    );
  return errors;
}
