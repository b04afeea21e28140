/** Iterable values as CEL holds lists: arrays or sets. */
export type CelList = Iterable<unknown>;

/** Order of two values of the same kind: numbers, strings, booleans, times. */
export function compareValues(left: unknown, right: unknown): number {
  const a = comparable(left);
  const b = comparable(right);
  return a < b ? -1 : a > b ? 1 : 0;
}

function comparable(value: unknown): number | bigint | string {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return Number((value as { valueOf(): number }).valueOf());
}

/** CEL's equality on decoded values; integers and doubles of the same value are equal. */
export function equalValues(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (
    typeof left === 'bigint' ||
    typeof right === 'bigint' ||
    typeof left !== 'object' ||
    typeof right !== 'object'
  ) {
    // eslint-disable-next-line eqeqeq -- a bigint and a number of the same value are loosely equal only
    return isNumeric(left) && isNumeric(right) && left == right;
  }
  if (left === null || right === null) return false;
  if (left instanceof Date || right instanceof Date) {
    return left instanceof Date && right instanceof Date && left.getTime() === right.getTime();
  }
  if (isList(left) || isList(right)) {
    if (!isList(left) || !isList(right)) return false;
    const [a, b] = [[...left], [...right]];
    return a.length === b.length && a.every((item, index) => equalValues(item, b[index]));
  }
  const a = membersOf(left);
  const b = membersOf(right);
  return a.size === b.size && [...a].every(([key, value]) => b.has(key) && equalValues(value, b.get(key)));
}

const isNumeric = (value: unknown): value is number | bigint =>
  typeof value === 'number' || typeof value === 'bigint';
const isList = (value: object): value is CelList & object => Array.isArray(value) || value instanceof Set;

function membersOf(value: object): Map<unknown, unknown> {
  const entries = value instanceof Map ? [...(value as Map<unknown, unknown>)] : Object.entries(value);
  return new Map(entries.filter(([, member]) => member !== undefined));
}
