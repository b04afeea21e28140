import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks, statusPath } from '../common.ts';
import { changedTemplateWarnings, templateWarnings } from '../core/pod/warnings.ts';
import { defaultPodTemplate } from '../defaults/pod-spec.ts';
import { ensure, setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, containersAndImages, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { formatLabelSelector } from '../validation/meta.ts';
import type { Json } from '../validation/values.ts';
import { immutable, nonNegative } from '../validation/values.ts';
import {
  nonNegativeFields,
  notMoreThanReady,
  notMoreThanReplicas,
  isUsableSelector,
  validateLongRunningTemplate,
  validateSelectorMatches,
  validateWorkloadSelector,
  workloadNameWarnings,
} from '../validation/workload.ts';

function validateSpec(spec: Json): FieldError[] {
  const template = (spec['template'] ?? {}) as Json;
  const errors = [
    ...nonNegative(spec['replicas'], specPath.child('replicas')),
    ...nonNegative(spec['minReadySeconds'], specPath.child('minReadySeconds')),
  ];
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
  return errors;
}

/** Of ReplicaSets and ReplicationControllers alike. */
export function validateReplicaStatus(object: KubeObject): FieldError[] {
  const status = (object['status'] ?? {}) as Json;
  const errors = nonNegativeFields(
    status,
    statusPath,
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'terminatingReplicas',
    'observedGeneration',
  );
  errors.push(
    ...notMoreThanReplicas(status, statusPath, 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'),
  );
  errors.push(...notMoreThanReady(status, statusPath, 'readyReplicas'));
  return errors;
}

export const replicaSetStrategy: ResourceStrategy = {
  group: 'apps',
  version: 'v1',
  kind: 'ReplicaSet',
  resource: 'replicasets',
  resetFields: ['status'],
  defaults(object) {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'replicas', 1);
    defaultPodTemplate(ensure(spec, 'template'));
  },
  prepareForCreate(object) {
    // Members that are always written are there from the start, so that an empty write to the status owns none of them.
    object['status'] = { replicas: 0 };
    startGeneration(object);
  },
  validate: (object) => validateSpec((object['spec'] ?? {}) as Json),
  warningsOnCreate: (object) => [
    ...workloadNameWarnings(nameOf(object)),
    ...templateWarnings(object['spec']?.template, specPath.child('template')),
  ],
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old);
  },
  validateUpdate: (object, old) => [
    ...validateSpec((object['spec'] ?? {}) as Json),
    ...immutable(object['spec']?.selector, old['spec']?.selector, specPath.child('selector')),
  ],
  warningsOnUpdate: (object, old) => changedTemplateWarnings(object, old, specPath.child('template')),
  subresources: { status: statusHooks(validateReplicaStatus) },
  columns: columnsOf['apps/replicasets'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const status = (object['status'] ?? {}) as Json;
    const [containers, images] = containersAndImages(spec['template']?.spec);
    return [
      nameOf(object),
      spec['replicas'] ?? 0,
      status['replicas'] ?? 0,
      status['readyReplicas'] ?? 0,
      ageOf(object, nowMs),
      containers,
      images,
      formatLabelSelector(spec['selector']),
    ];
  },
};
