import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { specPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isQualifiedName } from '../validation/names.ts';
import { compareQuantities, quantityOf, quantityText } from '../validation/quantities.ts';
import { validateContainerResourceName, validateResourceName } from '../validation/resources.ts';
import type { Json } from '../validation/values.ts';
import { entries, isSet, list, problems, text } from '../validation/values.ts';

const types = new Set(['Pod', 'Container', 'PersistentVolumeClaim']);
const unit = quantityOf('1');

function validateType(type: string, path: FieldPath): FieldError[] {
  const errors = problems(path, type, isQualifiedName(type));
  if (errors.length === 0 && !type.includes('/') && !types.has(type))
    errors.push(fieldError.invalid(path, type, 'must be a standard limit type or fully qualified'));
  return errors;
}

function validateItem(item: Json, path: FieldPath, seen: Set<string>): FieldError[] {
  const type = text(item['type']);
  const errors = validateType(type, path.child('type'));
  if (seen.has(type)) errors.push(fieldError.duplicate(path.child('type'), type));
  seen.add(type);
  const keys = new Set<string>();
  const names = (field: string): void => {
    for (const [name] of entries(item[field])) {
      const at = path.child(field).key(name);
      errors.push(
        ...(type === 'Pod' || type === 'Container'
          ? validateContainerResourceName(name, at)
          : validateResourceName(name, at)),
      );
      keys.add(name);
    }
  };
  names('max');
  names('min');
  if (type === 'Pod') {
    for (const field of ['default', 'defaultRequest'])
      if (entries(item[field]).length > 0)
        errors.push(fieldError.forbidden(path.child(field), "may not be specified when `type` is 'Pod'"));
  } else {
    names('default');
    names('defaultRequest');
  }
  if (type === 'PersistentVolumeClaim' && !isSet(item['min']?.storage) && !isSet(item['max']?.storage))
    errors.push(
      fieldError.required(
        path.child('limits'),
        'either minimum or maximum storage value is required, but neither was provided',
      ),
    );
  names('maxLimitRequestRatio');
  for (const key of [...keys].sort()) errors.push(...validateOrder(item, key, path));
  return errors;
}

function validateOrder(item: Json, key: string, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const at = (field: string): unknown => item[field]?.[key] ?? undefined;
  const [min, max, standard, request, ratio] = [
    'min',
    'max',
    'default',
    'defaultRequest',
    'maxLimitRequestRatio',
  ].map(at);
  const greater = (left: unknown, right: unknown): boolean =>
    left !== undefined && right !== undefined && compareQuantities(left, right) > 0;
  const add = (field: string, value: unknown, detail: string): void => {
    errors.push(fieldError.invalid(path.child(field).key(key), quantityText(value), detail));
  };
  const t = quantityText;
  if (greater(min, max)) add('min', min, `min value ${t(min)} is greater than max value ${t(max)}`);
  if (greater(min, request))
    add('defaultRequest', request, `min value ${t(min)} is greater than default request value ${t(request)}`);
  if (greater(request, max))
    add('defaultRequest', request, `default request value ${t(request)} is greater than max value ${t(max)}`);
  if (greater(request, standard))
    add(
      'defaultRequest',
      request,
      `default request value ${t(request)} is greater than default limit value ${t(standard)}`,
    );
  if (greater(min, standard))
    add('default', min, `min value ${t(min)} is greater than default value ${t(standard)}`);
  if (greater(standard, max))
    add('default', max, `default value ${t(standard)} is greater than max value ${t(max)}`);
  if (ratio !== undefined) {
    if (quantityOf(ratio).compare(unit) < 0)
      add('maxLimitRequestRatio', ratio, `ratio ${t(ratio)} is less than 1`);
    if (min !== undefined && max !== undefined) {
      const limit = quantityOf(max).toNumber() / quantityOf(min).toNumber();
      if (quantityOf(ratio).toNumber() > limit)
        add('maxLimitRequestRatio', ratio, `ratio ${t(ratio)} is greater than max/min = ${limit.toFixed(6)}`);
    }
  }
  return errors;
}

function validate(object: KubeObject): FieldError[] {
  const seen = new Set<string>();
  return list(object['spec']?.limits).flatMap((item: Json, index) =>
    validateItem(item, specPath.child('limits').index(index), seen),
  );
}

/** What a container gets when it says nothing follows from the other limits. */
function defaultItem(item: Json): void {
  if (item['type'] !== 'Container') return;
  const max = (item['max'] ?? {}) as Json;
  const min = (item['min'] ?? {}) as Json;
  const standard = { ...max, ...((item['default'] ?? {}) as Json) };
  const request = { ...min, ...standard, ...((item['defaultRequest'] ?? {}) as Json) };
  if (Object.keys(standard).length > 0) item['default'] = standard;
  if (Object.keys(request).length > 0) item['defaultRequest'] = request;
}

export const limitRangeStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'LimitRange',
  revalidatesMetadata: true,
  resource: 'limitranges',
  allowCreateOnUpdate: true,
  defaults(object) {
    for (const item of list(object['spec']?.limits) as Json[]) defaultItem(item);
  },
  /** Without a name it gets one that is as good as random. */
  prepareForCreate(object) {
    if (text(object.metadata.name) === '' && object.metadata.uid !== undefined)
      object.metadata.name = object.metadata.uid;
  },
  validate,
  validateUpdate: validate,
  columns: columnsOf['/limitranges'] ?? [],
  cells: (object) => [nameOf(object), object.metadata.creationTimestamp],
};
