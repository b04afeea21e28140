import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, specPath, startGeneration } from '../common.ts';
import type { ResourceStrategy, StrategyContext } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateNodeSelector } from '../validation/affinity.ts';
import { internalValue } from '../validation/internal-text.ts';
import { isDns1123Label, nameIsDnsSubdomain } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { entries, immutable, isSet, list, problems, semanticEqual, text } from '../validation/values.ts';
import { validateCapacity } from './device-capacity.ts';
import {
  validateBindingConditions,
  validateDeviceName,
  validateDeviceTaint,
  validateDriverName,
  validateItems,
  validatePoolName,
  validateQualifiedName,
  validateSet,
} from './device-names.ts';

const group = 'resource.k8s.io';
const devicesMax = 128;
/** With taints or counters, which cost more to allocate. */
const advancedDevicesMax = 64;
const attributesMax = 32;
const attributeValueMax = 64;
const taintsMax = 16;
const counterSetsMax = 8;
const consumptionsMax = 2;
const countersMax = 32;

/** A taint without a time was added now. */
function timeTaints(object: KubeObject, context: StrategyContext): void {
  for (const device of list(object['spec']?.devices) as Json[])
    for (const taint of list(device['taints']) as Json[]) taint['timeAdded'] ??= context.now;
}

const semver =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$/;

function validateAttribute(attribute: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const values = ['bool', 'int', 'string', 'version'].filter((name) => isSet(attribute[name]));
  for (const name of ['string', 'version']) {
    const value = text(attribute[name]);
    if (name === 'version' && isSet(attribute[name]) && !semver.test(value))
      errors.push(
        fieldError.invalid(path.child(name), value, 'must be a string compatible with semver.org spec 2.0.0'),
      );
    if (value.length > attributeValueMax)
      errors.push(fieldError.tooLong(path.child(name), attributeValueMax));
  }
  if (values.length === 0) errors.push(fieldError.invalid(path, '', 'exactly one value must be specified'));
  else if (values.length > 1)
    errors.push(
      fieldError.invalid(
        path,
        internalValue('DeviceAttribute', attribute),
        'exactly one value must be specified',
      ),
    );
  return errors;
}

function validateCounters(counters: unknown, path: FieldPath): FieldError[] {
  const names = entries(counters).map(([name]) => name);
  if (names.length === 0) return [fieldError.required(path)];
  if (names.length > countersMax) return [fieldError.tooMany(path, names.length, countersMax)];
  return names.flatMap((name) => problems(path, name, isDns1123Label(name)));
}

function validateCounterSet(set: Json, name: string, path: FieldPath): FieldError[] {
  const value = text(set[name]);
  return [
    ...(value === ''
      ? [fieldError.required(path.child(name))]
      : problems(path.child(name), value, isDns1123Label(value))),
    ...validateCounters(set['counters'], path.child('counters')),
  ];
}

const choiceText =
  'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec';

/** The nodes a device can be reached from; `false` of a flag that chooses is no choice but an error. */
function validateNodes(
  source: Json,
  flags: readonly string[],
  emptyName: string,
  path: FieldPath,
): { errors: FieldError[]; chosen: string[] } {
  const errors: FieldError[] = [];
  const chosen: string[] = [];
  if (isSet(source['nodeName'])) {
    const name = text(source['nodeName']);
    if (name === '') errors.push(fieldError.invalid(path.child('nodeName'), '', emptyName));
    else {
      chosen.push('`nodeName`');
      errors.push(...problems(path.child('nodeName'), name, nameIsDnsSubdomain(name, false)));
    }
  }
  if (isSet(source['nodeSelector'])) {
    chosen.push('`nodeSelector`');
    errors.push(...validateNodeSelector(source['nodeSelector'] as Json, path.child('nodeSelector')));
  }
  for (const flag of flags)
    if (source[flag] === true) chosen.push(`\`${flag}\``);
    else if (isSet(source[flag]))
      errors.push(fieldError.invalid(path.child(flag), source[flag], 'must be either unset or set to true'));
  return { errors, chosen };
}

function validateDevice(
  device: Json,
  old: Json | undefined,
  perDevice: boolean,
  path: FieldPath,
): FieldError[] {
  const errors = validateDeviceName(text(device['name']), path.child('name'));
  const count = entries(device['attributes']).length + entries(device['capacity']).length;
  if (count > attributesMax)
    errors.push(
      fieldError.invalid(
        path,
        count,
        `the total number of attributes and capacities must not exceed ${attributesMax}`,
      ),
    );
  for (const [name, attribute] of entries(device['attributes']) as [string, Json][])
    errors.push(
      ...validateQualifiedName(name, path.child('attributes')),
      ...validateAttribute(attribute, path.child('attributes').key(name)),
    );
  for (const [name, capacity] of entries(device['capacity']) as [string, Json][])
    errors.push(
      ...validateQualifiedName(name, path.child('capacity')),
      ...validateCapacity(
        capacity,
        device['allowMultipleAllocations'] === true,
        path.child('capacity').key(name),
      ),
    );
  if (!semanticEqual(device['taints'], old?.['taints']))
    errors.push(
      ...validateItems<Json>(device['taints'], taintsMax, path.child('taints'), validateDeviceTaint),
    );
  errors.push(
    ...validateSet<Json>(
      device['consumesCounters'],
      consumptionsMax,
      path.child('consumesCounters'),
      (each, at) => validateCounterSet(each, 'counterSet', at),
      (each) => text(each['counterSet']),
    ),
  );
  if (perDevice) {
    const nodes = validateNodes(device, ['allNodes'], 'must not be empty', path);
    errors.push(...nodes.errors);
    if (nodes.chosen.length === 0) errors.push(fieldError.required(path, choiceText));
    else if (nodes.chosen.length > 1)
      errors.push(fieldError.invalid(path, `{${nodes.chosen.join(', ')}}`, choiceText));
  } else if (['nodeName', 'nodeSelector', 'allNodes'].some((name) => isSet(device[name])))
    errors.push(
      fieldError.invalid(
        path,
        null,
        '`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec',
      ),
    );
  return [...errors, ...validateBindingConditions(device, path)];
}

function validatePool(pool: Json, path: FieldPath): FieldError[] {
  const errors = validatePoolName(text(pool['name']), path.child('name'));
  const count: number = pool['resourceSliceCount'] ?? 0;
  if (count <= 0)
    errors.push(fieldError.invalid(path.child('resourceSliceCount'), count, 'must be greater than zero'));
  if ((pool['generation'] ?? 0) < 0)
    errors.push(
      fieldError.invalid(
        path.child('generation'),
        pool['generation'],
        'must be greater than or equal to zero',
      ),
    );
  return errors;
}

const choices = '`nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`';

function validateSlice(object: KubeObject, old: KubeObject | undefined): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const before = (old?.['spec'] ?? {}) as Json;
  const errors = [
    ...validateDriverName(text(spec['driver']), specPath.child('driver')),
    ...validatePool((spec['pool'] ?? {}) as Json, specPath.child('pool')),
  ];
  if (old)
    errors.push(
      ...immutable(spec['pool']?.name, before['pool']?.name, specPath.child('pool', 'name')),
      ...immutable(spec['driver'], before['driver'], specPath.child('driver')),
      ...immutable(spec['nodeName'] ?? null, before['nodeName'], specPath.child('nodeName')),
    );
  const nodes = validateNodes(
    spec,
    ['allNodes', 'perDeviceNodeSelection'],
    'must be either unset or set to a non-empty string',
    specPath,
  );
  errors.push(...nodes.errors);
  const terms = list(spec['nodeSelector']?.nodeSelectorTerms);
  if (isSet(spec['nodeSelector']) && terms.length !== 1)
    errors.push(
      fieldError.invalid(
        specPath.child('nodeSelector', 'nodeSelectorTerms'),
        terms.length === 0 ? null : terms.map((term) => internalValue('NodeSelectorTerm', term)),
        'must have exactly one node selector term',
      ),
    );
  if (nodes.chosen.length === 0)
    errors.push(fieldError.required(specPath, `exactly one of ${choices} is required`));
  else if (nodes.chosen.length > 1)
    errors.push(
      fieldError.invalid(
        specPath,
        `{${nodes.chosen.join(', ')}}`,
        `exactly one of ${choices} is required, but multiple fields are set`,
      ),
    );
  if (list(spec['sharedCounters']).length > 0 && list(spec['devices']).length > 0)
    errors.push(fieldError.invalid(specPath, '', 'only one of `sharedCounters` or `devices` is allowed'));
  const devices = list(spec['devices']) as Json[];
  const advanced = devices.some(
    (device) => list(device['taints']).length > 0 || list(device['consumesCounters']).length > 0,
  );
  const known = new Map((list(before['devices']) as Json[]).map((device) => [text(device['name']), device]));
  return [
    ...errors,
    ...validateSet<Json>(
      devices,
      advanced ? advancedDevicesMax : devicesMax,
      specPath.child('devices'),
      (device, at) =>
        validateDevice(device, known.get(text(device['name'])), spec['perDeviceNodeSelection'] === true, at),
      (device) => text(device['name']),
    ),
    ...validateSet<Json>(
      spec['sharedCounters'],
      counterSetsMax,
      specPath.child('sharedCounters'),
      (set, at) => validateCounterSet(set, 'name', at),
      (set) => text(set['name']),
    ),
  ];
}

function driverWarnings(object: KubeObject): string[] {
  const driver = text(object['spec']?.driver);
  return driver === driver.toLowerCase()
    ? []
    : [
        `spec.driver: driver names should be lowercase; ${JSON.stringify(driver)} contains uppercase characters`,
      ];
}

export const resourceSliceStrategy: ResourceStrategy = {
  group,
  version: 'v1',
  kind: 'ResourceSlice',
  resource: 'resourceslices',
  prepareForCreate(object, context) {
    startGeneration(object);
    timeTaints(object, context);
  },
  validate: (object) => validateSlice(object, undefined),
  warningsOnCreate: driverWarnings,
  prepareForUpdate(object, old, context) {
    timeTaints(object, context);
    bumpGeneration(object, old);
  },
  validateUpdate: (object, old) => validateSlice(object, old),
  warningsOnUpdate: driverWarnings,
  noNamespaceField: true,
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
