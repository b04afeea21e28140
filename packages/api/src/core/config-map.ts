import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { byteLength, isConfigMapKey } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { entries, problems, semanticEqual, text } from '../validation/values.ts';
import { base64Bytes } from './base64.ts';

/** Of all values together. */
export const dataBytesMax = 1024 * 1024;

function validate(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const data = (object['data'] ?? {}) as Json;
  const binary = (object['binaryData'] ?? {}) as Json;
  let bytes = 0;
  for (const [key, value] of entries(data)) {
    const path = rootPath.child('data').key(key);
    errors.push(...problems(path, key, isConfigMapKey(key)));
    if (key in binary) errors.push(fieldError.invalid(path, key, 'duplicate of key present in binaryData'));
    bytes += byteLength(text(value));
  }
  for (const [key, value] of entries(binary)) {
    const path = rootPath.child('binaryData').key(key);
    errors.push(...problems(path, key, isConfigMapKey(key)));
    if (key in data) errors.push(fieldError.invalid(path, key, 'duplicate of key present in data'));
    bytes += base64Bytes(text(value));
  }
  // A path of nothing prints like this.
  if (bytes > dataBytesMax) errors.push({ ...fieldError.tooLong(rootPath, dataBytesMax), field: '[]' });
  return errors;
}

/** What `immutable: true` forbids, of ConfigMaps and Secrets. */
export function validateImmutableData(
  object: KubeObject,
  old: KubeObject,
  fields: readonly string[],
): FieldError[] {
  if (old['immutable'] !== true) return [];
  const detail = 'field is immutable when `immutable` is set';
  const errors: FieldError[] = [];
  if (object['immutable'] !== true) errors.push(fieldError.forbidden(rootPath.child('immutable'), detail));
  for (const field of fields)
    if (!semanticEqual(object[field], old[field]))
      errors.push(fieldError.forbidden(rootPath.child(field), detail));
  return errors;
}

export const configMapStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  revalidatesMetadata: true,
  resource: 'configmaps',
  validate,
  validateUpdate: (object, old) => [
    ...validateImmutableData(object, old, ['data', 'binaryData']),
    ...validate(object),
  ],
  columns: columnsOf['/configmaps'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    entries(object['data']).length + entries(object['binaryData']).length,
    ageOf(object, nowMs),
  ],
};
