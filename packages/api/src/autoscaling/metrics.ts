import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { nameIsPathSegment } from '../validation/names.ts';
import { quantitySign, quantityText } from '../validation/quantities.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, problems, text } from '../validation/values.ts';

export function validateReference(ref: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const version = text(ref['apiVersion']);
  if (version.split('/').length > 2)
    errors.push(
      fieldError.invalid(path.child('apiVersion'), version, `unexpected GroupVersion string: ${version}`),
    );
  for (const name of ['kind', 'name']) {
    const value = text(ref[name]);
    if (value === '') errors.push(fieldError.required(path.child(name)));
    else errors.push(...problems(path.child(name), value, nameIsPathSegment(value, false)));
  }
  return errors;
}

function validateTarget(target: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const type = text(target['type']);
  if (type === '') errors.push(fieldError.required(path.child('type'), 'must specify a metric target type'));
  if (type !== 'Utilization' && type !== 'Value' && type !== 'AverageValue')
    errors.push(
      fieldError.invalid(path.child('type'), type, 'must be either Utilization, Value, or AverageValue'),
    );
  if (isSet(target['value']) && quantitySign(target['value']) <= 0)
    errors.push(fieldError.invalid(path.child('value'), quantityText(target['value']), 'must be positive'));
  if (isSet(target['averageValue']) && quantitySign(target['averageValue']) <= 0)
    errors.push(
      fieldError.invalid(
        path.child('averageValue'),
        quantityText(target['averageValue']),
        'must be positive',
      ),
    );
  if (isSet(target['averageUtilization']) && target['averageUtilization'] < 1)
    errors.push(
      fieldError.invalid(
        path.child('averageUtilization'),
        target['averageUtilization'],
        'must be greater than 0',
      ),
    );
  return errors;
}

function validateIdentifier(metric: Json, path: FieldPath): FieldError[] {
  const name = text(metric['name']);
  const errors =
    name === ''
      ? [fieldError.required(path.child('name'), 'must specify a metric name')]
      : problems(path.child('name'), name, nameIsPathSegment(name, false));
  // The selector is not looked at, as old clients may send any.
  return errors;
}

type Rule = (source: Json, path: FieldPath) => FieldError[];

const targetOf = (source: Json): Json => (source['target'] ?? {}) as Json;
const eitherUtilization = 'must set either a target raw value or a target utilization';
const notBoth = 'may not set both a target raw value and a target utilization';

const validateResource: Rule = (source, path) => {
  const errors: FieldError[] = [];
  const target = targetOf(source);
  if (text(source['name']) === '')
    errors.push(fieldError.required(path.child('name'), 'must specify a resource name'));
  errors.push(...validateTarget(target, path.child('target')));
  if (!isSet(target['averageUtilization']) && !isSet(target['averageValue']))
    errors.push(fieldError.required(path.child('target', 'averageUtilization'), eitherUtilization));
  if (isSet(target['averageUtilization']) && isSet(target['averageValue']))
    errors.push(fieldError.forbidden(path.child('target', 'averageValue'), notBoth));
  return errors;
};

const validateContainerResource: Rule = (source, path) => {
  const errors: FieldError[] = [];
  const target = targetOf(source);
  if (text(source['name']) === '')
    errors.push(fieldError.required(path.child('name'), 'must specify a resource name'));
  if (text(source['container']) === '')
    errors.push(fieldError.required(path.child('container'), 'must specify a container'));
  errors.push(...validateTarget(target, path.child('target')));
  if (!isSet(target['averageUtilization']) && !isSet(target['averageValue']))
    errors.push(fieldError.required(path.child('target', 'averageUtilization'), eitherUtilization));
  if (isSet(target['averageUtilization']) && isSet(target['averageValue']))
    errors.push(fieldError.forbidden(path.child('target', 'averageValue'), notBoth));
  return errors;
};

const validatePods: Rule = (source, path) => {
  const errors = validateIdentifier((source['metric'] ?? {}) as Json, path.child('metric'));
  const target = targetOf(source);
  errors.push(...validateTarget(target, path.child('target')));
  if (!isSet(target['averageValue']))
    errors.push(
      fieldError.required(
        path.child('target', 'averageValue'),
        'must specify a positive target averageValue',
      ),
    );
  return errors;
};

const validateObjectMetric: Rule = (source, path) => {
  const errors = validateReference((source['describedObject'] ?? {}) as Json, path.child('describedObject'));
  errors.push(...validateIdentifier((source['metric'] ?? {}) as Json, path.child('metric')));
  const target = targetOf(source);
  errors.push(...validateTarget(target, path.child('target')));
  if (!isSet(target['value']) && !isSet(target['averageValue']))
    errors.push(
      fieldError.required(
        path.child('target', 'averageValue'),
        'must set either a target value or averageValue',
      ),
    );
  return errors;
};

const validateExternal: Rule = (source, path) => {
  const errors = validateIdentifier((source['metric'] ?? {}) as Json, path.child('metric'));
  const target = targetOf(source);
  errors.push(...validateTarget(target, path.child('target')));
  if (!isSet(target['value']) && !isSet(target['averageValue']))
    errors.push(
      fieldError.required(
        path.child('target', 'averageValue'),
        'must set either a target value for metric or a per-pod target',
      ),
    );
  if (isSet(target['value']) && isSet(target['averageValue']))
    errors.push(
      fieldError.forbidden(
        path.child('target', 'value'),
        'may not set both a target value for metric and a per-pod target',
      ),
    );
  return errors;
};

const sources: readonly (readonly [field: string, type: string, rule: Rule])[] = [
  ['object', 'Object', validateObjectMetric],
  ['external', 'External', validateExternal],
  ['pods', 'Pods', validatePods],
  ['resource', 'Resource', validateResource],
  ['containerResource', 'ContainerResource', validateContainerResource],
];
const types = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'];

export function validateMetric(metric: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const type = text(metric['type']);
  if (type === '') errors.push(fieldError.required(path.child('type'), 'must specify a metric source type'));
  if (!types.includes(type)) errors.push(fieldError.notSupported(path.child('type'), type, types));
  const present: string[] = [];
  for (const [field, , rule] of sources) {
    if (!isSet(metric[field])) continue;
    present.push(field);
    if (present.length === 1) errors.push(...rule(metric[field] as Json, path.child(field)));
  }
  const expected = sources.find(([, each]) => each === type)?.[0];
  // Upstream says it a second time where it looks for the source.
  if (expected === undefined) errors.push(fieldError.notSupported(path.child('type'), type, types));
  else if (!present.includes(expected))
    errors.push(
      fieldError.required(path.child(expected), 'must populate information for the given metric source'),
    );
  if (present.length !== 1)
    for (const other of present.filter((each) => each !== expected).sort())
      errors.push(fieldError.forbidden(path.child(other), 'must populate the given metric source only'));
  return errors;
}

const maxStabilizationSeconds = 3600;
const maxPeriodSeconds = 1800;

export function validateScalingRules(rules: Json | null | undefined, path: FieldPath): FieldError[] {
  if (!isSet(rules)) return [];
  const errors: FieldError[] = [];
  const window = rules['stabilizationWindowSeconds'] as number | null | undefined;
  if (isSet(window) && window < 0)
    errors.push(
      fieldError.invalid(
        path.child('stabilizationWindowSeconds'),
        window,
        'must be greater than or equal to zero',
      ),
    );
  if (isSet(window) && window > maxStabilizationSeconds)
    errors.push(
      fieldError.invalid(
        path.child('stabilizationWindowSeconds'),
        window,
        `must be less than or equal to ${maxStabilizationSeconds}`,
      ),
    );
  if (isSet(rules['selectPolicy']) && !['Disabled', 'Max', 'Min'].includes(text(rules['selectPolicy'])))
    errors.push(
      fieldError.notSupported(path.child('selectPolicy'), rules['selectPolicy'], ['Disabled', 'Max', 'Min']),
    );
  if (list(rules['policies']).length === 0)
    errors.push(fieldError.required(path.child('policies'), 'must specify at least one Policy'));
  list(rules['policies']).forEach((policy: Json, index) => {
    const at = path.child('policies').index(index);
    if (!['Percent', 'Pods'].includes(text(policy['type'])))
      errors.push(fieldError.notSupported(at.child('type'), text(policy['type']), ['Percent', 'Pods']));
    const value: number = policy['value'] ?? 0;
    if (value <= 0) errors.push(fieldError.invalid(at.child('value'), value, 'must be greater than zero'));
    const period: number = policy['periodSeconds'] ?? 0;
    if (period <= 0)
      errors.push(fieldError.invalid(at.child('periodSeconds'), period, 'must be greater than zero'));
    if (period > maxPeriodSeconds)
      errors.push(
        fieldError.invalid(
          at.child('periodSeconds'),
          period,
          `must be less than or equal to ${maxPeriodSeconds}`,
        ),
      );
  });
  if (isSet(rules['tolerance']) && quantitySign(rules['tolerance']) < 0)
    errors.push(
      fieldError.invalid(
        path.child('tolerance'),
        quantityText(rules['tolerance']),
        'must be greater than or equal to 0',
      ),
    );
  return errors;
}
