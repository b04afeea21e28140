import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { deepClone, fieldError } from '@pilothouse/apimachinery';
import type { Json } from '../validation/values.ts';
import { applyDefaults } from './defaulting.ts';
import { prune } from './prune.ts';
import type { JsonSchema } from './schema.ts';
import { validateValue } from './validate-value.ts';

/** A default has to be a value of its own schema: no unknown members, right types, within bounds. */
export function validateDefault(value: unknown, schema: Json, path: FieldPath): FieldError[] {
  const own = schema as JsonSchema;
  if (prune(deepClone(value), own, false).length > 0) {
    return [fieldError.invalid(path, value, 'must not have unknown fields')];
  }
  // Members that a default leaves out get their own ones.
  const filled = deepClone(value);
  applyDefaults(filled, own);
  return validateValue(filled, own).map((error) => {
    if (error.field === '<nil>' && error.message.startsWith('Invalid value: "": ')) return error;
    const inside = error.field === '' || error.field === '<nil>' ? '' : error.field;
    const at = inside === '' || inside.startsWith('[') ? `${path.text}${inside}` : `${path.text}.${inside}`;
    return { ...error, field: at };
  });
}
