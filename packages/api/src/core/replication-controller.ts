import type { FieldError } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { validateReplicaStatus } from '../apps/replica-set.ts';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks } from '../common.ts';
import { defaultPodTemplate } from '../defaults/pod-spec.ts';
import { ensure, setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, containersAndImages, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { formatLabels } from '../validation/meta.ts';
import { nameIsLongName } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { clone, entries, isSet, nonNegative } from '../validation/values.ts';
import { shownLabels, validateLongRunningTemplate, workloadNameWarnings } from '../validation/workload.ts';
import { templateWarnings } from './pod/warnings.ts';

function validateSpec(spec: Json): FieldError[] {
  const errors = [
    ...nonNegative(spec['minReadySeconds'], specPath.child('minReadySeconds')),
    ...(entries(spec['selector']).length === 0 ? [fieldError.required(specPath.child('selector'))] : []),
    ...nonNegative(spec['replicas'], specPath.child('replicas')),
  ];
  const path = specPath.child('template');
  if (!isSet(spec['template'])) return [...errors, fieldError.required(path)];
  const template = spec['template'] as Json;
  const labels = (template['metadata']?.labels ?? {}) as Json;
  if (!entries(spec['selector']).every(([key, value]) => labels[key] === value))
    errors.push(
      fieldError.invalid(
        path.child('metadata', 'labels'),
        shownLabels(template['metadata'] as Json | undefined),
        '`selector` does not match template `labels`',
      ),
    );
  errors.push(...validateLongRunningTemplate(template, 'ReplicationController', path));
  return errors;
}

export const replicationControllerStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'ReplicationController',
  resource: 'replicationcontrollers',
  validateName: nameIsLongName,
  resetFields: ['status'],
  defaultPropagation: 'Orphan',
  defaults(object) {
    const spec = ensure(object, 'spec');
    const labels = spec['template']?.metadata?.labels as Record<string, string> | null | undefined;
    if (isSet(labels) && entries(labels).length > 0) {
      if (entries(spec['selector']).length === 0) spec['selector'] = clone(labels);
      if (entries(object.metadata.labels).length === 0) object.metadata.labels = clone(labels);
    }
    setDefault(spec, 'replicas', 1);
    if (isSet(spec['template'])) defaultPodTemplate(spec['template'] as Json);
  },
  prepareForCreate(object) {
    // Members that are always written are there from the start, so that an empty write to the status owns none of them.
    object['status'] = { replicas: 0 };
    startGeneration(object);
  },
  validate: (object) => validateSpec((object['spec'] ?? {}) as Json),
  warningsOnCreate: (object) => [
    ...workloadNameWarnings(object.metadata.name ?? ''),
    ...templateWarnings(object['spec']?.template, specPath.child('template')),
  ],
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old);
  },
  validateUpdate: (object) => validateSpec((object['spec'] ?? {}) as Json),
  warningsOnUpdate: (object, old) =>
    object.metadata.generation === old.metadata.generation
      ? []
      : templateWarnings(object['spec']?.template, specPath.child('template')),
  subresources: { status: statusHooks(validateReplicaStatus) },
  selectableFields: { 'status.replicas': (object) => String(object['status']?.replicas ?? 0) },
  columns: columnsOf['/replicationcontrollers'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const [containers, images] = containersAndImages(spec['template']?.spec);
    return [
      nameOf(object),
      spec['replicas'] ?? 0,
      object['status']?.replicas ?? 0,
      object['status']?.readyReplicas ?? 0,
      ageOf(object, nowMs),
      containers,
      images,
      formatLabels(spec['selector']),
    ];
  },
};
