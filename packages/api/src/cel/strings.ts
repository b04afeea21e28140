import type { Environment } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import type { CelList } from './values.ts';

/** String functions of the extensions that the CEL library does not bring. */
export function registerStrings(env: Environment): void {
  env.registerFunction('string.charAt(int): string', (text: string, index: bigint) => {
    const points = [...text];
    if (index < 0n || index > BigInt(points.length)) throw new Error(`index out of range: ${index}`);
    return points[Number(index)] ?? '';
  });
  env.registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, () => to),
  );
  env.registerFunction(
    'string.replace(string, string, int): string',
    (text: string, from: string, to: string, limit: bigint) => {
      if (limit < 0n) return text.replaceAll(from, () => to);
      let left = Number(limit);
      return text.replaceAll(from, (found) => (left-- > 0 ? to : found));
    },
  );
  env.registerFunction('matches(string, string): bool', (text: string, pattern: string) =>
    RE2JS.compile(pattern).matcher(text).find(),
  );
  env.registerFunction('string.reverse(): string', (text: string) => [...text].reverse().join(''));
  env.registerFunction('string.find(string): string', (text: string, pattern: string) => {
    const matcher = RE2JS.compile(pattern).matcher(text);
    return matcher.find() ? (matcher.group() ?? '') : '';
  });
  const findAll = (text: string, pattern: string, limit: number): string[] => {
    const matcher = RE2JS.compile(pattern).matcher(text);
    const found: string[] = [];
    while ((limit < 0 || found.length < limit) && matcher.find()) found.push(matcher.group() ?? '');
    return found;
  };
  env.registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) =>
    findAll(text, pattern, -1),
  );
  env.registerFunction(
    'string.findAll(string, int): list<string>',
    (text: string, pattern: string, limit: bigint) => findAll(text, pattern, Number(limit)),
  );
  env.registerFunction('string.format(list<dyn>): string', (text: string, values: CelList) => {
    const list = [...values];
    let next = 0;
    return text.replace(
      /%(?:%|(?:\.(\d+))?([sdfexXob]))/g,
      (whole, precision: string | undefined, verb: string | undefined) =>
        verb === undefined ? '%' : formatted(list[next++], verb, precision, whole),
    );
  });
}

function formatted(value: unknown, verb: string, precision: string | undefined, whole: string): string {
  switch (verb) {
    case 's':
    case 'd':
      return shown(value);
    case 'f':
      return Number(value).toFixed(precision === undefined ? 6 : Number(precision));
    case 'e':
      return Number(value)
        .toExponential(precision === undefined ? 6 : Number(precision))
        .replace(/e([+-])(\d)$/, 'e$10$2');
    case 'x':
      return BigInt(value as bigint).toString(16);
    case 'X':
      return BigInt(value as bigint)
        .toString(16)
        .toUpperCase();
    case 'o':
      return BigInt(value as bigint).toString(8);
    case 'b':
      return BigInt(value as bigint).toString(2);
    default:
      return whole;
  }
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (typeof value === 'object' && value !== null) {
    const entries = value instanceof Map ? [...(value as Map<unknown, unknown>)] : Object.entries(value);
    return `{${entries.map(([key, each]) => `${String(key)}: ${shown(each)}`).join(', ')}}`;
  }
  return String(value);
}
