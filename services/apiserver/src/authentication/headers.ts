import type { AuthenticationRequest } from './interface.ts';

type Headers = AuthenticationRequest['headers'];

/** The first value of a header; empty when absent. */
export function headerValue(headers: Headers, name: string): string {
  const value = headers[name.toLowerCase()];
  if (value === undefined) return '';
  return typeof value === 'string' ? value : (value[0] ?? '');
}

/** All values of a header, one per line of the request. Node joins most repeated headers by `, `; commas inside names are not usual there. */
export function headerValues(headers: Headers, name: string): string[] {
  const value = headers[name.toLowerCase()];
  if (value === undefined) return [];
  return typeof value === 'string' ? value.split(', ') : [...value];
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

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text).toLowerCase();
  } catch {
    return text;
  }
}
