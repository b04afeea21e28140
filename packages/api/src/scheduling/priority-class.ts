import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { keepGeneration, metadataPath, rootPath, startGeneration } from '../common.ts';
import { setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validatePreemptionPolicy } from '../validation/pod-spec.ts';
import { immutable, isSet, text } from '../validation/values.ts';

const highestUserPriority = 1_000_000_000;
const systemClasses: Readonly<Record<string, number>> = {
  'system-node-critical': 2_000_001_000,
  'system-cluster-critical': 2_000_000_000,
};

function validate(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const name = text(object.metadata.name);
  const value: number = object['value'] ?? 0;
  if (name.startsWith('system-')) {
    const isKnown = systemClasses[name] === value && object['globalDefault'] !== true;
    if (!isKnown)
      errors.push(
        fieldError.forbidden(
          metadataPath.child('name'),
          "priority class names with 'system-' prefix are reserved for system use only. error: " +
            systemProblem(name, value),
        ),
      );
  } else if (value > highestUserPriority)
    errors.push(
      fieldError.forbidden(
        rootPath.child('value'),
        `maximum allowed value of a user defined priority is ${highestUserPriority}`,
      ),
    );
  if (isSet(object['preemptionPolicy']))
    errors.push(...validatePreemptionPolicy(object['preemptionPolicy'], rootPath.child('preemptionPolicy')));
  return errors;
}

function systemProblem(name: string, value: number): string {
  const known = systemClasses[name];
  if (known === undefined) return `${name} is not a known system priority class`;
  return known === value
    ? `globalDefault of ${name} must be false`
    : `value of ${name} PriorityClass must be ${known}`;
}

function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  if ((object['value'] ?? 0) !== (old['value'] ?? 0))
    errors.push(fieldError.forbidden(rootPath.child('value'), 'may not be changed in an update.'));
  errors.push(
    ...immutable(object['preemptionPolicy'], old['preemptionPolicy'], rootPath.child('preemptionPolicy')),
  );
  return errors;
}

export const priorityClassStrategy: ResourceStrategy = {
  group: 'scheduling.k8s.io',
  version: 'v1',
  kind: 'PriorityClass',
  resource: 'priorityclasses',
  defaults(object) {
    setDefault(object, 'preemptionPolicy', 'PreemptLowerPriority');
  },
  prepareForCreate: startGeneration,
  validate,
  prepareForUpdate: keepGeneration,
  validateUpdate: validateChange,
  columns: columnsOf['scheduling.k8s.io/priorityclasses'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    object['value'] ?? 0,
    object['globalDefault'] === true,
    ageOf(object, nowMs),
    text(object['preemptionPolicy']),
  ],
};
