import type { FieldError, FieldPath, Labels, LabelSelectorObject } from '@pilothouse/apimachinery';
import { labelSelectorOf, validateLabels as validateLabelMap } from '@pilothouse/apimachinery';
import type { Json } from './values.ts';
import { entries, list } from './values.ts';

export {
  formatLabelSelector,
  validateAnnotations,
  validateLabelName,
  validateLabelSelector,
} from '@pilothouse/apimachinery';

export function validateLabels(labels: unknown, path: FieldPath): FieldError[] {
  return validateLabelMap(Object.fromEntries(entries(labels)) as Labels, path);
}

/** Whether a label selector is absent or selects everything. */
export function isEmptySelector(selector: Json | null | undefined): boolean {
  return (
    selector === null ||
    selector === undefined ||
    (entries(selector['matchLabels']).length === 0 && list(selector['matchExpressions']).length === 0)
  );
}

/** Whether a label selector selects these labels; absent selects nothing, one that does not parse neither. */
export function selectorMatches(
  selector: LabelSelectorObject | null | undefined,
  labels: Labels | null | undefined,
): boolean {
  try {
    return labelSelectorOf(selector).matches(labels ?? {});
  } catch {
    return false;
  }
}

/** `a=b,c=d`, or `<none>`. */
export function formatLabels(labels: unknown): string {
  const pairs = entries(labels).map(([key, value]) => `${key}=${String(value)}`);
  return pairs.length === 0 ? '<none>' : pairs.join(',');
}
