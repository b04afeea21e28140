import { encodeUtf8 } from '@pilothouse/base';
import { decodeUtf8 } from '../utf8.ts';
import { pattern } from '../patterns.ts';
import type { FunctionTable } from '../functions.ts';
import { CelEvaluationError } from '../issues.ts';
import type { CelMap } from '../values.ts';
import {
  actualSize,
  compareValues,
  Duration,
  equalValues,
  floorDivide,
  formatDuration,
  formatTimestamp,
  parseDuration,
  parseTimestamp,
  Timestamp,
  TypeValue,
  typeOfValue,
  Uint,
} from '../values.ts';

const fail = (message: string): never => {
  throw new CelEvaluationError(message);
};
const intMin = -0x8000000000000000n;
const intMax = 0x7fffffffffffffffn;
const int = (value: bigint): bigint => (value < intMin || value > intMax ? fail('integer overflow') : value);
const uint = (value: bigint): Uint =>
  value < 0n || value > 0xffffffffffffffffn ? fail('unsigned integer overflow') : new Uint(value);
const strict = (value: bigint, divisor: bigint, what: string): bigint =>
  divisor === 0n ? fail(what) : value;

/** Operators and functions of the language itself. */
export function addStandard(table: FunctionTable): void {
  table.add('_==_(A, A): bool', equalValues, 'equals');
  table.add('_!=_(A, A): bool', (a: unknown, b: unknown) => !equalValues(a, b), 'not_equals');
  table.add('_&&_(bool, bool): bool', () => fail('no such overload'));
  table.add('_||_(bool, bool): bool', () => fail('no such overload'));
  table.add('!_(bool): bool', (a: boolean) => !a);
  table.add('@not_strictly_false(bool): bool', (a: unknown) => a !== false);
  table.add('_?_:_(bool, A, A): A', () => fail('no such overload'));
  table.add('dyn(A): dyn', (a: unknown) => a);
  addArithmetic(table);
  addOrder(table);
  addContainers(table);
  addConversions(table);
  addTexts(table);
  addTimes(table);
}

function addArithmetic(table: FunctionTable): void {
  table.add('_+_(int, int): int', (a: bigint, b: bigint) => int(a + b));
  table.add('_-_(int, int): int', (a: bigint, b: bigint) => int(a - b));
  table.add('_*_(int, int): int', (a: bigint, b: bigint) => int(a * b));
  table.add('_/_(int, int): int', (a: bigint, b: bigint) => int(strict(a, b, 'division by zero') / b));
  table.add('_%_(int, int): int', (a: bigint, b: bigint) => strict(a, b, 'modulus by zero') % b);
  table.add('-_(int): int', (a: bigint) => int(-a));
  table.add('_+_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value + b.value));
  table.add('_-_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value - b.value));
  table.add('_*_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value * b.value));
  table.add('_/_(uint, uint): uint', (a: Uint, b: Uint) =>
    uint(strict(a.value, b.value, 'division by zero') / b.value),
  );
  table.add('_%_(uint, uint): uint', (a: Uint, b: Uint) =>
    uint(strict(a.value, b.value, 'modulus by zero') % b.value),
  );
  table.add('_+_(double, double): double', (a: number, b: number) => a + b);
  table.add('_-_(double, double): double', (a: number, b: number) => a - b);
  table.add('_*_(double, double): double', (a: number, b: number) => a * b);
  table.add('_/_(double, double): double', (a: number, b: number) => a / b);
  table.add('-_(double): double', (a: number) => -a);
  table.add('_+_(string, string): string', (a: string, b: string) => a + b, 'add_string');
  table.add(
    '_+_(bytes, bytes): bytes',
    (a: Uint8Array, b: Uint8Array) => Uint8Array.from([...a, ...b]),
    'add_bytes',
  );
  table.add('_+_(list(A), list(A)): list(A)', (a: unknown[], b: unknown[]) => [...a, ...b], 'add_list');
  table.add(
    '_+_(duration, duration): duration',
    (a: Duration, b: Duration) => new Duration(int(a.nanos + b.nanos)),
  );
  table.add(
    '_-_(duration, duration): duration',
    (a: Duration, b: Duration) => new Duration(int(a.nanos - b.nanos)),
  );
  table.add(
    '_+_(timestamp, duration): timestamp',
    (a: Timestamp, b: Duration) => new Timestamp(a.nanos + b.nanos),
  );
  table.add(
    '_+_(duration, timestamp): timestamp',
    (a: Duration, b: Timestamp) => new Timestamp(a.nanos + b.nanos),
  );
  table.add(
    '_-_(timestamp, duration): timestamp',
    (a: Timestamp, b: Duration) => new Timestamp(a.nanos - b.nanos),
  );
  table.add(
    '_-_(timestamp, timestamp): duration',
    (a: Timestamp, b: Timestamp) => new Duration(int(a.nanos - b.nanos)),
  );
}

function addOrder(table: FunctionTable): void {
  const kinds = ['bool', 'int', 'uint', 'double', 'string', 'bytes', 'timestamp', 'duration'];
  const numbers = ['int', 'uint', 'double'];
  const pairs = kinds.flatMap((kind) => [
    [kind, kind] as const,
    ...(numbers.includes(kind)
      ? numbers.filter((each) => each !== kind).map((each) => [kind, each] as const)
      : []),
  ]);
  for (const [operator, word, test] of [
    ['_<_', 'less', (order: number) => order < 0],
    ['_<=_', 'less_equals', (order: number) => order <= 0],
    ['_>_', 'greater', (order: number) => order > 0],
    ['_>=_', 'greater_equals', (order: number) => order >= 0],
  ] as const) {
    for (const [left, right] of pairs) {
      table.add(
        `${operator}(${left}, ${right}): bool`,
        (a: unknown, b: unknown) => {
          const order = compareValues(a, b);
          // NaN is in no order with anything.
          if (Number.isNaN(a) || Number.isNaN(b)) return false;
          return test(order ?? (fail('no such overload') as number));
        },
        `${word}_${left}`,
      );
    }
  }
}

function addContainers(table: FunctionTable): void {
  for (const kind of ['string', 'bytes', 'list(A)', 'map(A, B)']) {
    table.add(`size(${kind}): int`, (value: unknown) => BigInt(actualSize(value)));
    table.add(`${kind}.size(): int`, (value: unknown) => BigInt(actualSize(value)));
  }
  table.add(
    '@in(A, list(A)): bool',
    (item: unknown, list: unknown[]) => list.some((each) => equalValues(each, item)),
    'in_list',
  );
  table.add('@in(A, map(A, B)): bool', (key: unknown, map: CelMap) => map.get(key) !== undefined, 'in_map');
  // Indexing is evaluated by itself; the forms are there for their types.
  table.add('_[_](list(A), int): A', () => fail('no such overload'), 'index_list');
  table.add('_[_](map(A, B), A): B', () => fail('no such overload'), 'index_map');
  table.add('_[_](optional(list(A)), int): optional(A)', () => fail('no such overload'));
  table.add('_[_](optional(map(A, B)), A): optional(B)', () => fail('no such overload'));
  table.add('_[?_](list(A), int): optional(A)', () => fail('no such overload'));
  table.add('_[?_](map(A, B), A): optional(B)', () => fail('no such overload'));
  table.add('_[?_](optional(list(A)), int): optional(A)', () => fail('no such overload'));
  table.add('_[?_](optional(map(A, B)), A): optional(B)', () => fail('no such overload'));
}

function addConversions(table: FunctionTable): void {
  table.add('type(A): type', (value: unknown) => new TypeValue(typeOfValue(value)));
  table.add('int(int): int', (value: bigint) => value);
  table.add('int(uint): int', (value: Uint) => int(value.value));
  table.add('int(double): int', (value: number) =>
    Number.isFinite(value) && Math.abs(value) < 2 ** 63
      ? BigInt(Math.trunc(value))
      : fail('integer overflow'),
  );
  table.add('int(string): int', (text: string) =>
    /^[+-]?\d+$/.test(text) ? int(BigInt(text.replace(/^\+/, ''))) : fail(numberError('ParseInt', text)),
  );
  table.add('int(timestamp): int', ({ nanos }: Timestamp) => floorDivide(nanos, 1_000_000_000n));
  table.add('int(duration): int', ({ nanos }: Duration) => nanos);
  table.add('uint(uint): uint', (value: Uint) => value);
  table.add('uint(int): uint', (value: bigint) => uint(value));
  table.add('uint(double): uint', (value: number) =>
    Number.isFinite(value) && value >= 0
      ? uint(BigInt(Math.trunc(value)))
      : fail('unsigned integer overflow'),
  );
  table.add('uint(string): uint', (text: string) =>
    /^\d+$/.test(text) ? uint(BigInt(text)) : fail(numberError('ParseUint', text)),
  );
  table.add('double(double): double', (value: number) => value);
  table.add('double(int): double', (value: bigint) => Number(value));
  table.add('double(uint): double', (value: Uint) => Number(value.value));
  table.add('double(string): double', (text: string) => {
    const special = /^[+-]?(?:inf|infinity)$/i.test(text)
      ? text.startsWith('-')
        ? -Infinity
        : Infinity
      : undefined;
    if (special !== undefined) return special;
    if (/^nan$/i.test(text)) return Number.NaN;
    return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)
      ? Number(text)
      : fail(numberError('ParseFloat', text));
  });
  table.add('bool(bool): bool', (value: boolean) => value);
  table.add('bool(string): bool', (text: string) => {
    if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
    if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
    return fail(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
  });
  table.add('string(string): string', (value: string) => value);
  table.add('string(bool): string', String);
  table.add('string(int): string', String);
  table.add('string(uint): string', (value: Uint) => String(value.value));
  table.add('string(double): string', formatDouble);
  table.add('string(timestamp): string', formatTimestamp);
  table.add('string(duration): string', formatDuration);
  table.add(
    'string(bytes): string',
    (value: Uint8Array) => decodeUtf8(value) ?? fail('invalid UTF-8 in bytes, cannot convert to string'),
    'bytes_to_string',
  );
  table.add('bytes(bytes): bytes', (value: Uint8Array) => value);
  table.add('bytes(string): bytes', (value: string) => encodeUtf8(value), 'string_to_bytes');
  table.add('timestamp(timestamp): timestamp', (value: Timestamp) => value);
  table.add('timestamp(int): timestamp', (seconds: bigint) => new Timestamp(seconds * 1_000_000_000n));
  table.add(
    'timestamp(string): timestamp',
    (text: string) =>
      parseTimestamp(text) ??
      fail(`parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse`),
  );
  table.add('duration(duration): duration', (value: Duration) => value);
  table.add('duration(int): duration', (nanos: bigint) => new Duration(nanos));
  table.add(
    'duration(string): duration',
    (text: string) => parseDuration(text) ?? fail(`time: invalid duration ${JSON.stringify(text)}`),
  );
}

const numberError = (parser: string, text: string): string =>
  `strconv.${parser}: parsing ${JSON.stringify(text)}: invalid syntax`;

/** As Go prints the shortest form. */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  if (exponent < -4 || exponent >= 21) return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return String(value);
}

function addTexts(table: FunctionTable): void {
  const matches = (text: string, expression: string): boolean => pattern(expression).matcher(text).find();
  table.add('string.startsWith(string): bool', (text: string, part: string) => text.startsWith(part));
  table.add('string.endsWith(string): bool', (text: string, part: string) => text.endsWith(part));
  table.add('string.contains(string): bool', (text: string, part: string) => text.includes(part));
  table.add('string.matches(string): bool', matches);
  table.add('matches(string, string): bool', matches);
}

const zones = new Map<string, Intl.DateTimeFormat>();

/** A date whose UTC parts are those of the place. */
function local({ nanos, date }: Timestamp, zone: string): Date {
  const offset = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (offset !== null) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3]);
    return new Date(date.getTime() + (offset[1] === '-' ? -minutes : minutes) * 60_000);
  }
  let format = zones.get(zone);
  if (format === undefined) {
    try {
      format = new Intl.DateTimeFormat('en-US', {
        timeZone: zone === '' ? 'UTC' : zone,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      });
    } catch {
      return fail(`unknown time zone ${zone}`);
    }
    zones.set(zone, format);
  }
  const parts = Object.fromEntries(
    format.formatToParts(date).map(({ type, value }) => [type, Number(value)]),
  );
  const ms = Number(floorDivide(nanos, 1_000_000n) - floorDivide(nanos, 1_000_000_000n) * 1000n);
  return new Date(
    Date.UTC(
      parts['year'] as number,
      (parts['month'] as number) - 1,
      parts['day'],
      parts['hour'],
      parts['minute'],
      parts['second'],
      ms,
    ),
  );
}

function addTimes(table: FunctionTable): void {
  const dayOfYear = (date: Date): number =>
    Math.floor(
      (Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) -
        Date.UTC(date.getUTCFullYear(), 0, 1)) /
        86_400_000,
    );
  const parts: Readonly<Record<string, (date: Date) => number>> = {
    getFullYear: (date) => date.getUTCFullYear(),
    getMonth: (date) => date.getUTCMonth(),
    getDayOfYear: dayOfYear,
    getDayOfMonth: (date) => date.getUTCDate() - 1,
    getDate: (date) => date.getUTCDate(),
    getDayOfWeek: (date) => date.getUTCDay(),
    getHours: (date) => date.getUTCHours(),
    getMinutes: (date) => date.getUTCMinutes(),
    getSeconds: (date) => date.getUTCSeconds(),
    getMilliseconds: (date) => date.getUTCMilliseconds(),
  };
  for (const [name, read] of Object.entries(parts)) {
    table.add(`timestamp.${name}(): int`, (time: Timestamp) => BigInt(read(time.date)));
    table.add(`timestamp.${name}(string): int`, (time: Timestamp, zone: string) =>
      BigInt(read(local(time, zone))),
    );
  }
  table.add('duration.getHours(): int', ({ nanos }: Duration) => nanos / 3_600_000_000_000n);
  table.add('duration.getMinutes(): int', ({ nanos }: Duration) => nanos / 60_000_000_000n);
  table.add('duration.getSeconds(): int', ({ nanos }: Duration) => nanos / 1_000_000_000n);
  table.add('duration.getMilliseconds(): int', ({ nanos }: Duration) => nanos / 1_000_000n);
}
