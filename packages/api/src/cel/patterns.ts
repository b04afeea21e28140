import { RE2JS } from 're2js';
import { CelEvaluationError } from './issues.ts';

const patternsMax = 1000;
const patterns = new Map<string, RE2JS>();

/** A compiled RE2 pattern. Throws {@link CelEvaluationError} when it is none. */
export function pattern(text: string): RE2JS {
  let found = patterns.get(text);
  if (found === undefined) {
    try {
      found = RE2JS.compile(text);
    } catch (error) {
      throw new CelEvaluationError((error as Error).message);
    }
    if (patterns.size > patternsMax) patterns.clear();
    patterns.set(text, found);
  }
  return found;
}

export function isPattern(text: string): boolean {
  try {
    pattern(text);
    return true;
  } catch {
    return false;
  }
}
