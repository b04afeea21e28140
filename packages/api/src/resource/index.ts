import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { internalText } from '../validation/internal-text.ts';
import { validateAnnotations, validateLabels } from '../validation/meta.ts';
import { nameIsLongName } from '../validation/names.ts';
import { isExtendedResource } from '../validation/resources.ts';
import type { Json } from '../validation/values.ts';
import { entries, isSet, list, semanticEqual } from '../validation/values.ts';
import { dropDeallocated, validateClaimStatus } from './claim-status.ts';
import { validateItems } from './device-names.ts';
import {
  configsMax,
  defaultDevices,
  validateConfiguration,
  validateDevices,
  validateSelectors,
} from './device-requests.ts';
import { resourceSliceStrategy } from './resource-slice.ts';

const group = 'resource.k8s.io';

function claimState(object: KubeObject): string {
  const states: string[] = [];
  const status = (object['status'] ?? {}) as Json;
  if (isSet(object.metadata.deletionTimestamp)) states.push('deleted');
  if (!isSet(status['allocation'])) {
    if (states.length === 0) states.push('pending');
  } else {
    states.push('allocated');
    if (list(status['reservedFor']).length > 0) states.push('reserved');
  }
  return states.join(',');
}

function fixedSpec(object: KubeObject, old: KubeObject, type: string): FieldError[] {
  if (semanticEqual(object['spec'], old['spec'])) return [];
  return [
    {
      type: 'FieldValueInvalid',
      field: specPath.text,
      message: `Invalid value: ${internalText(type, object['spec'])}: field is immutable`,
    },
  ];
}

const devicesOf = (object: KubeObject): Json => (object['spec']?.devices ?? {}) as Json;

const resourceClaimStrategy: ResourceStrategy = {
  group,
  version: 'v1',
  kind: 'ResourceClaim',
  revalidatesMetadata: true,
  resource: 'resourceclaims',
  resetFields: ['status'],
  defaults: (object) => {
    defaultDevices(object['spec']?.devices);
  },
  prepareForCreate(object) {
    object['status'] = {};
  },
  validate: (object) => validateDevices(devicesOf(object), specPath.child('devices')),
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
  },
  validateUpdate: (object, old) => fixedSpec(object, old, 'ResourceClaimSpec'),
  subresources: {
    status: {
      ...statusHooks(validateClaimStatus, { keepMeta: true }),
      prepareForUpdate(object, old, context) {
        statusHooks(undefined, { keepMeta: true }).prepareForUpdate?.(object, old, context);
        dropDeallocated(object, old);
      },
    },
  },
  columns: columnsOf[`${group}/resourceclaims`] ?? [],
  cells: (object, nowMs) => [nameOf(object), claimState(object), ageOf(object, nowMs)],
};

const templateDevices = (object: KubeObject): Json => (object['spec']?.spec?.devices ?? {}) as Json;

/** Nothing but labels and annotations goes from a template to its claims. */
function validateTemplate(object: KubeObject): FieldError[] {
  const meta = (object['spec']?.metadata ?? {}) as Json;
  const path = specPath.child('metadata');
  return [
    ...validateAnnotations(
      (meta['annotations'] ?? undefined) as Record<string, string> | undefined,
      path.child('annotations'),
    ),
    ...validateLabels(meta['labels'], path.child('labels')),
    ...entries(meta)
      .filter(([name, value]) => name !== 'annotations' && name !== 'labels' && isSet(value) && value !== '')
      .map(([name]) => fieldError.forbidden(path.child(name === 'uid' ? 'uID' : name), 'cannot be set')),
    ...validateDevices(templateDevices(object), specPath.child('spec', 'devices')),
  ];
}

const resourceClaimTemplateStrategy: ResourceStrategy = {
  group,
  version: 'v1',
  kind: 'ResourceClaimTemplate',
  revalidatesMetadata: true,
  resource: 'resourceclaimtemplates',
  defaults: (object) => {
    defaultDevices(object['spec']?.spec?.devices);
  },
  validate: validateTemplate,
  validateUpdate: (object, old) => [
    ...validateTemplate(object),
    ...fixedSpec(object, old, 'ResourceClaimTemplateSpec'),
  ],
  columns: columnsOf[`${group}/resourceclaimtemplates`] ?? [],
  cells: (object, nowMs) => [nameOf(object), ageOf(object, nowMs)],
};

function validateClass(object: KubeObject): FieldError[] {
  const errors = validateSelectors(object['spec']?.selectors, specPath.child('selectors'));
  errors.push(
    ...validateItems<Json>(
      object['spec']?.config,
      configsMax,
      specPath.child('config'),
      validateConfiguration,
    ),
  );
  const resource = object['spec']?.extendedResourceName as string | null | undefined;
  if (isSet(resource) && !isExtendedResource(resource))
    errors.push(
      fieldError.invalid(
        specPath.child('extendedResourceName'),
        resource,
        'must be a valid extended resource name',
      ),
    );
  return errors;
}

const deviceClassStrategy: ResourceStrategy = {
  group,
  version: 'v1',
  kind: 'DeviceClass',
  resource: 'deviceclasses',
  validateName: nameIsLongName,
  prepareForCreate: startGeneration,
  validate: validateClass,
  prepareForUpdate(object, old) {
    bumpGeneration(object, old);
  },
  validateUpdate: validateClass,
  columns: columnsOf[`${group}/deviceclasses`] ?? [],
  cells: (object, nowMs) => [nameOf(object), ageOf(object, nowMs)],
};

export const resourceStrategies: readonly ResourceStrategy[] = [
  deviceClassStrategy,
  resourceClaimStrategy,
  resourceClaimTemplateStrategy,
  resourceSliceStrategy,
];
