import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { restore, specPath, statusHooks } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isIpv6, validateCidr } from '../validation/network.ts';
import { list } from '../validation/values.ts';

const cidrsOf = (object: KubeObject): string[] => list(object['spec']?.cidrs) as string[];
const path = specPath.child('cidrs');

function validate(object: KubeObject): FieldError[] {
  const cidrs = cidrsOf(object);
  if (cidrs.length === 0) return [fieldError.required(path, 'at least one CIDR required')];
  const errors: FieldError[] = [];
  if (cidrs.length > 2) errors.push(fieldError.invalid(path, cidrs, 'may only hold up to 2 values'));
  else if (
    cidrs.length === 2 &&
    isIpv6((cidrs[0] as string).split('/')[0] as string) ===
      isIpv6((cidrs[1] as string).split('/')[0] as string)
  )
    errors.push(
      fieldError.invalid(
        path,
        cidrs,
        'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96',
      ),
    );
  cidrs.forEach((cidr, index) => errors.push(...validateCidr(path.index(index), cidr)));
  return errors;
}

/** A second family may be added; what is there stays. */
function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  const now = cidrsOf(object);
  const before = cidrsOf(old);
  const errors: FieldError[] = [];
  if (now.length < before.length) return [fieldError.invalid(path, now, 'may not be removed')];
  before.forEach((cidr, index) => {
    if (now[index] !== cidr)
      errors.push(fieldError.invalid(path.index(index), now[index], 'field is immutable'));
  });
  return errors;
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
