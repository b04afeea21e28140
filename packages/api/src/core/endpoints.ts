import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import { setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy, StrategyContext } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import {
  isDns1123Label,
  isQualifiedName,
  isValidPortNumber,
  nameIsDnsSubdomain,
} from '../validation/names.ts';
import { validateIpLegacy, validateNonSpecialIp } from '../validation/network.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, oneOf, problems, text } from '../validation/values.ts';

const protocols = ['SCTP', 'TCP', 'UDP'];

function validateAddress(address: Json, path: FieldPath, loopback: boolean): FieldError[] {
  const ip = text(address['ip']);
  const errors = validateIpLegacy(path.child('ip'), ip);
  if (text(address['hostname']) !== '')
    errors.push(
      ...problems(path.child('hostname'), address['hostname'], isDns1123Label(text(address['hostname']))),
    );
  if (isSet(address['nodeName']))
    errors.push(
      ...problems(
        path.child('nodeName'),
        address['nodeName'],
        nameIsDnsSubdomain(text(address['nodeName']), false),
      ),
    );
  errors.push(...validateNonSpecialIp(path.child('ip'), ip, loopback));
  return errors;
}

function validatePort(port: Json, needsName: boolean, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const name = text(port['name']);
  if (needsName && name === '') errors.push(fieldError.required(path.child('name')));
  else if (name !== '') errors.push(...problems(path.child('name'), name, isDns1123Label(name)));
  const number: number = port['port'] ?? 0;
  errors.push(...problems(path.child('port'), number, isValidPortNumber(number)));
  if (text(port['protocol']) === '') errors.push(fieldError.required(path.child('protocol')));
  else errors.push(...oneOf(path.child('protocol'), port['protocol'], protocols));
  if (isSet(port['appProtocol']))
    errors.push(
      ...problems(path.child('appProtocol'), port['appProtocol'], isQualifiedName(text(port['appProtocol']))),
    );
  return errors;
}

function validate(object: KubeObject, context: StrategyContext): FieldError[] {
  const loopback = context.featureEnabled('LoopbackPods');
  return list(object['subsets']).flatMap((subset: Json, index) => {
    const path = rootPath.child('subsets').index(index);
    const errors: FieldError[] = [];
    const ready = list(subset['addresses']) as Json[];
    const notReady = list(subset['notReadyAddresses']) as Json[];
    const ports = list(subset['ports']) as Json[];
    if (ready.length + notReady.length === 0)
      errors.push(fieldError.required(path, 'must specify `addresses` or `notReadyAddresses`'));
    ready.forEach((address, at) =>
      errors.push(...validateAddress(address, path.child('addresses').index(at), loopback)),
    );
    notReady.forEach((address, at) =>
      errors.push(...validateAddress(address, path.child('notReadyAddresses').index(at), loopback)),
    );
    ports.forEach((port, at) =>
      errors.push(...validatePort(port, ports.length > 1, path.child('ports').index(at))),
    );
    return errors;
  });
}

const shownMax = 3;
const hostPort = (ip: string, port: unknown): string =>
  `${ip.includes(':') ? `[${ip}]` : ip}:${String(port)}`;

/** As the ENDPOINTS column shows lists: three, then how many more. */
export function shortList(items: readonly string[]): string {
  const shown = items.slice(0, shownMax).join(',');
  return items.length > shownMax ? `${shown} + ${items.length - shownMax} more...` : shown;
}

function endpointsText(object: KubeObject): string {
  const subsets = list(object['subsets']) as Json[];
  if (subsets.length === 0) return '<none>';
  const items: string[] = [];
  for (const subset of subsets) {
    const addresses = (list(subset['addresses']) as Json[]).map((each) => text(each['ip']));
    const ports = list(subset['ports']) as Json[];
    if (ports.length === 0) items.push(...addresses);
    else for (const port of ports) for (const ip of addresses) items.push(hostPort(ip, port['port']));
  }
  return shortList(items);
}

export const endpointsStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  revalidatesMetadata: true,
  resource: 'endpoints',
  allowCreateOnUpdate: true,
  defaults(object) {
    for (const subset of list(object['subsets']) as Json[])
      for (const port of list(subset['ports']) as Json[]) setZeroDefault(port, 'protocol', 'TCP');
  },
  validate,
  validateUpdate: (object, _old, context) => validate(object, context),
  columns: columnsOf['/endpoints'] ?? [],
  cells: (object, nowMs) => [nameOf(object), endpointsText(object), ageOf(object, nowMs)],
};
