import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { deepClone, fieldError } from '@pilothouse/apimachinery';
import type { Json } from '../validation/values.ts';
import { validateDefaultRules } from './cel/rule-set.ts';
import { applyDefaults } from './defaulting.ts';
import { prune } from './prune.ts';
import type { JsonSchema } from './schema.ts';
import { validateValue } from './validate-value.ts';

/** A default has to be a value of its own schema: no unknown members, right types, within bounds. */
export function validateDefault(value: unknown, schema: Json, path: FieldPath, isRoot = false): FieldError[] {
  const own = schema as JsonSchema;
  if (prune(deepClone(value), own, false).length > 0) {
    return [fieldError.invalid(path, value, 'must not have unknown fields')];
  }
  // Members that a default leaves out get their own ones.
  const filled = deepClone(value);
  applyDefaults(filled, own);
  const errors = validateValue(filled, own);
  // Rules see the default as it stands.
  if (errors.length === 0) return validateDefaultRules(own, value, path, isRoot);
  return errors.map((error) => {
    if (error.field === '<nil>' && error.message.startsWith('Invalid value: "": ')) return error;
    const inside = error.field === '' || error.field === '<nil>' ? '' : error.field;
    const at = inside === '' || inside.startsWith('[') ? `${path.text}${inside}` : `${path.text}.${inside}`;
    return { ...error, field: at };
  });
}
