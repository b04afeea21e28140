import { jsonText } from './exact-json.ts';
/** Reasons of a Status cause (metav1.CauseType), as clients compare them. */
export type FieldErrorType =
  | 'FieldValueNotFound'
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'InternalError'
  | 'FieldValueTypeInvalid';

/** One finding of validation. `field` is a path such as `spec.containers[0].image`; `message` is the cause's text without the path. */
export interface FieldError {
  readonly type: FieldErrorType;
  readonly field: string;
  readonly message: string;
}

/** A field path under construction. Immutable. */
export class FieldPath {
  readonly text: string;
  constructor(text = '') {
    this.text = text;
  }
  /** `spec` → `spec.replicas`; several names go deeper. */
  child(...names: string[]): FieldPath {
    let text = this.text;
    for (const name of names) text = text === '' ? name : `${text}.${name}`;
    return new FieldPath(text);
  }
  /** `spec.containers` → `spec.containers[0]`. */
  index(index: number): FieldPath {
    return new FieldPath(`${this.text}[${index}]`);
  }
  /** `metadata.labels` → `metadata.labels[app]`. */
  key(key: string): FieldPath {
    return new FieldPath(`${this.text}[${key}]`);
  }
  toString(): string {
    return this.text === '' ? '<nil>' : this.text;
  }
}

/** Renders a bad value as Go's `%v`/`%q` of field.Error does: strings quoted, null as `null`, the rest as Go's JSON. */
export function badValue(value: unknown): string {
  if (typeof value === 'string') return goQuote(value);
  if (value === undefined || value === null) return 'null';
  return jsonText(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Bytes that belong to no UTF-8 character, which Go's strings may hold: each stands as a character of its own from the end of the last
 * private use plane, so that messages can show it as Go does.
 */
export const strayByte = (byte: number): string => String.fromCodePoint(0x10ff00 + byte);
const firstStrayByte = 0x10ff80;

/** As Go writes such bytes in JSON: U+FFFD each. */
export const withoutStrayBytes = (text: string): string =>
  text.replace(/[\u{10ff80}-\u{10ffff}]/gu, '\ufffd');

/** Go's strconv.Quote for the characters that occur in practice. */
export function goQuote(text: string): string {
  let out = '"';
  for (const character of text) {
    const point = character.codePointAt(0) as number;
    if (character === '"' || character === '\\') out += '\\' + character;
    else if (character === '\n') out += '\\n';
    else if (character === '\t') out += '\\t';
    else if (character === '\r') out += '\\r';
    else if (point === 7) out += '\\a';
    else if (point === 8) out += '\\b';
    else if (point === 12) out += '\\f';
    else if (point === 11) out += '\\v';
    else if (point < 0x20 || point === 0x7f) out += `\\x${point.toString(16).padStart(2, '0')}`;
    else if (point >= firstStrayByte) out += `\\x${(point & 0xff).toString(16)}`;
    else if (point >= 0x80 && point < 0xa0) out += `\\u${point.toString(16).padStart(4, '0')}`;
    else out += character;
  }
  return out + '"';
}

export const fieldError = {
  notFound: (path: FieldPath, value: unknown): FieldError => ({
    type: 'FieldValueNotFound',
    field: path.toString(),
    message: `Not found: ${badValue(value)}`,
  }),
  required: (path: FieldPath, detail = ''): FieldError => ({
    type: 'FieldValueRequired',
    field: path.toString(),
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  }),
  duplicate: (path: FieldPath, value: unknown): FieldError => ({
    type: 'FieldValueDuplicate',
    field: path.toString(),
    message: `Duplicate value: ${badValue(value)}`,
  }),
  invalid: (path: FieldPath, value: unknown, detail: string): FieldError => ({
    type: 'FieldValueInvalid',
    field: path.toString(),
    message:
      detail === '' ? `Invalid value: ${badValue(value)}` : `Invalid value: ${badValue(value)}: ${detail}`,
  }),
  notSupported: (path: FieldPath, value: unknown, supported: readonly string[]): FieldError => ({
    type: 'FieldValueNotSupported',
    field: path.toString(),
    message:
      `Unsupported value: ${badValue(value)}` +
      (supported.length > 0
        ? `: supported values: ${supported.map((each) => goQuote(each)).join(', ')}`
        : ''),
  }),
  forbidden: (path: FieldPath, detail: string): FieldError => ({
    type: 'FieldValueForbidden',
    field: path.toString(),
    message: detail === '' ? 'Forbidden' : `Forbidden: ${detail}`,
  }),
  tooLong: (path: FieldPath, maxLength: number): FieldError => ({
    type: 'FieldValueTooLong',
    field: path.toString(),
    message:
      maxLength >= 0 ? `Too long: may not be more than ${maxLength} bytes` : 'Too long: value is too long',
  }),
  tooMany: (path: FieldPath, actual: number, max: number): FieldError => ({
    type: 'FieldValueTooMany',
    field: path.toString(),
    message:
      max >= 0
        ? `Too many: ${actual >= 0 ? `${actual}: ` : ''}must have at most ${max} ${max === 1 ? 'item' : 'items'}`
        : 'Too many: has too many items',
  }),
  typeInvalid: (path: FieldPath, value: unknown, detail: string): FieldError => ({
    type: 'FieldValueTypeInvalid',
    field: path.toString(),
    message:
      detail === '' ? `Invalid value: ${badValue(value)}` : `Invalid value: ${badValue(value)}: ${detail}`,
  }),
  internal: (path: FieldPath, detail: string): FieldError => ({
    type: 'InternalError',
    field: path.toString(),
    message: `Internal error: ${detail}`,
  }),
};
