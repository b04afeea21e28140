import { jsonText, parseExact } from '../exact-json.ts';
import { goQuote } from '../field-error.ts';

/**
 * A step of a field path in its wire form: `f:name` a member, `k:{"name":"a"}` an element by keys, `v:"x"` an element by value,
 * `i:0` by index. Equal steps are equal strings.
 */
export type PathElement = string;

export function memberElement(name: string): PathElement {
  return `f:${name}`;
}
export function valueElement(value: unknown): PathElement {
  return `v:${jsonText(value)}`;
}
/** `names` in alphabetical order. */
export function keyElement(names: readonly string[], values: readonly unknown[]): PathElement {
  return `k:{${names.map((name, index) => `${JSON.stringify(name)}:${jsonText(values[index] ?? null)}`).join(',')}}`;
}

function scalarText(value: unknown): string {
  return typeof value === 'string' ? goQuote(value) : String(value);
}

/** As messages show a step: `.name`, `[name="a",port=80]`, `[="x"]`, `[0]`. */
export function pathElementText(element: PathElement): string {
  const body = element.slice(2);
  switch (element[0]) {
    case 'k': {
      const keys = parseExact(body) as Record<string, unknown>;
      return `[${Object.keys(keys)
        .map((key) => `${key}=${scalarText(keys[key])}`)
        .join(',')}]`;
    }
    case 'v':
      return `[=${scalarText(parseExact(body))}]`;
    case 'i':
      return `[${body}]`;
    default:
      return `.${body}`;
  }
}
