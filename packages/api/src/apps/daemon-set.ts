import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks, statusPath } from '../common.ts';
import { changedTemplateWarnings, templateWarnings } from '../core/pod/warnings.ts';
import { defaultPodTemplate } from '../defaults/pod-spec.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, containersAndImages, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import {
  intOrPercentNumber,
  validateAtMost100Percent,
  validatePositiveIntOrPercent,
} from '../validation/int-or-percent.ts';
import { internalText } from '../validation/internal-text.ts';
import {
  formatLabels,
  formatLabelSelector,
  isEmptySelector,
  validateLabelSelector,
} from '../validation/meta.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, semanticEqual, text } from '../validation/values.ts';
import {
  nonNegativeFields,
  notDecremented,
  validateLongRunningTemplate,
  validateSelectorMatches,
} from '../validation/workload.ts';

/** Where the count of template changes lives since the field is gone. */
const templateGeneration = 'deprecated.daemonset.template.generation';

function validateRollingUpdate(rolling: Json, path: FieldPath): FieldError[] {
  const unavailable: unknown = rolling['maxUnavailable'];
  const surge: unknown = rolling['maxSurge'];
  const errors = validatePositiveIntOrPercent(unavailable, path.child('maxUnavailable'));
  errors.push(...validatePositiveIntOrPercent(surge, path.child('maxSurge')));
  errors.push(...validateAtMost100Percent(unavailable, path.child('maxUnavailable')));
  errors.push(...validateAtMost100Percent(surge, path.child('maxSurge')));
  const hasUnavailable = intOrPercentNumber(unavailable) !== 0;
  const hasSurge = intOrPercentNumber(surge) !== 0;
  if (hasUnavailable && hasSurge)
    errors.push(
      fieldError.invalid(path.child('maxSurge'), surge, 'may not be set when maxUnavailable is non-zero'),
    );
  else if (!hasUnavailable && !hasSurge)
    errors.push(fieldError.required(path.child('maxUnavailable'), 'cannot be 0 when maxSurge is 0'));
  return errors;
}

function validateUpdateStrategy(strategy: Json, path: FieldPath): FieldError[] {
  switch (text(strategy['type'])) {
    case 'OnDelete':
      return [];
    case 'RollingUpdate':
      return isSet(strategy['rollingUpdate'])
        ? validateRollingUpdate(strategy['rollingUpdate'] as Json, path.child('rollingUpdate'))
        : [fieldError.required(path.child('rollingUpdate'))];
    default:
      return [
        {
          type: 'FieldValueNotSupported',
          field: path.toString(),
          message: `Unsupported value: ${internalText('DaemonSetUpdateStrategy', strategy)}: supported values: "RollingUpdate", "OnDelete"`,
        },
      ];
  }
}

function validateSpec(spec: Json): FieldError[] {
  const template = (spec['template'] ?? {}) as Json;
  const selectorPath = specPath.child('selector');
  const errors = validateLabelSelector(spec['selector'], selectorPath);
  errors.push(
    ...validateSelectorMatches(spec['selector'], template, selectorPath, specPath.child('template'), null),
  );
  if (isSet(spec['selector']) && isEmptySelector(spec['selector']))
    errors.push(
      fieldError.invalid(selectorPath, spec['selector'], 'empty selector is invalid for daemonset'),
    );
  errors.push(...validateLongRunningTemplate(template, 'DaemonSet', specPath.child('template')));
  errors.push(...nonNegativeFields(spec, specPath, 'minReadySeconds'));
  errors.push(
    ...validateUpdateStrategy((spec['updateStrategy'] ?? {}) as Json, specPath.child('updateStrategy')),
  );
  errors.push(...nonNegativeFields(spec, specPath, 'revisionHistoryLimit'));
  return errors;
}

function validateStatus(object: KubeObject, old: KubeObject): FieldError[] {
  const status = (object['status'] ?? {}) as Json;
  const errors = nonNegativeFields(
    status,
    statusPath,
    'currentNumberScheduled',
    'numberMisscheduled',
    'desiredNumberScheduled',
    'numberReady',
    'observedGeneration',
    'updatedNumberScheduled',
    'numberAvailable',
    'numberUnavailable',
    'collisionCount',
  );
  errors.push(...notDecremented(status, (old['status'] ?? {}) as Json, statusPath, 'collisionCount'));
  return errors;
}

function setTemplateGeneration(object: KubeObject, count: number): void {
  object.metadata.annotations = { ...object.metadata.annotations, [templateGeneration]: String(count) };
}

const templateGenerationOf = (object: KubeObject): number =>
  Number(object.metadata.annotations?.[templateGeneration] ?? '0') || 0;

export const daemonSetStrategy: ResourceStrategy = {
  group: 'apps',
  version: 'v1',
  kind: 'DaemonSet',
  resource: 'daemonsets',
  resetFields: ['status'],
  defaults(object) {
    const spec = ensure(object, 'spec');
    const strategy = ensure(spec, 'updateStrategy');
    setZeroDefault(strategy, 'type', 'RollingUpdate');
    if (strategy['type'] === 'RollingUpdate') {
      const rolling = ensure(strategy, 'rollingUpdate');
      setDefault(rolling, 'maxUnavailable', 1);
      setDefault(rolling, 'maxSurge', 0);
    }
    setDefault(spec, 'revisionHistoryLimit', 10);
    defaultPodTemplate(ensure(spec, 'template'));
    // Whoever writes the object writes the count too, even when it is not in the request.
    setTemplateGeneration(object, templateGenerationOf(object));
  },
  prepareForCreate(object) {
    // Members that are always written are there from the start, so that an empty write to the status owns none of them.
    object['status'] = {
      currentNumberScheduled: 0,
      numberMisscheduled: 0,
      desiredNumberScheduled: 0,
      numberReady: 0,
    };
    startGeneration(object);
    setTemplateGeneration(object, Math.max(1, templateGenerationOf(object)));
  },
  validate: (object) => validateSpec((object['spec'] ?? {}) as Json),
  warningsOnCreate: (object) => templateWarnings(object['spec']?.template, specPath.child('template')),
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    const changed = !semanticEqual(object['spec']?.template, old['spec']?.template);
    setTemplateGeneration(object, templateGenerationOf(old) + (changed ? 1 : 0));
    bumpGeneration(object, old);
  },
  validateUpdate: (object, old) => [
    ...immutable(object['spec']?.selector, old['spec']?.selector, specPath.child('selector')),
    ...validateSpec((object['spec'] ?? {}) as Json),
  ],
  warningsOnUpdate: (object, old) => changedTemplateWarnings(object, old, specPath.child('template')),
  subresources: { status: statusHooks(validateStatus) },
  columns: columnsOf['apps/daemonsets'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const status = (object['status'] ?? {}) as Json;
    const [containers, images] = containersAndImages(spec['template']?.spec);
    return [
      nameOf(object),
      status['desiredNumberScheduled'] ?? 0,
      status['currentNumberScheduled'] ?? 0,
      status['numberReady'] ?? 0,
      status['updatedNumberScheduled'] ?? 0,
      status['numberAvailable'] ?? 0,
      formatLabels(spec['template']?.spec?.nodeSelector),
      ageOf(object, nowMs),
      containers,
      images,
      formatLabelSelector(spec['selector']),
    ];
  },
};
