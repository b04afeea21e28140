import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { compareQuantities, quantityOf, quantityText } from '../validation/quantities.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list } from '../validation/values.ts';
import { validateSet } from './device-names.ts';

const optionsMax = 10;

/** A capacity of a device: how much of it a request may take is told only of devices that several may share. */
export function validateCapacity(capacity: Json, shared: boolean, path: FieldPath): FieldError[] {
  const policy = capacity['requestPolicy'] as Json | null | undefined;
  if (!isSet(policy)) return [];
  const at = path.child('requestPolicy');
  if (!shared) return [fieldError.forbidden(at, 'allowMultipleAllocations must be true')];
  const values = list(policy['validValues']) as unknown[];
  const range = policy['validRange'] as Json | null | undefined;
  if (values.length > 0 && isSet(range))
    return [
      fieldError.forbidden(
        at,
        'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time',
      ),
    ];
  const name = values.length > 0 ? 'validValues' : 'validRange';
  if (values.length === 0 && !isSet(range)) return [];
  if (!isSet(policy['default']))
    return [fieldError.required(at.child('default'), `required when ${name} is defined`)];
  return isSet(range)
    ? validateRange(policy['default'], capacity['value'], range, at.child(name))
    : validateOptions(policy['default'], capacity['value'], values, at.child(name));
}

function validateOptions(
  byDefault: unknown,
  capacity: unknown,
  options: readonly unknown[],
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  options.slice(1).forEach((option, index) => {
    if (compareQuantities(options[index], option) > 0)
      errors.push(
        fieldError.invalid(
          path.index(index + 1),
          quantityText(option),
          'values must be sorted in ascending order',
        ),
      );
  });
  errors.push(
    ...validateSet<unknown>(
      options,
      optionsMax,
      path,
      (option, at) =>
        compareQuantities(option, capacity) > 0
          ? [
              fieldError.invalid(
                at,
                quantityText(option),
                `option is larger than capacity value: ${quantityText(capacity)}`,
              ),
            ]
          : [],
      (option) => String(quantityOf(option).value),
    ),
  );
  if (options.length > optionsMax || !options.some((option) => compareQuantities(option, byDefault) === 0))
    errors.push(
      fieldError.invalid(
        path,
        quantityText(byDefault),
        'default value is not valid according to the requestPolicy',
      ),
    );
  return errors;
}

function validateRange(byDefault: unknown, capacity: unknown, range: Json, path: FieldPath): FieldError[] {
  const { min, max, step } = range as { min?: unknown; max?: unknown; step?: unknown };
  if (!isSet(min)) return [fieldError.required(path.child('min'), 'required when validRange is defined')];
  const errors: FieldError[] = [];
  const larger = (name: string, left: unknown, right: unknown, problem: string): void => {
    if (compareQuantities(left, right) > 0)
      errors.push(fieldError.invalid(path.child(name), quantityText(left), problem));
  };
  const capacityText = quantityText(capacity);
  larger('min', min, capacity, `min is larger than capacity value: ${capacityText}`);
  if (compareQuantities(byDefault, min) < 0)
    errors.push(
      fieldError.invalid(
        path.child('min'),
        quantityText(byDefault),
        `default is less than min: ${quantityText(min)}`,
      ),
    );
  if (isSet(max)) {
    larger('max', min, max, `min is larger than max: ${quantityText(max)}`);
    larger('max', max, capacity, `max is larger than capacity value: ${capacityText}`);
    larger('max', byDefault, max, `default is more than max: ${quantityText(max)}`);
  }
  if (isSet(step)) {
    const added = quantityOf(min).add(quantityOf(step));
    if (added.compare(quantityOf(capacity)) > 0)
      errors.push(
        fieldError.invalid(
          path.child('step'),
          quantityText(step),
          `one step ${added.toString()} is larger than capacity value: ${capacityText}`,
        ),
      );
    for (const value of isSet(max) ? [byDefault, max] : [byDefault])
      if (!isStep(value, min, step))
        errors.push(
          fieldError.invalid(
            path.child('step'),
            quantityText(value),
            `value is not a multiple of a given step (${quantityText(step)}) from (${quantityText(min)})`,
          ),
        );
  }
  return errors;
}

function isStep(value: unknown, min: unknown, step: unknown): boolean {
  const size = quantityOf(step).value;
  return size !== 0 && (quantityOf(value).value - quantityOf(min).value) % size === 0;
}
