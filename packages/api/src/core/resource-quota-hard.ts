import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { validateQuotaResourceName, validateResourceQuantity } from '../validation/resources.ts';
import { entries } from '../validation/values.ts';

/** Names and amounts of a quota. */
export function fieldErrorsOfHard(hard: unknown, path: FieldPath): FieldError[] {
  return entries(hard).flatMap(([name, value]) => [
    ...validateQuotaResourceName(name, path.key(name)),
    ...validateResourceQuantity(name, value, path.key(name)),
  ]);
}
