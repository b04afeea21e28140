import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isDns1123Label, nameIsDnsSubdomain } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, list, problems, text } from '../validation/values.ts';
import {
  defaultDevices,
  validateDevices,
  validateDriverName,
  validateOpaque,
  validateSelectors,
} from './device-requests.ts';

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
  validateUpdate: (object, old) => [
    ...immutable(object['spec'], old['spec'], specPath),
    ...validateDevices(devicesOf(object), specPath.child('devices')),
  ],
  subresources: { status: statusHooks() },
  columns: columnsOf[`${group}/resourceclaims`] ?? [],
  cells: (object, nowMs) => [nameOf(object), claimState(object), ageOf(object, nowMs)],
};

const templateDevices = (object: KubeObject): Json => (object['spec']?.spec?.devices ?? {}) as Json;

const resourceClaimTemplateStrategy: ResourceStrategy = {
  group,
  version: 'v1',
  kind: 'ResourceClaimTemplate',
  revalidatesMetadata: true,
  resource: 'resourceclaimtemplates',
  defaults: (object) => {
    defaultDevices(object['spec']?.spec?.devices);
  },
  validate: (object) => validateDevices(templateDevices(object), specPath.child('spec', 'devices')),
  validateUpdate: (object, old) => immutable(object['spec'], old['spec'], specPath),
  columns: columnsOf[`${group}/resourceclaimtemplates`] ?? [],
  cells: (object, nowMs) => [nameOf(object), ageOf(object, nowMs)],
};

function validateClass(object: KubeObject): FieldError[] {
  const errors = validateSelectors(object['spec']?.selectors, specPath.child('selectors'));
  list(object['spec']?.config).forEach((config: Json, index) => {
    const path = specPath.child('config').index(index);
    if (!isSet(config['opaque'])) errors.push(fieldError.required(path.child('opaque')));
    else errors.push(...validateOpaque(config['opaque'] as Json, path.child('opaque')));
  });
  return errors;
}

const deviceClassStrategy: ResourceStrategy = {
  group,
  version: 'v1',
  kind: 'DeviceClass',
  resource: 'deviceclasses',
  prepareForCreate: startGeneration,
  validate: validateClass,
  prepareForUpdate(object, old) {
    bumpGeneration(object, old);
  },
  validateUpdate: validateClass,
  columns: columnsOf[`${group}/deviceclasses`] ?? [],
  cells: (object, nowMs) => [nameOf(object), ageOf(object, nowMs)],
};

function validateSlice(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const chosen = ['nodeName', 'nodeSelector', 'allNodes', 'perDeviceNodeSelection'].filter(
    (name) => isSet(spec[name]) && spec[name] !== '' && spec[name] !== false,
  );
  if (isSet(spec['nodeName'])) {
    if (spec['nodeName'] === '')
      errors.push(
        fieldError.invalid(
          specPath.child('nodeName'),
          '',
          'must be either unset or set to a non-empty string',
        ),
      );
    else
      errors.push(
        ...problems(
          specPath.child('nodeName'),
          spec['nodeName'],
          nameIsDnsSubdomain(text(spec['nodeName']), false),
        ),
      );
  }
  if (chosen.length === 0)
    errors.push(
      fieldError.required(
        specPath,
        'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required',
      ),
    );
  else if (chosen.length > 1)
    errors.push(
      fieldError.invalid(
        specPath,
        `{${chosen.map((name) => `\`${name}\``).join(', ')}}`,
        'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set',
      ),
    );
  errors.push(...validateDriverName(text(spec['driver']), specPath.child('driver')));
  const pool = (spec['pool'] ?? {}) as Json;
  const path = specPath.child('pool');
  if (text(pool['name']) === '') errors.push(fieldError.required(path.child('name')));
  else
    for (const part of text(pool['name']).split('/'))
      errors.push(...problems(path.child('name'), text(pool['name']), nameIsDnsSubdomain(part, false)));
  if ((pool['resourceSliceCount'] ?? 0) <= 0)
    errors.push(
      fieldError.invalid(
        path.child('resourceSliceCount'),
        pool['resourceSliceCount'] ?? 0,
        'must be greater than zero',
      ),
    );
  if ((pool['generation'] ?? 0) < 0)
    errors.push(
      fieldError.invalid(
        path.child('generation'),
        pool['generation'],
        'must be greater than or equal to zero',
      ),
    );
  const names = new Set<string>();
  list(spec['devices']).forEach((device: Json, index) => {
    const at = specPath.child('devices').index(index);
    const name = text(device['name']);
    if (name === '') errors.push(fieldError.required(at.child('name')));
    else errors.push(...problems(at.child('name'), name, isDns1123Label(name)));
    if (names.has(name)) errors.push(fieldError.duplicate(at, name));
    names.add(name);
  });
  return errors;
}

const resourceSliceStrategy: ResourceStrategy = {
  group,
  version: 'v1',
  kind: 'ResourceSlice',
  resource: 'resourceslices',
  prepareForCreate: startGeneration,
  validate: validateSlice,
  prepareForUpdate(object, old) {
    bumpGeneration(object, old);
  },
  validateUpdate: (object, old) => [
    ...validateSlice(object),
    ...immutable(object['spec']?.pool?.name, old['spec']?.pool?.name, specPath.child('pool', 'name')),
    ...immutable(object['spec']?.driver, old['spec']?.driver, specPath.child('driver')),
    ...immutable(object['spec']?.nodeName, old['spec']?.nodeName, specPath.child('nodeName')),
  ],
  unsupportedField: (field) => `field label not supported for ${group}/v1, Kind=ResourceSlice: ${field}`,
  selectableFields: {
    'spec.driver': (object) => text(object['spec']?.driver),
    'spec.nodeName': (object) => text(object['spec']?.nodeName),
  },
  columns: columnsOf[`${group}/resourceslices`] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    text(object['spec']?.nodeName),
    text(object['spec']?.driver),
    text(object['spec']?.pool?.name),
    ageOf(object, nowMs),
  ],
};

export const resourceStrategies: readonly ResourceStrategy[] = [
  deviceClassStrategy,
  resourceClaimStrategy,
  resourceClaimTemplateStrategy,
  resourceSliceStrategy,
];
