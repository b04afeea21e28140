import { encodeUtf8 } from '@pilothouse/base';
import { decodeUtf8 } from '../utf8.ts';
import type { FunctionTable } from '../functions.ts';
import { CelEvaluationError } from '../issues.ts';
import {
  CelMap,
  Duration,
  formatDuration,
  formatTimestamp,
  Timestamp,
  TypeValue,
  typeOfValue,
  Uint,
} from '../values.ts';
import { formatType } from '../types.ts';
import { pattern } from '../patterns.ts';
import { formatDouble } from './standard.ts';

const fail = (message: string): never => {
  throw new CelEvaluationError(message);
};

/** The strings extension, and Kubernetes' regular expressions. */
export function addTexts(table: FunctionTable): void {
  table.add('string.charAt(int): string', (text: string, index: bigint) => {
    const points = [...text];
    if (index < 0n || index > BigInt(points.length)) fail(`index out of range: ${index}`);
    return points[Number(index)] ?? '';
  });
  table.add('string.indexOf(string): int', (text: string, part: string) => find(text, part, 0n));
  table.add('string.indexOf(string, int): int', find);
  table.add('string.lastIndexOf(string): int', (text: string, part: string) =>
    BigInt(findLast([...text], [...part], undefined)),
  );
  table.add('string.lastIndexOf(string, int): int', (text: string, part: string, from: bigint) => {
    const points = [...text];
    if (from < 0n || from >= BigInt(points.length)) fail(`index out of range: ${from}`);
    return BigInt(findLast(points, [...part], Number(from)));
  });
  table.add('string.lowerAscii(): string', (text: string) =>
    text.replace(/[A-Z]+/g, (part) => part.toLowerCase()),
  );
  table.add('string.upperAscii(): string', (text: string) =>
    text.replace(/[a-z]+/g, (part) => part.toUpperCase()),
  );
  table.add('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, () => to),
  );
  table.add(
    'string.replace(string, string, int): string',
    (text: string, from: string, to: string, limit: bigint) => {
      if (limit < 0n) return text.replaceAll(from, () => to);
      let left = Number(limit);
      return text.replaceAll(from, (found) => (left-- > 0 ? to : found));
    },
  );
  table.add('string.split(string): list(string)', (text: string, separator: string) =>
    split(text, separator, -1n),
  );
  table.add('string.split(string, int): list(string)', split);
  table.add('string.substring(int): string', (text: string, start: bigint) => {
    const points = [...text];
    return slice(points, start, BigInt(points.length));
  });
  table.add('string.substring(int, int): string', (text: string, start: bigint, end: bigint) =>
    slice([...text], start, end),
  );
  table.add('string.trim(): string', (text: string) =>
    text.replace(/^[\s\u0085\u180e\u200b]+|[\s\u0085\u180e\u200b]+$/g, ''),
  );
  table.add('list(string).join(): string', (list: string[]) => list.join(''));
  table.add('list(string).join(string): string', (list: string[], separator: string) => list.join(separator));
  table.add('strings::quote(string): string', quoted);
  table.add('string.format(list(dyn)): string', format);
  table.add('string.find(string): string', (text: string, expression: string) => {
    const matcher = pattern(expression).matcher(text);
    return matcher.find() ? (matcher.group() ?? '') : '';
  });
  table.add('string.findAll(string): list(string)', (text: string, expression: string) =>
    findAll(text, expression, -1n),
  );
  table.add('string.findAll(string, int): list(string)', findAll);
}

function findAll(text: string, expression: string, limit: bigint): string[] {
  const matcher = pattern(expression).matcher(text);
  const found: string[] = [];
  while ((limit < 0n || BigInt(found.length) < limit) && matcher.find()) found.push(matcher.group() ?? '');
  return found;
}

function find(text: string, part: string, from: bigint): bigint {
  const points = [...text];
  if (part === '') return from;
  if (from < 0n || (from >= BigInt(points.length) && from !== 0n)) fail(`index out of range: ${from}`);
  const wanted = [...part];
  for (let index = Number(from); index + wanted.length <= points.length; index++) {
    if (wanted.every((each, offset) => points[index + offset] === each)) return BigInt(index);
  }
  return -1n;
}

function findLast(points: string[], wanted: string[], from: number | undefined): number {
  if (wanted.length === 0) return from ?? points.length;
  for (let index = Math.min(from ?? points.length, points.length - wanted.length); index >= 0; index--) {
    if (wanted.every((each, offset) => points[index + offset] === each)) return index;
  }
  return -1;
}

function split(text: string, separator: string, limit: bigint): string[] {
  if (limit === 0n) return [];
  const parts = separator === '' ? [...text] : text.split(separator);
  if (limit < 0n || BigInt(parts.length) <= limit) return parts;
  const count = Number(limit) - 1;
  return [...parts.slice(0, count), parts.slice(count).join(separator)];
}

function slice(points: string[], start: bigint, end: bigint): string {
  if (start > end) fail(`invalid substring range. start: ${start}, end: ${end}`);
  if (start < 0n || start > BigInt(points.length)) fail(`index out of range: ${start}`);
  if (end < 0n || end > BigInt(points.length)) fail(`index out of range: ${end}`);
  return points.slice(Number(start), Number(end)).join('');
}

function quoted(text: string): string {
  const escapes: Readonly<Record<string, string>> = {
    '\x07': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '\\': '\\\\', '"': '\\"',
  }; // prettier-ignore
  // eslint-disable-next-line no-control-regex -- those are what has escapes
  return `"${text.replace(/[\x07\b\f\n\r\t\v\\"]/g, (character) => escapes[character] as string)}"`;
}

function format(text: string, values: readonly unknown[]): string {
  let next = 0;
  let out = '';
  const taken = (): unknown => (next < values.length ? values[next++] : fail(`index ${next} out of range`));
  for (let index = 0; index < text.length; index++) {
    if (text[index] !== '%') {
      out += text[index];
      continue;
    }
    const clause = /^%(?:\.(\d+))?([a-zA-Z%])?/.exec(text.slice(index));
    const [whole = '%', precision, verb] = clause ?? [];
    index += whole.length - 1;
    if (verb === '%') out += '%';
    else if (verb === undefined) fail('unexpected end of string');
    else out += formatted(taken(), verb as string, precision === undefined ? 6 : Number(precision));
  }
  return out;
}

function formatted(value: unknown, verb: string, precision: number): string {
  const integer = (): bigint =>
    typeof value === 'bigint'
      ? value
      : value instanceof Uint
        ? value.value
        : typeof value === 'boolean' && verb === 'b'
          ? BigInt(value)
          : fail(
              wrongKind(
                verb === 'd' ? 'decimal' : verb === 'o' ? 'octal' : verb === 'b' ? 'binary' : 'hex',
                value,
              ),
            );
  const number = (): number =>
    typeof value === 'number' || typeof value === 'bigint'
      ? Number(value)
      : value instanceof Uint
        ? Number(value.value)
        : fail(wrongKind('fixed-point', value));
  switch (verb) {
    case 's':
      return shown(value);
    case 'd':
      return typeof value === 'number' && !Number.isFinite(value) ? special(value) : String(integer());
    case 'f':
      return Number.isFinite(number()) ? number().toFixed(precision) : special(number());
    case 'e':
      return Number.isFinite(number())
        ? number()
            .toExponential(precision)
            .replace(/e([+-])(\d)$/, 'e$10$2')
        : special(number());
    case 'b':
      return integer().toString(2);
    case 'o':
      return integer().toString(8);
    case 'x':
    case 'X': {
      const bytes = typeof value === 'string' ? encodeUtf8(value) : value;
      const digits =
        bytes instanceof Uint8Array
          ? [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
          : integer().toString(16);
      return verb === 'X' ? digits.toUpperCase() : digits;
    }
    default:
      return fail(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
  }
}

const special = (value: number): string =>
  Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
const wrongKind = (clause: string, value: unknown): string =>
  `error during formatting: ${clause} clause cannot be used on ${formatType(typeOfValue(value))}`;

function shown(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string' || typeof value === 'bigint' || typeof value === 'boolean')
    return String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? formatDouble(value) : special(value);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof TypeValue) return value.type.name;
  if (value instanceof Uint8Array) return decodeUtf8(value) ?? fail('invalid UTF-8 in bytes');
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (value instanceof CelMap) {
    const entries = value.keys().map((key) => [shown(key), shown(value.get(key))] as const);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, member]) => `${key}: ${member}`).join(', ')}}`;
  }
  return fail(
    `error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps, was given ${formatType(typeOfValue(value))}`,
  );
}
