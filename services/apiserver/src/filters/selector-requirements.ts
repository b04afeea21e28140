import { parseFieldSelector, parseLabelSelector } from '@pilothouse/apimachinery';
import type { SelectorRequirement } from '../authorization/interface.ts';

/**
 * Requirements of a field selector's text, for authorizers that look at them. Undefined for a text that is none, which an authorizer
 * reads as a request without selector (the broader one).
 */
export function fieldRequirements(text: string | undefined): SelectorRequirement[] | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return parseFieldSelector(text).requirements.map(({ field, operator, value }) => ({
      key: field,
      operator: operator === '=' ? 'In' : 'NotIn',
      values: [value],
    }));
  } catch {
    return undefined;
  }
}

const labelOperators: Readonly<Record<string, string>> = {
  '=': 'In',
  '==': 'In',
  in: 'In',
  '!=': 'NotIn',
  notin: 'NotIn',
  exists: 'Exists',
  '!': 'DoesNotExist',
};

/** The same for a label selector. Comparisons of numbers have no form here and are left out, which widens the request. */
export function labelRequirements(text: string | undefined): SelectorRequirement[] | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return parseLabelSelector(text).requirements.flatMap(({ key, operator, values }) => {
      const told = labelOperators[operator];
      if (told === undefined) return [];
      return [{ key, operator: told, ...(values.length === 0 ? {} : { values }) }];
    });
  } catch {
    return undefined;
  }
}
