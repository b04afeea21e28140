import { jsonText } from '@pilothouse/apimachinery';
import { isJsonObject, sortedKeys } from '../json-shape.ts';

// eslint-disable-next-line no-control-regex -- these are the characters that JSON must escape
const needsEscape = /[\u0000-\u001f"\\<>&\u2028\u2029\ud800-\udfff]/;
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const escapes: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

/** A JSON string as Go writes it: `<`, `>`, `&`, U+2028 and U+2029 escaped, lone surrogates replaced. */
export function goJsonString(text: string): string {
  if (!needsEscape.test(text)) return `"${text}"`;
  return escapeHtml(JSON.stringify(text.replaceAll(loneSurrogate, '\ufffd')));
}

function escapeHtml(json: string): string {
  return json.replaceAll(/[<>&\u2028\u2029]/g, (character) => escapes[character] as string);
}

/** Any JSON value as Go writes raw JSON: member order kept. */
export function goJsonText(value: unknown): string {
  if (value === undefined || value === null) return 'null';
  if (typeof value === 'string') return goJsonString(value);
  return escapeHtml(jsonText(value));
}

/** Any JSON value as Go writes maps: keys sorted. This is how custom resources are written. */
export function encodeUnstructuredJson(value: unknown): string {
  if (Array.isArray(value)) return `[${(value as unknown[]).map(encodeUnstructuredJson).join(',')}]`;
  if (!isJsonObject(value)) return goJsonText(value);
  const members: string[] = [];
  for (const key of sortedKeys(value)) {
    const item: unknown = value[key];
    if (item !== undefined) members.push(`${goJsonString(key)}:${encodeUnstructuredJson(item)}`);
  }
  return `{${members.join(',')}}`;
}

/** Compact JSON text with Go's indentation by two spaces (`?pretty=true`). */
export function indentJson(compact: string): string {
  let out = '';
  let depth = 0;
  const line = (): string => `\n${'  '.repeat(depth)}`;
  for (let at = 0; at < compact.length; at++) {
    const character = compact[at] as string;
    switch (character) {
      case '{':
      case '[': {
        const close = compact[at + 1];
        if (close === '}' || close === ']') {
          out += character + close;
          at++;
        } else {
          depth++;
          out += character + line();
        }
        break;
      }
      case '}':
      case ']':
        depth--;
        out += line() + character;
        break;
      case ',':
        out += character + line();
        break;
      case ':':
        out += ': ';
        break;
      case '"': {
        let end = at + 1;
        while (compact[end] !== '"') end += compact[end] === '\\' ? 2 : 1;
        out += compact.slice(at, end + 1);
        at = end;
        break;
      }
      default:
        out += character;
    }
  }
  return out;
}
