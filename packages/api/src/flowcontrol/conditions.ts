import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { statusPath } from '../common.ts';
import type { Json } from '../validation/values.ts';
import { list, text } from '../validation/values.ts';

/** Every condition has a type of its own. */
export function validateConditionTypes(object: KubeObject): FieldError[] {
  const seen = new Set<string>();
  return (list(object['status']?.conditions) as Json[]).flatMap((condition, index) => {
    const path = statusPath.child('conditions').index(index).child('type');
    const type = text(condition['type']);
    const errors = seen.has(type) ? [fieldError.duplicate(path, type)] : [];
    seen.add(type);
    return type === '' ? [...errors, fieldError.required(path)] : errors;
  });
}
