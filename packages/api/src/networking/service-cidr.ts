import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, shownMember } from '@pilothouse/apimachinery';
import { restore, specPath, statusHooks } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isIpv6, parseIp, validateCidr } from '../validation/network.ts';
import { list } from '../validation/values.ts';

const cidrsOf = (object: KubeObject): string[] => list(object['spec']?.cidrs) as string[];
const path = specPath.child('cidrs');

function validate(object: KubeObject): FieldError[] {
  const cidrs = cidrsOf(object);
  if (cidrs.length === 0) return [fieldError.required(path, 'at least one CIDR required')];
  if (cidrs.length > 2) return [fieldError.invalid(path, { CIDRs: cidrs }, 'may only hold up to 2 values')];
  const errors = cidrs.flatMap((cidr, index) => validateCidr(path.index(index), cidr));
  const families = cidrs.map(familyOf);
  if (families.length === 2 && families[0] === families[1] && families[0] !== undefined)
    errors.push(
      fieldError.invalid(
        path,
        cidrs,
        'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
      ),
    );
  return errors;
}

/** Undefined for a text that is no range. */
function familyOf(cidr: string): 4 | 6 | undefined {
  const [address = '', prefix = ''] = cidr.split('/');
  const bytes = parseIp(address);
  if (bytes === undefined || !/^\d+$/.test(prefix)) return undefined;
  return isIpv6(address) ? 6 : 4;
}

/** A second family may be added; what is there stays. */
function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  const now = cidrsOf(object);
  const before = cidrsOf(old);
  const changed = (index: number): FieldError =>
    fieldError.invalid(path.index(index), now[index], 'field is immutable');
  if (now.length === before.length)
    return before.flatMap((cidr, at) => (now[at] === cidr ? [] : [changed(at)]));
  if (before.length !== 1 || now.length !== 2)
    return [fieldError.invalid(path, shownMember(object['spec'] as object, 'cidrs'), 'field is immutable')];
  return [...(now[0] === before[0] ? [] : [changed(0)]), ...validate(object)];
}

export const serviceCidrStrategy: ResourceStrategy = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'ServiceCIDR',
  resource: 'servicecidrs',
  resetFields: ['status'],
  validate,
  prepareForCreate(object) {
    object['status'] = {};
  },
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
  },
  validateUpdate: validateChange,
  subresources: { status: statusHooks(undefined, { keepMeta: true }) },
  columns: columnsOf['networking.k8s.io/servicecidrs'] ?? [],
  cells: (object, nowMs) => [nameOf(object), cidrsOf(object).join(','), ageOf(object, nowMs)],
};
