import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks, statusPath } from '../common.ts';
import { ensure } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateAtMost100Percent, validatePositiveIntOrPercent } from '../validation/int-or-percent.ts';
import { validateConditions } from '../validation/conditions.ts';
import { internalText } from '../validation/internal-text.ts';
import { validateLabelSelector } from '../validation/meta.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, oneOf } from '../validation/values.ts';
import { nonNegativeFields } from '../validation/workload.ts';

function validate(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  if (isSet(spec['minAvailable']) && isSet(spec['maxUnavailable']))
    errors.push({
      type: 'FieldValueInvalid',
      field: specPath.text,
      message: `Invalid value: ${internalText('PodDisruptionBudgetSpec', spec)}: minAvailable and maxUnavailable cannot be both set`,
    });
  for (const name of ['minAvailable', 'maxUnavailable'])
    if (isSet(spec[name])) {
      errors.push(...validatePositiveIntOrPercent(spec[name], specPath.child(name)));
      errors.push(...validateAtMost100Percent(spec[name], specPath.child(name)));
    }
  errors.push(...validateLabelSelector(spec['selector'], specPath.child('selector')));
  if (isSet(spec['unhealthyPodEvictionPolicy']))
    errors.push(
      ...oneOf(specPath.child('unhealthyPodEvictionPolicy'), spec['unhealthyPodEvictionPolicy'], [
        'AlwaysAllow',
        'IfHealthyBudget',
      ]),
    );
  return errors;
}

function validateStatus(object: KubeObject): FieldError[] {
  const status = (object['status'] ?? {}) as Json;
  return [
    ...validateConditions(list(status['conditions']) as Json[], statusPath.child('conditions')),
    ...nonNegativeFields(
      status,
      statusPath,
      'disruptionsAllowed',
      'currentHealthy',
      'desiredHealthy',
      'expectedPods',
    ),
  ];
}

const intOrStringText = (value: unknown): string => (isSet(value) ? String(value) : 'N/A');

export const podDisruptionBudgetStrategy: ResourceStrategy = {
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  resource: 'poddisruptionbudgets',
  plainMetadata: true,
  anyFinalizer: true,
  resetFields: ['status'],
  allowUnconditionalUpdate: false,
  defaults: (object) => void ensure(object, 'spec'),
  prepareForCreate(object) {
    // Members that are always written are there from the start, so that an empty write to the status owns none of them.
    object['status'] = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
    startGeneration(object);
  },
  validate,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old);
  },
  validateUpdate: validate,
  subresources: { status: statusHooks(validateStatus) },
  columns: columnsOf['policy/poddisruptionbudgets'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    intOrStringText(object['spec']?.minAvailable),
    intOrStringText(object['spec']?.maxUnavailable),
    object['status']?.disruptionsAllowed ?? 0,
    ageOf(object, nowMs),
  ],
};
