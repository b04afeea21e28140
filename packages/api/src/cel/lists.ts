import type { Environment } from '@marcbachmann/cel-js';
import { compareValues, equalValues } from './values.ts';
import type { CelList } from './values.ts';

class SetsNamespace {}

function extreme(list: CelList, sign: number, name: string): unknown {
  const items = [...list];
  if (items.length === 0) throw new Error(`${name} called on empty list`);
  return items.reduce((best, item) => (compareValues(item, best) * sign > 0 ? item : best));
}

const has = (list: CelList, item: unknown): boolean => [...list].some((each) => equalValues(each, item));

/** Kubernetes' list functions, and the sets extension. */
export function registerLists(env: Environment): void {
  env.registerFunction('list<int>.sum(): int', (list: Iterable<bigint>) =>
    [...list].reduce((sum, each) => sum + each, 0n),
  );
  env.registerFunction('list<double>.sum(): double', (list: Iterable<number>) =>
    [...list].reduce((sum, each) => sum + each, 0),
  );
  for (const type of [
    'int',
    'double',
    'string',
    'bool',
    'google.protobuf.Timestamp',
    'google.protobuf.Duration',
  ]) {
    env.registerFunction(`list<${type}>.min(): ${type}`, (list: CelList) => extreme(list, -1, 'min'));
    env.registerFunction(`list<${type}>.max(): ${type}`, (list: CelList) => extreme(list, 1, 'max'));
  }
  env.registerFunction('list<dyn>.isSorted(): bool', (list: CelList) => {
    const items = [...list];
    return items.every((item, index) => index === 0 || compareValues(items[index - 1], item) <= 0);
  });
  env.registerFunction('list<dyn>.indexOf(dyn): int', (list: CelList, item: unknown) =>
    BigInt([...list].findIndex((each) => equalValues(each, item))),
  );
  env.registerFunction('list<dyn>.lastIndexOf(dyn): int', (list: CelList, item: unknown) =>
    BigInt([...list].findLastIndex((each) => equalValues(each, item))),
  );
  env.registerFunction('list<dyn>.distinct(): list<dyn>', (list: CelList) => {
    const kept: unknown[] = [];
    for (const item of list) if (!has(kept, item)) kept.push(item);
    return kept;
  });
  env.registerFunction('list<dyn>.reverse(): list<dyn>', (list: CelList) => [...list].reverse());
  env.registerFunction('list<dyn>.sort(): list<dyn>', (list: CelList) => [...list].sort(compareValues));
  env.registerFunction(
    'list<dyn>.slice(int, int): list<dyn>',
    (list: CelList, start: bigint, end: bigint) => {
      const items = [...list];
      if (start < 0n || end < start || end > BigInt(items.length))
        throw new Error(`cannot slice(${start}, ${end}), list is length ${items.length}`);
      return items.slice(Number(start), Number(end));
    },
  );
  env.registerFunction('list<dyn>.flatten(): list<dyn>', (list: CelList) =>
    [...list].flatMap((item) => (Array.isArray(item) ? (item as unknown[]) : [item])),
  );
  env.registerType('SetsNamespace', SetsNamespace);
  env.registerConstant('sets', 'SetsNamespace', new SetsNamespace());
  const contains = (_: unknown, list: CelList, sub: CelList): boolean =>
    [...sub].every((item) => has(list, item));
  env.registerFunction('SetsNamespace.contains(list<dyn>, list<dyn>): bool', contains);
  env.registerFunction(
    'SetsNamespace.equivalent(list<dyn>, list<dyn>): bool',
    (_: unknown, a: CelList, b: CelList) => contains(_, a, b) && contains(_, b, a),
  );
  env.registerFunction(
    'SetsNamespace.intersects(list<dyn>, list<dyn>): bool',
    (_: unknown, a: CelList, b: CelList) => [...a].some((item) => has(b, item)),
  );
}
