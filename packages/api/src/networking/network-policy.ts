import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, specPath, startGeneration } from '../common.ts';
import { ensure, setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { formatLabelSelector, validateLabelSelector } from '../validation/meta.ts';
import { inclusiveRange } from '../validation/names.ts';
import { cidrContains, parseCidr, validateCidr } from '../validation/network.ts';
import { validatePortNumOrName } from '../validation/probes.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, oneOf, text } from '../validation/values.ts';

const protocols = ['TCP', 'UDP', 'SCTP'];

function validatePort(port: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const protocol = text(port['protocol']);
  if (isSet(port['protocol']) && !protocols.includes(protocol))
    errors.push(fieldError.notSupported(path.child('protocol'), protocol, protocols));
  const end = port['endPort'] as number | null | undefined;
  if (isSet(port['port'])) {
    errors.push(...validatePortNumOrName(port['port'], path.child('port')));
    if (isSet(end)) {
      if (typeof port['port'] === 'string')
        errors.push(
          fieldError.invalid(path.child('endPort'), end, 'may not be specified when `port` is non-numeric'),
        );
      else {
        if (end < port['port'])
          errors.push(
            fieldError.invalid(
              path.child('endPort'),
              port['port'],
              'must be greater than or equal to `port`',
            ),
          );
        if (end < 1 || end > 65535)
          errors.push(fieldError.invalid(path.child('endPort'), end, inclusiveRange(1, 65535)));
      }
    }
  } else if (isSet(end))
    errors.push(
      fieldError.invalid(path.child('endPort'), end, 'may not be specified when `port` is not specified'),
    );
  return errors;
}

function validateIpBlock(block: Json, path: FieldPath): FieldError[] {
  const cidr = text(block['cidr']);
  if (cidr === '') return [fieldError.required(path.child('cidr'))];
  const errors = validateCidr(path.child('cidr'), cidr);
  const outer = parseCidr(cidr);
  if (errors.length > 0 || outer === undefined) return errors;
  (list(block['except']) as string[]).forEach((each, index) => {
    const at = path.child('except').index(index);
    const found = validateCidr(at, each);
    errors.push(...found);
    const inner = parseCidr(each);
    if (found.length > 0 || inner === undefined) return;
    if (!cidrContains(outer, inner.ip) || inner.bits <= outer.bits)
      errors.push(fieldError.invalid(at, each, 'must be a strict subset of `cidr`'));
  });
  return errors;
}

function validatePeer(peer: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  let count = 0;
  for (const name of ['podSelector', 'namespaceSelector'])
    if (isSet(peer[name])) {
      count += 1;
      errors.push(...validateLabelSelector(peer[name], path.child(name)));
    }
  if (isSet(peer['ipBlock'])) {
    count += 1;
    errors.push(...validateIpBlock(peer['ipBlock'] as Json, path.child('ipBlock')));
  }
  if (count === 0) errors.push(fieldError.required(path, 'must specify a peer'));
  else if (count > 1 && isSet(peer['ipBlock']))
    errors.push(fieldError.forbidden(path, 'may not specify both ipBlock and another peer'));
  return errors;
}

function validate(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors = validateLabelSelector(spec['podSelector'], specPath.child('podSelector'));
  for (const [direction, peers] of [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const)
    list(spec[direction]).forEach((rule: Json, index) => {
      const at = specPath.child(direction).index(index);
      list(rule['ports']).forEach((port: Json, portIndex) => {
        errors.push(...validatePort(port, at.child('ports').index(portIndex)));
      });
      list(rule[peers]).forEach((peer: Json, peerIndex) => {
        errors.push(...validatePeer(peer, at.child(peers).index(peerIndex)));
      });
    });
  const types = list(spec['policyTypes']) as string[];
  if (types.length > 2)
    return [
      ...errors,
      fieldError.invalid(specPath.child('policyTypes'), types, 'may not specify more than two policyTypes'),
    ];
  types.forEach((type, index) => {
    errors.push(...oneOf(specPath.child('policyTypes').index(index), type, ['Ingress', 'Egress']));
  });
  return errors;
}

export const networkPolicyStrategy: ResourceStrategy = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  resource: 'networkpolicies',
  defaults(object) {
    const spec = ensure(object, 'spec');
    for (const direction of ['ingress', 'egress'])
      for (const rule of list(spec[direction]) as Json[])
        for (const port of list(rule['ports']) as Json[]) setDefault(port, 'protocol', 'TCP');
    if (list(spec['policyTypes']).length === 0)
      spec['policyTypes'] = list(spec['egress']).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  prepareForCreate: startGeneration,
  validate,
  prepareForUpdate(object, old) {
    bumpGeneration(object, old);
  },
  validateUpdate: validate,
  columns: columnsOf['networking.k8s.io/networkpolicies'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    formatLabelSelector((object['spec']?.podSelector ?? {}) as Json),
    ageOf(object, nowMs),
  ],
};
