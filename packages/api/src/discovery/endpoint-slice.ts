import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, rootPath, startGeneration } from '../common.ts';
import { shortList } from '../core/endpoints.ts';
import { setDefault } from '../defaults/set.ts';
import type { ResourceStrategy, StrategyContext } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateLabels } from '../validation/meta.ts';
import {
  isDns1123Label,
  isDns1123Subdomain,
  isQualifiedName,
  isValidLabelValue,
  nameIsDnsSubdomain,
} from '../validation/names.ts';
import { isIpv4, isIpv6, validateIpLegacy, validateNonSpecialIp } from '../validation/network.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, list, oneOf, problems, text } from '../validation/values.ts';

const addressTypes = ['FQDN', 'IPv4', 'IPv6'];
const endpointsMax = 1000;
const portsMax = 20_000;
const addressesMax = 100;

function validateAddress(address: string, type: string, path: FieldPath, loopback: boolean): FieldError[] {
  if (type === 'FQDN') return problems(path, address, isDns1123Subdomain(address));
  const errors = validateIpLegacy(path, address);
  if (errors.length > 0) return errors;
  if (type === 'IPv4' && !isIpv4(address))
    errors.push(fieldError.invalid(path, address, 'must be an IPv4 address'));
  if (type === 'IPv6' && !isIpv6(address))
    errors.push(fieldError.invalid(path, address, 'must be an IPv6 address'));
  return [...errors, ...validateNonSpecialIp(path, address, loopback)];
}

function validateEndpoint(endpoint: Json, type: string, path: FieldPath, loopback: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const addresses = list(endpoint['addresses']) as string[];
  if (addresses.length === 0)
    errors.push(fieldError.required(path.child('addresses'), 'must contain at least 1 address'));
  else if (addresses.length > addressesMax)
    errors.push(fieldError.tooMany(path.child('addresses'), addresses.length, addressesMax));
  addresses.forEach((address, index) =>
    errors.push(...validateAddress(address, type, path.child('addresses').index(index), loopback)),
  );
  if (isSet(endpoint['nodeName']))
    errors.push(
      ...problems(
        path.child('nodeName'),
        endpoint['nodeName'],
        nameIsDnsSubdomain(text(endpoint['nodeName']), false),
      ),
    );
  errors.push(...validateLabels(endpoint['deprecatedTopology'], path.child('deprecatedTopology')));
  if (isSet(endpoint['hostname']))
    errors.push(
      ...problems(path.child('hostname'), endpoint['hostname'], isDns1123Label(text(endpoint['hostname']))),
    );
  const hints = list(endpoint['hints']?.forZones) as Json[];
  if (hints.length > 8) errors.push(fieldError.tooMany(path.child('hints', 'forZones'), hints.length, 8));
  const nodes = list(endpoint['hints']?.forNodes) as Json[];
  const nodesPath = path.child('hints', 'forNodes');
  if (nodes.length > 8) errors.push(fieldError.tooMany(nodesPath, nodes.length, 8));
  else
    nodes.forEach((hint, index) => {
      const at = nodesPath.index(index).child('name');
      const name = text(hint['name']);
      if (nodes.findIndex((each) => text(each['name']) === name) < index)
        errors.push(fieldError.duplicate(at, name));
      errors.push(...problems(at, name, nameIsDnsSubdomain(name, false)));
    });
  const zones = new Set<string>();
  hints.forEach((hint, index) => {
    const zone = text(hint['name']);
    if (zones.has(zone))
      errors.push(fieldError.duplicate(path.child('hints', 'forZones').index(index).child('name'), zone));
    zones.add(zone);
    errors.push(
      ...problems(
        path.child('hints', 'forZones').index(index).child('name'),
        text(hint['name']),
        isValidLabelValue(text(hint['name'])),
      ),
    );
  });
  return errors;
}

function validate(object: KubeObject, context: StrategyContext): FieldError[] {
  const loopback = context.featureEnabled('LoopbackPods');
  const errors: FieldError[] = [];
  const type = text(object['addressType']);
  if (type === '') errors.push(fieldError.required(rootPath.child('addressType')));
  else errors.push(...oneOf(rootPath.child('addressType'), type, addressTypes));
  const endpoints = list(object['endpoints']) as Json[];
  if (endpoints.length > endpointsMax)
    errors.push(fieldError.tooMany(rootPath.child('endpoints'), endpoints.length, endpointsMax));
  else
    endpoints.forEach((endpoint, index) =>
      errors.push(...validateEndpoint(endpoint, type, rootPath.child('endpoints').index(index), loopback)),
    );
  const ports = list(object['ports']) as Json[];
  if (ports.length > portsMax)
    return [...errors, fieldError.tooMany(rootPath.child('ports'), ports.length, portsMax)];
  const names = new Set<string>();
  ports.forEach((port, index) => {
    const at = rootPath.child('ports').index(index);
    const name = text(port['name']);
    if (name !== '') errors.push(...problems(at.child('name'), name, isDns1123Label(name)));
    if (names.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
    names.add(name);
    if (!isSet(port['protocol'])) errors.push(fieldError.required(at.child('protocol')));
    else errors.push(...oneOf(at.child('protocol'), port['protocol'], ['SCTP', 'TCP', 'UDP']));
    if (isSet(port['appProtocol']))
      errors.push(
        ...problems(at.child('appProtocol'), port['appProtocol'], isQualifiedName(text(port['appProtocol']))),
      );
  });
  return errors;
}

function portsText(object: KubeObject): string {
  const ports = list(object['ports']) as Json[];
  if (ports.length === 0) return '<unset>';
  return shortList(
    ports.map((port) =>
      isSet(port['port']) ? String(port['port']) : text(port['name']) === '' ? '*' : text(port['name']),
    ),
  );
}

function endpointsText(object: KubeObject): string {
  const addresses = (list(object['endpoints']) as Json[]).flatMap(
    (endpoint) => list(endpoint['addresses']) as string[],
  );
  return addresses.length === 0 ? '<unset>' : shortList(addresses);
}

export const endpointSliceStrategy: ResourceStrategy = {
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  revalidatesMetadata: true,
  resource: 'endpointslices',
  defaults(object) {
    for (const port of list(object['ports']) as Json[]) {
      setDefault(port, 'name', '');
      setDefault(port, 'protocol', 'TCP');
    }
  },
  prepareForCreate(object) {
    startGeneration(object);
    // v1 has no place for the old topology map; it is only kept on objects that have it.
    for (const endpoint of list(object['endpoints']) as Json[]) delete endpoint['deprecatedTopology'];
  },
  validate,
  prepareForUpdate(object, old) {
    bumpGeneration(object, old, 'endpoints', 'ports', 'addressType');
    const labels = (of: KubeObject): string =>
      JSON.stringify(Object.entries(of.metadata.labels ?? {}).sort());
    if (object.metadata.generation === old.metadata.generation && labels(object) !== labels(old))
      object.metadata.generation = (old.metadata.generation ?? 0) + 1;
  },
  validateUpdate: (object, old, context) => [
    ...validate(object, context),
    ...immutable(object['addressType'], old['addressType'], rootPath.child('addressType')),
  ],
  columns: columnsOf['discovery.k8s.io/endpointslices'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    text(object['addressType']),
    portsText(object),
    endpointsText(object),
    ageOf(object, nowMs),
  ],
};
