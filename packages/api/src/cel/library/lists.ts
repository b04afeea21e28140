import type { FunctionTable } from '../functions.ts';
import { CelEvaluationError } from '../issues.ts';
import { CelOptional, compareValues, Duration, equalValues, Uint } from '../values.ts';

const fail = (message: string): never => {
  throw new CelEvaluationError(message);
};
const order = (a: unknown, b: unknown): number => compareValues(a, b) ?? fail('no such overload');
const has = (list: readonly unknown[], item: unknown): boolean =>
  list.some((each) => equalValues(each, item));

/** Kubernetes' list functions, the lists extension and sets. */
export function addLists(table: FunctionTable): void {
  for (const kind of ['int', 'uint', 'double', 'bool', 'string', 'timestamp', 'duration', 'bytes']) {
    table.add(`list(${kind}).isSorted(): bool`, (list: unknown[]) =>
      list.every((item, index) => index === 0 || order(list[index - 1], item) <= 0),
    );
    table.add(`list(${kind}).min(): ${kind}`, (list: unknown[]) => extreme(list, -1, 'min'));
    table.add(`list(${kind}).max(): ${kind}`, (list: unknown[]) => extreme(list, 1, 'max'));
    table.add(`list(${kind}).sort(): list(${kind})`, (list: unknown[]) => [...list].sort(order));
    table.add(`list(A).@sortByAssociatedKeys(list(${kind})): list(A)`, (list: unknown[], keys: unknown[]) =>
      keys
        .map((key, index) => ({ key, index }))
        .sort((a, b) => order(a.key, b.key) || a.index - b.index)
        .map(({ index }) => list[index]),
    );
  }
  table.add('list(int).sum(): int', (list: bigint[]) => list.reduce((sum, each) => sum + each, 0n));
  table.add(
    'list(uint).sum(): uint',
    (list: Uint[]) => new Uint(list.reduce((sum, each) => sum + each.value, 0n)),
  );
  table.add('list(double).sum(): double', (list: number[]) => list.reduce((sum, each) => sum + each, 0));
  table.add(
    'list(duration).sum(): duration',
    (list: Duration[]) => new Duration(list.reduce((sum, each) => sum + each.nanos, 0n)),
  );
  table.add('list(A).indexOf(A): int', (list: unknown[], item: unknown) =>
    BigInt(list.findIndex((each) => equalValues(each, item))),
  );
  table.add('list(A).lastIndexOf(A): int', (list: unknown[], item: unknown) =>
    BigInt(list.findLastIndex((each) => equalValues(each, item))),
  );
  table.add('list(A).slice(int, int): list(A)', (list: unknown[], start: bigint, end: bigint) => {
    if (start < 0n || end < 0n) fail(`cannot slice(${start}, ${end}), negative indexes not supported`);
    if (start > end)
      fail(`cannot slice(${start}, ${end}), start index must be less than or equal to end index`);
    if (end > BigInt(list.length)) fail(`cannot slice(${start}, ${end}), list is length ${list.length}`);
    return list.slice(Number(start), Number(end));
  });
  table.add('list(list(A)).flatten(): list(A)', (list: unknown[]) => flatten(list, 1));
  table.add('list(dyn).flatten(int): list(dyn)', (list: unknown[], depth: bigint) =>
    depth < 0n ? fail('level must be non-negative') : flatten(list, Number(depth)),
  );
  table.add('lists::range(int): list(int)', (count: bigint) =>
    count > 1_000_000n
      ? fail('operation cancelled: actual cost limit exceeded')
      : Array.from({ length: Math.max(0, Number(count)) }, (_, index) => BigInt(index)),
  );
  table.add('list(A).distinct(): list(A)', (list: unknown[]) => {
    const kept: unknown[] = [];
    for (const item of list) if (!has(kept, item)) kept.push(item);
    return kept;
  });
  table.add('list(A).reverse(): list(A)', (list: unknown[]) => [...list].reverse());
  table.add('list(A).first(): optional(A)', at(0));
  table.add('list(A).last(): optional(A)', at(-1));
  const contains = (list: unknown[], part: unknown[]): boolean => part.every((item) => has(list, item));
  table.add('sets::contains(list(A), list(A)): bool', contains);
  table.add(
    'sets::equivalent(list(A), list(A)): bool',
    (a: unknown[], b: unknown[]) => contains(a, b) && contains(b, a),
  );
  table.add('sets::intersects(list(A), list(A)): bool', (a: unknown[], b: unknown[]) =>
    a.some((item) => has(b, item)),
  );
}

function extreme(list: readonly unknown[], sign: number, name: string): unknown {
  if (list.length === 0) fail(`${name} called on empty list`);
  return list.reduce((best, item) => (order(item, best) * sign > 0 ? item : best));
}

const flatten = (list: readonly unknown[], depth: number): unknown[] =>
  list.flatMap((item) => (Array.isArray(item) && depth > 0 ? flatten(item, depth - 1) : [item]));

function at(index: number) {
  return (list: unknown[]): CelOptional =>
    list.length === 0 ? CelOptional.none : new CelOptional(list.at(index));
}
