import type { FunctionTable } from '../functions.ts';
import { CelEvaluationError } from '../issues.ts';
import type { CelMap, LiteralMap } from '../values.ts';
import { actualSize, CelOptional } from '../values.ts';

/** Optional values, and what the macros over two variables need. */
export function addOptionals(table: FunctionTable): void {
  table.add('optional::of(A): optional(A)', (value: unknown) => new CelOptional(value));
  table.add('optional::none(): optional(A)', () => CelOptional.none);
  table.add('optional::ofNonZeroValue(A): optional(A)', (value: unknown) =>
    isZero(value) ? CelOptional.none : new CelOptional(value),
  );
  table.add('optional::unwrap(list(optional(A))): list(A)', unwrap);
  table.add('list(optional(A)).unwrapOpt(): list(A)', unwrap);
  table.add('optional(A).hasValue(): bool', ({ hasValue }: CelOptional) => hasValue);
  table.add('optional(A).value(): A', (optional: CelOptional) => optional.value);
  table.add('optional(A).or(optional(A)): optional(A)', (optional: CelOptional, other: CelOptional) =>
    optional.hasValue ? optional : other,
  );
  table.add('optional(A).orValue(A): A', (optional: CelOptional, other: unknown) =>
    optional.hasValue ? optional.value : other,
  );
  table.add(
    'cel::@mapInsert(map(A, B), A, B): map(A, B)',
    (map: LiteralMap, key: unknown, value: unknown) => {
      if (map.get(key) !== undefined)
        throw new CelEvaluationError(`insert failed: key ${String(key)} already exists`);
      map.set(key, value);
      return map;
    },
  );
  table.add('cel::@mapInsert(map(A, B), map(A, B)): map(A, B)', (map: LiteralMap, entries: CelMap) => {
    for (const key of entries.keys()) {
      if (map.get(key) !== undefined)
        throw new CelEvaluationError(`insert failed: key ${String(key)} already exists`);
      map.set(key, entries.get(key));
    }
    return map;
  });
}

const unwrap = (list: CelOptional[]): unknown[] =>
  list.filter(({ hasValue }) => hasValue).map(({ value }) => value);

function isZero(value: unknown): boolean {
  if (value === null || value === false || value === 0 || value === 0n || value === '') return true;
  return typeof value === 'object' && actualSize(value) === 0;
}
