import type { AuthenticationRequest } from './interface.ts';

type Headers = AuthenticationRequest['headers'];

/** The first value of a header; empty when absent. */
export function headerValue(headers: Headers, name: string): string {
  const value = headers[name.toLowerCase()];
  if (value === undefined) return '';
  return utf8(typeof value === 'string' ? value : (value[0] ?? ''));
}

/** All values of a header, one per line of the request. A text is one value: a comma in it is part of a name. */
export function headerValues(headers: Headers, name: string): string[] {
  const value = headers[name.toLowerCase()];
  if (value === undefined) return [];
  return (typeof value === 'string' ? [value] : value).map(utf8);
}

/** Headers that begin with `prefix` (lower case): the decoded rest of the name → values. */
export function headersWithPrefix(headers: Headers, prefix: string): Record<string, string[]> {
  const result: Record<string, string[]> = {};
  const start = prefix.toLowerCase();
  for (const name of Object.keys(headers)) {
    if (!name.startsWith(start) || name.length === start.length) continue;
    const key = percentDecoded(name.slice(start.length));
    result[key] = [...(result[key] ?? []), ...headerValues(headers, name)];
  }
  return result;
}

/** Node gives the bytes of a value as Latin-1; names are UTF-8. */
function utf8(value: string): string {
  // eslint-disable-next-line no-control-regex -- whatever is ASCII stays
  return /^[\u0000-\u007f]*$/.test(value) ? value : Buffer.from(value, 'latin1').toString('utf8');
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text).toLowerCase();
  } catch {
    return text;
  }
}
