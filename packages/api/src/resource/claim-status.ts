import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { statusPath } from '../common.ts';
import { validateNodeSelector } from '../validation/affinity.ts';
import { validateConditions } from '../validation/conditions.ts';
import { internalText } from '../validation/internal-text.ts';
import { byteLength } from '../validation/names.ts';
import { isIpv4, parseCidr } from '../validation/network.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, semanticEqual, text } from '../validation/values.ts';
import {
  validateBindingConditions,
  validateDeviceName,
  validateDriverName,
  validateItems,
  validatePoolName,
  validateRawObject,
  validateSet,
  validateUuid,
} from './device-names.ts';
import type { RequestNames } from './device-requests.ts';
import {
  configsMax,
  requestNamesOf,
  requestsMax,
  validateConfiguration,
  validateReference,
  validateReferences,
} from './device-requests.ts';

const consumersMax = 256;
const dataBytesMax = 10 * 1024;
const conditionsMax = 8;
const addressesMax = 16;
const interfaceNameMax = 256;
const hardwareAddressMax = 128;

/** A device as messages show it. */
const identityOf = (device: Json): Json => ({
  Driver: text(device['driver']),
  Pool: text(device['pool']),
  Device: text(device['device']),
  ShareID: text(device['shareID']),
});

/** Tells devices apart: driver, pool, device and share. */
export const keyOfDevice = (device: Json): string => JSON.stringify(identityOf(device));

const resultsOf = (status: Json): Json[] => list(status['allocation']?.devices?.results) as Json[];

/** What a claim's status says of devices that are no longer allocated goes with the allocation. */
export function dropDeallocated(claim: KubeObject, old: KubeObject): void {
  const status = claim['status'] as Json | null | undefined;
  const before = new Set(resultsOf((old['status'] ?? {}) as Json).map(keyOfDevice));
  for (const result of resultsOf(status ?? {})) before.delete(keyOfDevice(result));
  if (!isSet(status) || before.size === 0) return;
  const kept = (list(status['devices']) as Json[]).filter((device) => !before.has(keyOfDevice(device)));
  if (kept.length > 0) status['devices'] = kept;
  else delete status['devices'];
}

/** A write of a claim's status: who may use it, what it got, what drivers say of that. */
export function validateClaimStatus(claim: KubeObject, old: KubeObject): FieldError[] {
  const status = (claim['status'] ?? {}) as Json;
  const before = (old['status'] ?? {}) as Json;
  const consumers = list(status['reservedFor']) as Json[];
  const allocated = new Set(resultsOf(status).map(keyOfDevice));
  const errors = [
    ...validateSet<Json>(
      consumers,
      consumersMax,
      statusPath.child('reservedFor'),
      validateConsumer,
      (consumer) => text(consumer['uid']),
    ),
    ...validateSet<Json>(
      status['devices'],
      Number.POSITIVE_INFINITY,
      statusPath.child('devices'),
      (device, at) => validateDeviceStatus(device, allocated, at),
      keyOfDevice,
      identityOf,
    ),
  ];
  if (consumers.length > 0) {
    const known = new Set((list(before['reservedFor']) as Json[]).map((each) => JSON.stringify(each)));
    if (!isSet(status['allocation']))
      errors.push(
        fieldError.forbidden(
          statusPath.child('reservedFor'),
          'may not be specified when `allocated` is not set',
        ),
      );
    else if (
      isSet(claim.metadata.deletionTimestamp) &&
      consumers.some((each) => !known.has(JSON.stringify(each)))
    )
      errors.push(
        fieldError.forbidden(
          statusPath.child('reservedFor'),
          'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set',
        ),
      );
  }
  const at = statusPath.child('allocation');
  if (isSet(status['allocation']) && isSet(before['allocation'])) {
    if (!semanticEqual(status['allocation'], before['allocation']))
      errors.push({
        type: 'FieldValueInvalid',
        field: at.text,
        message: `Invalid value: ${internalText('AllocationResult', status['allocation'])}: field is immutable`,
      });
  } else if (isSet(status['allocation']))
    errors.push(
      ...validateAllocation(
        status['allocation'] as Json,
        requestNamesOf((claim['spec']?.devices ?? {}) as Json),
        at,
      ),
    );
  return errors;
}

function validateConsumer(consumer: Json, path: FieldPath): FieldError[] {
  return ['resource', 'name', 'uid']
    .filter((name) => text(consumer[name]) === '')
    .map((name) => fieldError.required(path.child(name)));
}

function validateAllocation(allocation: Json, names: RequestNames, path: FieldPath): FieldError[] {
  const devices = (allocation['devices'] ?? {}) as Json;
  const at = path.child('devices');
  const errors = [
    ...validateItems<Json>(devices['results'], requestsMax, at.child('results'), (result, each) => [
      ...validateReference(text(result['request']), names, each.child('request')),
      ...validateDriverName(text(result['driver']), each.child('driver')),
      ...validatePoolName(text(result['pool']), each.child('pool')),
      ...validateDeviceName(text(result['device']), each.child('device')),
      ...validateBindingConditions(result, each),
      ...(isSet(result['shareID']) ? validateUuid(text(result['shareID']), each.child('shareID')) : []),
    ]),
    ...validateItems<Json>(devices['config'], 2 * configsMax, at.child('config'), (config, each) => [
      ...validateSource(text(config['source']), each.child('source')),
      ...validateReferences(config['requests'], names, each.child('requests')),
      ...validateConfiguration(config, each),
    ]),
  ];
  if (isSet(allocation['nodeSelector']))
    errors.push(...validateNodeSelector(allocation['nodeSelector'] as Json, path.child('nodeSelector')));
  return errors;
}

function validateSource(source: string, path: FieldPath): FieldError[] {
  if (source === '') return [fieldError.required(path)];
  const supported = ['FromClaim', 'FromClass'];
  return supported.includes(source) ? [] : [fieldError.notSupported(path, source, supported)];
}

function validateDeviceStatus(device: Json, allocated: ReadonlySet<string>, path: FieldPath): FieldError[] {
  const errors = [
    ...validateDriverName(text(device['driver']), path.child('driver')),
    ...validatePoolName(text(device['pool']), path.child('pool')),
    ...validateDeviceName(text(device['device']), path.child('device')),
    ...(isSet(device['shareID']) ? validateUuid(text(device['shareID']), path.child('shareID')) : []),
  ];
  if (!allocated.has(keyOfDevice(device)))
    errors.push(fieldError.invalid(path, identityOf(device), 'must be an allocated device in the claim'));
  const conditions = list(device['conditions']);
  if (conditions.length > conditionsMax)
    errors.push(fieldError.tooMany(path.child('conditions'), conditions.length, conditionsMax));
  errors.push(...validateConditions(conditions as Json[], path.child('conditions')));
  if (isSet(device['data']))
    errors.push(...validateRawObject(device['data'], dataBytesMax, path.child('data')));
  if (isSet(device['networkData']))
    errors.push(...validateNetworkData(device['networkData'] as Json, path.child('networkData')));
  return errors;
}

function validateNetworkData(data: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, max] of [
    ['interfaceName', interfaceNameMax],
    ['hardwareAddress', hardwareAddressMax],
  ] as const)
    if (byteLength(text(data[name])) > max) errors.push(fieldError.tooLong(path.child(name), max));
  return [
    ...errors,
    ...validateSet<string>(
      data['ips'],
      addressesMax,
      path.child('ips'),
      validateInterfaceAddress,
      (address) => address,
    ),
  ];
}

/** An address with the length of its network, e.g. `10.9.8.7/24`. */
function validateInterfaceAddress(address: string, path: FieldPath): FieldError[] {
  const cidr = parseCidr(address);
  if (cidr === undefined)
    return [
      fieldError.invalid(
        path,
        address,
        'must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)',
      ),
    ];
  const [ip] = address.split('/') as [string];
  if (cidr.ip.length !== 4 && !isIpv4(ip)) return [];
  const bits = cidr.ip.length === 4 ? cidr.bits : cidr.bits - 96;
  const canonical = `${cidr.ip.slice(-4).join('.')}/${bits}`;
  return address === canonical
    ? []
    : [fieldError.invalid(path, address, `must be in canonical form ("${canonical}")`)];
}
