import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { validateLabelSelector } from './meta.ts';
import { isQualifiedName, nameIsDnsSubdomain } from './names.ts';
import { quantitySign, quantityText } from './quantities.ts';
import { validateResourceName, validateResourceQuantity } from './resources.ts';
import type { Json } from './values.ts';
import { entries, isSet, list, oneOf, problems, text } from './values.ts';

export const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
export const volumeModes = ['Block', 'Filesystem'];

function validateDataSource(source: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (text(source['name']) === '') errors.push(fieldError.required(path.child('name')));
  if (text(source['kind']) === '') errors.push(fieldError.required(path.child('kind')));
  const group = text(source['apiGroup']);
  if (group === '' && text(source['kind']) !== 'PersistentVolumeClaim')
    errors.push(
      fieldError.invalid(
        path,
        text(source['kind']),
        "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
      ),
    );
  if (group !== '') errors.push(...problems(path.child('apiGroup'), group, isSubdomain(group)));
  return errors;
}
const isSubdomain = (value: string): string[] => nameIsDnsSubdomain(value, false);

export function validateClaimSpec(spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const modes = list(spec['accessModes']) as string[];
  if (modes.length === 0)
    errors.push(fieldError.required(path.child('accessModes'), 'at least 1 access mode is required'));
  errors.push(...validateLabelSelector(spec['selector'], path.child('selector')));
  let oncePod = false;
  let other = false;
  for (const mode of modes) {
    if (mode === 'ReadWriteOncePod') oncePod = true;
    else if (accessModes.includes(mode)) other = true;
    else errors.push(fieldError.notSupported(path.child('accessModes'), mode, accessModes));
  }
  if (oncePod && other)
    errors.push(
      fieldError.forbidden(path.child('accessModes'), 'may not use ReadWriteOncePod with other access modes'),
    );
  const storage: unknown = spec['resources']?.requests?.storage;
  if (!isSet(storage)) errors.push(fieldError.required(path.child('resources').key('storage')));
  else if (quantitySign(storage) <= 0)
    errors.push(
      fieldError.invalid(
        path.child('resources').key('storage'),
        quantityText(storage),
        'must be greater than zero',
      ),
    );
  else errors.push(...validateResourceQuantity('storage', storage, path.child('resources').key('storage')));
  const className = text(spec['storageClassName']);
  if (className !== '')
    errors.push(...problems(path.child('storageClassName'), className, isSubdomain(className)));
  if (isSet(spec['volumeMode']))
    errors.push(...oneOf(path.child('volumeMode'), spec['volumeMode'], volumeModes));
  const source = spec['dataSource'] as Json | null | undefined;
  const sourceRef = spec['dataSourceRef'] as Json | null | undefined;
  if (isSet(source)) errors.push(...validateDataSource(source, path.child('dataSource')));
  if (isSet(sourceRef)) errors.push(...validateDataSource(sourceRef, path.child('dataSourceRef')));
  if (isSet(source) && isSet(sourceRef) && text(sourceRef['namespace']) === '') {
    const same = ['apiGroup', 'kind', 'name'].every((name) => text(source[name]) === text(sourceRef[name]));
    if (!same) errors.push(fieldError.invalid(path, path.toString(), 'must match dataSourceRef'));
  }
  const attributes = spec['volumeAttributesClassName'] as string | null | undefined;
  if (isSet(attributes) && attributes !== '')
    errors.push(...problems(path.child('volumeAttributesClassName'), attributes, isSubdomain(attributes)));
  return errors;
}

/** A resource list of a claim's or volume's status. */
export function validateResourceList(resources: unknown, path: FieldPath): FieldError[] {
  return entries(resources).flatMap(([name, value]) => [
    ...validateResourceName(name, path.key(name)),
    ...validateResourceQuantity(name, value, path.key(name)),
  ]);
}

export const isQualified = isQualifiedName;
