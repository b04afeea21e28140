import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { specPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isDns1123Subdomain, nameIsPathSegment } from '../validation/names.ts';
import { ipText, parseIp } from '../validation/network.ts';
import type { Json } from '../validation/values.ts';
import { isSet, problems, semanticEqual, text } from '../validation/values.ts';

function validate(object: KubeObject): FieldError[] {
  const ref = object['spec']?.parentRef as Json | null | undefined;
  const path = specPath.child('parentRef');
  if (!isSet(ref)) return [fieldError.required(path)];
  const errors: FieldError[] = [];
  const group = text(ref['group']);
  if (group !== '') errors.push(...problems(path.child('group'), group, isDns1123Subdomain(group)));
  for (const name of ['resource', 'name']) {
    const value = text(ref[name]);
    if (value === '') errors.push(fieldError.required(path.child(name)));
    else errors.push(...problems(path.child(name), value, nameIsPathSegment(value, false)));
  }
  const namespace = text(ref['namespace']);
  if (namespace !== '')
    errors.push(...problems(path.child('namespace'), namespace, nameIsPathSegment(namespace, false)));
  return errors;
}

/** As messages show it. */
const parentValue = (ref: Json | null | undefined): unknown =>
  isSet(ref)
    ? {
        Group: text(ref['group']),
        Resource: text(ref['resource']),
        Namespace: text(ref['namespace']),
        Name: text(ref['name']),
      }
    : null;

function parentText(object: KubeObject): string {
  const ref = object['spec']?.parentRef as Json | null | undefined;
  if (!isSet(ref)) return '<none>';
  const group = text(ref['group']);
  const resource = group === '' ? text(ref['resource']) : `${text(ref['resource'])}.${group}`;
  return [resource, text(ref['namespace']), text(ref['name'])].filter((part) => part !== '').join('/');
}

export const ipAddressStrategy: ResourceStrategy = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IPAddress',
  revalidatesMetadata: true,
  resource: 'ipaddresses',
  /** The name is the address in canonical form. */
  validateName(name) {
    const bytes = parseIp(name);
    if (bytes === undefined) return ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];
    return ipText(bytes) === name ? [] : ['must be a canonical format IP address'];
  },
  validate,
  validateUpdate(object, old) {
    const path = specPath.child('parentRef');
    const ref = object['spec']?.parentRef as Json | null | undefined;
    const errors = semanticEqual(ref, old['spec']?.parentRef)
      ? []
      : [fieldError.invalid(path, parentValue(ref), 'field is immutable')];
    return [...errors, ...validate(object)];
  },
  columns: columnsOf['networking.k8s.io/ipaddresses'] ?? [],
  // There is one cell more than columns; upstream's table is so.
  cells: (object, nowMs) => [nameOf(object), parentText(object), ageOf(object, nowMs)],
};
