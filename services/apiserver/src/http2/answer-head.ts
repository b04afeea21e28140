import { headerBlock } from '@pilothouse/http2';

export type HeaderValue = string | number | readonly string[];

/** Headers of HTTP/1 connections, of which an answer of HTTP/2 must not speak. */
const connectionNames = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
const invalidValue = /[^\t\x20-\x7e\x80-\xff]/;
const validName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** Values of a name that are kept encoded: most headers have a few values only. */
const valuesKept = 64;
const namesKept = 256;
/** Larger blocks are put together the slow way. */
const scratchBytes = 16 * 1024;
const oneByteLengthMax = 126;

interface FieldName {
  /** A field of this name up to its value's length. */
  readonly prefix: Buffer;
  readonly fields: Map<string, Buffer>;
}

const names = new Map<string, FieldName>();
const statuses = new Map<number, Buffer>();
const scratch = Buffer.allocUnsafeSlow(scratchBytes);
let dateSecond = 0;
let dateField: Buffer = Buffer.alloc(0);

/**
 * The header block of an answer. `nowMs`: wall time for the header Date. Names must be in lower case. The bytes are valid until the next
 * call. Throws a TypeError for names and values that no header may have.
 */
export function answerHead(
  status: number,
  headers: Readonly<Record<string, HeaderValue>>,
  nowMs: number | undefined,
): Buffer {
  let at = 0;
  const put = (field: Buffer): boolean => {
    if (at + field.length > scratchBytes) return false;
    at += field.copy(scratch, at);
    return true;
  };
  const add = (name: string, value: string): boolean => {
    const known = nameOf(name);
    const { prefix, fields } = known;
    const encoded = fields.get(value);
    if (encoded !== undefined) return put(encoded);
    if (invalidValue.test(value)) throw new TypeError(`Invalid character in header "${name}"`);
    if (value.length > oneByteLengthMax) return put(headerBlock([[name, value]]));
    const end = at + prefix.length + 1 + value.length;
    if (end > scratchBytes) return false;
    const from = at;
    put(prefix);
    scratch[at++] = value.length;
    at += scratch.write(value, at, 'latin1');
    if (fields.size < valuesKept) fields.set(value, Buffer.from(scratch.subarray(from, end)));
    return true;
  };
  let fits = put(statusField(status));
  for (const name in headers) {
    if (connectionNames.has(name)) continue;
    const value = headers[name] as HeaderValue;
    if (typeof value === 'string') fits &&= add(name, value);
    else if (typeof value === 'number') fits &&= add(name, String(value));
    else for (const each of value) fits &&= add(name, each);
  }
  if (nowMs !== undefined && !('date' in headers)) fits &&= put(dateFieldOf(nowMs));
  return fits ? scratch.subarray(0, at) : largeHead(status, headers, nowMs);
}

function largeHead(
  status: number,
  headers: Readonly<Record<string, HeaderValue>>,
  nowMs: number | undefined,
): Buffer {
  const fields: [string, string][] = [[':status', String(status)]];
  for (const [name, value] of Object.entries(headers)) {
    if (connectionNames.has(name)) continue;
    nameOf(name);
    for (const each of typeof value === 'object' ? value : [String(value)]) {
      if (invalidValue.test(each)) throw new TypeError(`Invalid character in header "${name}"`);
      fields.push([name, each]);
    }
  }
  if (nowMs !== undefined && !('date' in headers)) fields.push(['date', new Date(nowMs).toUTCString()]);
  return headerBlock(fields);
}

function nameOf(name: string): FieldName {
  const known = names.get(name);
  if (known !== undefined) return known;
  if (!validName.test(name)) throw new TypeError(`Invalid name of a header: ${JSON.stringify(name)}`);
  // Without a value it ends with the length of nothing.
  const made = { prefix: headerBlock([[name, '']]).subarray(0, -1), fields: new Map<string, Buffer>() };
  if (names.size < namesKept) names.set(name, made);
  return made;
}

function statusField(status: number): Buffer {
  let field = statuses.get(status);
  if (field === undefined) {
    field = headerBlock([[':status', String(status)]]);
    if (statuses.size < namesKept) statuses.set(status, field);
  }
  return field;
}

function dateFieldOf(nowMs: number): Buffer {
  const second = Math.floor(nowMs / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateField = headerBlock([['date', new Date(second * 1000).toUTCString()]]);
  }
  return dateField;
}
