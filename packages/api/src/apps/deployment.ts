import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks, statusPath } from '../common.ts';
import { defaultPodTemplate } from '../defaults/pod-spec.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import { changedTemplateWarnings, templateWarnings } from '../core/pod/warnings.ts';
import type { ResourceStrategy, UpdateHooks } from '../strategy.ts';
import { ageOf, containersAndImages, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import {
  intOrPercentNumber,
  validateAtMost100Percent,
  validatePositiveIntOrPercent,
} from '../validation/int-or-percent.ts';
import { internalText } from '../validation/internal-text.ts';
import { formatLabelSelector } from '../validation/meta.ts';
import type { Json } from '../validation/values.ts';
import { clone, immutable, isSet, nonNegative } from '../validation/values.ts';
import {
  nonNegativeFields,
  notDecremented,
  notMoreThanReady,
  notMoreThanReplicas,
  isUsableSelector,
  validateLongRunningTemplate,
  validateSelectorMatches,
  validateWorkloadSelector,
  workloadNameWarnings,
} from '../validation/workload.ts';

function validateStrategy(strategy: Json, path: FieldPath): FieldError[] {
  const rolling = strategy['rollingUpdate'] as Json | null | undefined;
  switch (strategy['type']) {
    case 'Recreate':
      return isSet(rolling)
        ? [
            fieldError.forbidden(
              path.child('rollingUpdate'),
              "may not be specified when strategy `type` is 'Recreate'",
            ),
          ]
        : [];
    case 'RollingUpdate':
      return isSet(rolling)
        ? validateRollingUpdate(rolling, path.child('rollingUpdate'))
        : [fieldError.required(path.child('rollingUpdate'), 'this should be defaulted and never be nil')];
    default:
      return [
        {
          type: 'FieldValueNotSupported',
          field: path.toString(),
          message: `Unsupported value: ${internalText('DeploymentStrategy', strategy)}: supported values: "Recreate", "RollingUpdate"`,
        },
      ];
  }
}

function validateRollingUpdate(rolling: Json, path: FieldPath): FieldError[] {
  const errors = validatePositiveIntOrPercent(rolling['maxUnavailable'], path.child('maxUnavailable'));
  errors.push(...validatePositiveIntOrPercent(rolling['maxSurge'], path.child('maxSurge')));
  if (intOrPercentNumber(rolling['maxUnavailable']) === 0 && intOrPercentNumber(rolling['maxSurge']) === 0)
    errors.push(
      fieldError.invalid(
        path.child('maxUnavailable'),
        rolling['maxUnavailable'],
        'may not be 0 when `maxSurge` is 0',
      ),
    );
  errors.push(...validateAtMost100Percent(rolling['maxUnavailable'], path.child('maxUnavailable')));
  return errors;
}

function validateSpec(spec: Json): FieldError[] {
  const template = (spec['template'] ?? {}) as Json;
  const errors = nonNegative(spec['replicas'], specPath.child('replicas'));
  errors.push(...validateWorkloadSelector(spec['selector'], 'deployment', specPath.child('selector')));
  errors.push(
    ...validateSelectorMatches(
      spec['selector'],
      template,
      specPath.child('selector'),
      specPath.child('template'),
    ),
  );
  if (isUsableSelector(spec['selector'] as Json))
    errors.push(...validateLongRunningTemplate(template, 'ReplicaSet', specPath.child('template')));
  errors.push(...validateStrategy((spec['strategy'] ?? {}) as Json, specPath.child('strategy')));
  errors.push(
    ...nonNegativeFields(
      spec,
      specPath,
      'minReadySeconds',
      'revisionHistoryLimit',
      'progressDeadlineSeconds',
    ),
  );
  const deadline = spec['progressDeadlineSeconds'] as number | null | undefined;
  if (isSet(deadline) && deadline <= (spec['minReadySeconds'] ?? 0))
    errors.push(
      fieldError.invalid(
        specPath.child('progressDeadlineSeconds'),
        deadline,
        'must be greater than minReadySeconds',
      ),
    );
  return errors;
}

function validateStatus(object: KubeObject, old: KubeObject): FieldError[] {
  const status = (object['status'] ?? {}) as Json;
  const errors = nonNegativeFields(
    status,
    statusPath,
    'observedGeneration',
    'replicas',
    'updatedReplicas',
    'readyReplicas',
    'availableReplicas',
    'unavailableReplicas',
    'terminatingReplicas',
    'collisionCount',
  );
  errors.push(
    ...notMoreThanReplicas(status, statusPath, 'updatedReplicas', 'readyReplicas', 'availableReplicas'),
  );
  errors.push(...notMoreThanReady(status, statusPath, 'readyReplicas'));
  errors.push(...notDecremented(status, (old['status'] ?? {}) as Json, statusPath, 'collisionCount'));
  return errors;
}

const usualStatus = statusHooks(validateStatus);
/** Labels are no part of the status here; annotations and the rest are, as upstream has it. */
const statusOfDeployment: UpdateHooks = {
  ...usualStatus,
  resetFields: ['spec', 'metadata.labels'],
  prepareForUpdate(object, old, context) {
    usualStatus.prepareForUpdate?.(object, old, context);
    if (old.metadata.labels === undefined) delete object.metadata.labels;
    else object.metadata.labels = clone(old.metadata.labels);
  },
};

export const deploymentStrategy: ResourceStrategy = {
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  resource: 'deployments',
  resetFields: ['status'],
  defaults(object) {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'replicas', 1);
    const strategy = ensure(spec, 'strategy');
    setZeroDefault(strategy, 'type', 'RollingUpdate');
    if (strategy['type'] === 'RollingUpdate') {
      const rolling = ensure(strategy, 'rollingUpdate');
      setDefault(rolling, 'maxUnavailable', '25%');
      setDefault(rolling, 'maxSurge', '25%');
    }
    setDefault(spec, 'revisionHistoryLimit', 10);
    setDefault(spec, 'progressDeadlineSeconds', 600);
    defaultPodTemplate(ensure(spec, 'template'));
  },
  prepareForCreate(object) {
    object['status'] = {};
    startGeneration(object);
  },
  validate: (object) => validateSpec((object['spec'] ?? {}) as Json),
  warningsOnCreate: (object) => [
    ...workloadNameWarnings(nameOf(object)),
    ...templateWarnings(object['spec']?.template, specPath.child('template')),
  ],
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old, 'spec');
    // Annotations are part of what a rollout carries on to its ReplicaSets.
    if (object.metadata.generation === old.metadata.generation && annotationsDiffer(object, old))
      object.metadata.generation = (old.metadata.generation ?? 0) + 1;
  },
  validateUpdate: (object, old) => [
    ...validateSpec((object['spec'] ?? {}) as Json),
    ...immutable(object['spec']?.selector, old['spec']?.selector, specPath.child('selector')),
  ],
  warningsOnUpdate: (object, old) => changedTemplateWarnings(object, old, specPath.child('template')),
  subresources: { status: statusOfDeployment },
  columns: columnsOf['apps/deployments'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const status = (object['status'] ?? {}) as Json;
    const [containers, images] = containersAndImages(spec['template']?.spec);
    return [
      nameOf(object),
      `${String(status['readyReplicas'] ?? 0)}/${String(spec['replicas'] ?? 0)}`,
      status['updatedReplicas'] ?? 0,
      status['availableReplicas'] ?? 0,
      ageOf(object, nowMs),
      containers,
      images,
      formatLabelSelector(spec['selector']),
    ];
  },
};

function annotationsDiffer(object: KubeObject, old: KubeObject): boolean {
  const now = Object.entries(object.metadata.annotations ?? {});
  const before = old.metadata.annotations ?? {};
  return now.length !== Object.keys(before).length || now.some(([key, value]) => before[key] !== value);
}
