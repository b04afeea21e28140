import type { SelectorRequirement } from '../authorization/interface.ts';

/**
 * Requirements of a selector's text, for authorizers that look at them. Only the equality forms are understood here; undefined
 * when the text has anything else, which an authorizer reads as a request without selector (the broader one).
 */
export function selectorRequirements(selector: string | undefined): SelectorRequirement[] | undefined {
  if (selector === undefined || selector === '') return undefined;
  const requirements: SelectorRequirement[] = [];
  for (const term of selector.split(',')) {
    const match = /^\s*([^=!\s()]+)\s*(!=|==|=)\s*([^=!()]*?)\s*$/.exec(term);
    if (!match) return undefined;
    requirements.push({
      key: match[1] as string,
      operator: match[2] === '!=' ? 'NotIn' : 'In',
      values: [match[3] as string],
    });
  }
  return requirements;
}
