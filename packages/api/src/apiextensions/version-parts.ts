import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import type { Json } from '../validation/values.ts';
import { isSet, list, text } from '../validation/values.ts';

/** Subresources, printer columns and selectable fields of one version of a custom resource. */

function validateReplicasPath(value: string, root: string, path: FieldPath): FieldError[] {
  if (value === '') return [fieldError.required(path)];
  const problem = simpleJsonPathProblem(value);
  if (problem !== undefined) return [fieldError.invalid(path, value, problem)];
  return value.startsWith(`.${root}.`)
    ? []
    : [fieldError.invalid(path, value, `should be a json path under .${root}`)];
}

export function validateSubresources(subresources: Json, path: FieldPath): FieldError[] {
  const scale = subresources['scale'] as Json | null | undefined;
  if (!isSet(scale)) return [];
  const at = path.child('scale');
  const errors = validateReplicasPath(text(scale['specReplicasPath']), 'spec', at.child('specReplicasPath'));
  errors.push(
    ...validateReplicasPath(text(scale['statusReplicasPath']), 'status', at.child('statusReplicasPath')),
  );
  const selector = text(scale['labelSelectorPath']);
  if (selector !== '' && !selector.startsWith('.spec.') && !selector.startsWith('.status.'))
    errors.push(
      fieldError.invalid(
        at.child('labelSelectorPath'),
        selector,
        'should be a json path under either .status or .spec',
      ),
    );
  return errors;
}

function simpleJsonPathProblem(value: string): string | undefined {
  return value.startsWith('.') ? undefined : 'must be a simple json path starting with .';
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];

export function validatePrinterColumns(columns: unknown, path: FieldPath): FieldError[] {
  return list(columns).flatMap((column: Json, index) => {
    const at = path.index(index);
    const errors: FieldError[] = [];
    if (text(column['name']) === '') errors.push(fieldError.required(at.child('name')));
    const type = text(column['type']);
    if (type === '')
      errors.push(fieldError.required(at.child('type'), `must be one of ${columnTypes.join(',')}`));
    else if (!columnTypes.includes(type))
      errors.push(fieldError.invalid(at.child('type'), type, `must be one of ${columnTypes.join(',')}`));
    const format = text(column['format']);
    if (format !== '' && !columnFormats.includes(format))
      errors.push(
        fieldError.invalid(at.child('format'), format, `must be one of ${columnFormats.join(',')}`),
      );
    const jsonPath = text(column['jsonPath']);
    if (jsonPath === '') errors.push(fieldError.required(at.child('JSONPath')));
    else {
      const problem = simpleJsonPathProblem(jsonPath);
      if (problem !== undefined) errors.push(fieldError.invalid(at.child('JSONPath'), jsonPath, problem));
    }
    return errors;
  });
}

const fieldsMax = 8;

export function validateSelectableFields(fields: unknown, path: FieldPath, version: Json): FieldError[] {
  const all = list(fields) as Json[];
  const errors: FieldError[] = [];
  if (all.length > fieldsMax) errors.push(fieldError.tooMany(path, all.length, fieldsMax));
  const seen = new Set<string>();
  all.forEach((field, index) => {
    const at = path.index(index).child('jsonPath');
    const value = text(field['jsonPath']);
    if (value === '') {
      errors.push(fieldError.required(at));
      return;
    }
    const problem = fieldProblem(value, (version['schema']?.openAPIV3Schema ?? {}) as Json);
    if (problem !== undefined) errors.push(fieldError.invalid(at, value, `is an invalid path: ${problem}`));
    if (seen.has(value)) errors.push(fieldError.duplicate(at, value));
    seen.add(value);
  });
  return errors;
}

/** A selectable field is a text, number or boolean below the root, never of the metadata. */
function fieldProblem(value: string, schema: Json): string | undefined {
  if (!value.startsWith('.')) return `expected [ or . but got: ${(/^[\w-]+/.exec(value) ?? [value])[0]}`;
  let node: Json = schema;
  const parts = value.slice(1).split('.');
  if (parts[0] === 'metadata') return 'does not refer to a valid field';
  for (const part of parts) {
    const next = node['properties']?.[part] as Json | null | undefined;
    if (!isSet(next)) return 'does not refer to a valid field';
    node = next;
  }
  return ['string', 'integer', 'boolean'].includes(text(node['type']))
    ? undefined
    : 'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.';
}
