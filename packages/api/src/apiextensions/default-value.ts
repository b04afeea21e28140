import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import type { Json } from '../validation/values.ts';
import { entries, isSet, list, semanticEqual, text } from '../validation/values.ts';

/** A default has to be a value of its own schema: no unknown members, right types, within bounds. */
export function validateDefault(value: unknown, schema: Json, path: FieldPath): FieldError[] {
  if (hasUnknown(value, schema)) return [fieldError.invalid(path, value, 'must not have unknown fields')];
  return validateValue(value, schema, path, '');
}

function hasUnknown(value: unknown, schema: Json): boolean {
  if (Array.isArray(value))
    return isSet(schema['items']) && value.some((each) => hasUnknown(each, schema['items'] as Json));
  if (value === null || typeof value !== 'object') return false;
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) return false;
  const properties = (schema['properties'] ?? {}) as Json;
  const additional = schema['additionalProperties'] as unknown;
  return Object.entries(value).some(([name, each]) => {
    const known = properties[name] as Json | undefined;
    if (known !== undefined) return hasUnknown(each, known);
    if (isSet(additional)) return typeof additional === 'object' && hasUnknown(each, additional as Json);
    if (
      schema['x-kubernetes-embedded-resource'] === true &&
      ['apiVersion', 'kind', 'metadata'].includes(name)
    )
      return false;
    return true;
  });
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (value === null) return 'null';
  return typeof value;
}

const fits = (actual: string, wanted: string): boolean =>
  actual === wanted || (wanted === 'number' && actual === 'integer');

function validateValue(value: unknown, schema: Json, path: FieldPath, where: string): FieldError[] {
  const type = text(schema['type']);
  const actual = typeOf(value);
  if (value === null && schema['nullable'] === true) return [];
  if (type !== '' && !fits(actual, type))
    return [fieldError.typeInvalid(path, actual, `${where} in body must be of type ${type}: "${actual}"`)];
  const errors: FieldError[] = [];
  if (typeof value === 'number') {
    if (isSet(schema['minimum']) && value < schema['minimum'])
      errors.push(
        fieldError.invalid(
          path,
          value,
          `${where} in body should be greater than or equal to ${String(schema['minimum'])}`,
        ),
      );
    if (isSet(schema['maximum']) && value > schema['maximum'])
      errors.push(
        fieldError.invalid(
          path,
          value,
          `${where} in body should be less than or equal to ${String(schema['maximum'])}`,
        ),
      );
  }
  if (typeof value === 'string') {
    if (isSet(schema['minLength']) && value.length < schema['minLength'])
      errors.push(
        fieldError.invalid(
          path,
          value,
          `${where} in body should be at least ${String(schema['minLength'])} chars long`,
        ),
      );
    if (isSet(schema['maxLength']) && value.length > schema['maxLength'])
      errors.push(fieldError.tooLong(path, schema['maxLength'] as number));
  }
  if (list(schema['enum']).length > 0 && !list(schema['enum']).some((each) => semanticEqual(each, value)))
    errors.push(fieldError.notSupported(path, value, list(schema['enum']).map(String)));
  if (Array.isArray(value) && isSet(schema['items']))
    value.forEach((each, index) =>
      errors.push(...validateValue(each, schema['items'] as Json, path.index(index), where)),
    );
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    const properties = (schema['properties'] ?? {}) as Json;
    for (const name of list(schema['required']) as string[])
      if (!isSet((value as Json)[name]) && !isSet(properties[name]?.default))
        errors.push(fieldError.required(path.child(name)));
    for (const [name, each] of entries(value))
      if (isSet(properties[name]))
        errors.push(...validateValue(each, properties[name] as Json, path.child(name), where));
  }
  return errors;
}
