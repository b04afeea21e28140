import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { isValidPercent } from './names.ts';
import { nonNegative, problems } from './values.ts';

/** An integer of at least 0, or a percentage. */
export function validatePositiveIntOrPercent(value: unknown, path: FieldPath): FieldError[] {
  if (typeof value === 'string') return problems(path, value, isValidPercent(value));
  return nonNegative(value, path);
}

function percentOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || isValidPercent(value).length > 0) return undefined;
  return Number(value.slice(0, -1));
}

export function validateAtMost100Percent(value: unknown, path: FieldPath): FieldError[] {
  const percent = percentOf(value);
  return percent !== undefined && percent > 100
    ? [fieldError.invalid(path, value, 'must not be greater than 100%')]
    : [];
}

/** The number, or the number before the percent sign; what is neither counts as 0. */
export function intOrPercentNumber(value: unknown): number {
  return typeof value === 'number' ? value : (percentOf(value) ?? 0);
}
