import { CelEvaluationError } from './issues.ts';
import type { CelType } from './types.ts';
import { celTypes, formatType } from './types.ts';

/**
 * Values: int is bigint, double is number, uint is {@link Uint}; string, bool and null are JavaScript's; bytes are Uint8Array; lists
 * are arrays; everything else is one of the classes here. JSON is read through {@link fromJson}, which copies nothing until it is asked.
 */

export class Uint {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}

/** Nanoseconds since 1970. */
export class Timestamp {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
  get date(): Date {
    return new Date(Number(floorDivide(this.nanos, 1_000_000n)));
  }
}

export class Duration {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

export const floorDivide = (a: bigint, b: bigint): bigint => (a - (((a % b) + b) % b)) / b;

/** A type as a value: `type(x) == string`. */
export class TypeValue {
  readonly type: CelType;
  constructor(type: CelType) {
    this.type = type;
  }
}

export class CelOptional {
  static readonly none = new CelOptional(undefined);
  readonly #value: unknown;
  constructor(value: unknown) {
    this.#value = value;
  }
  get hasValue(): boolean {
    return this.#value !== undefined;
  }
  get value(): unknown {
    if (this.#value === undefined) throw new CelEvaluationError('optional.none() dereference');
    return this.#value;
  }
}

/** A map; missing keys are undefined. */
export abstract class CelMap {
  abstract get(key: unknown): unknown;
  abstract keys(): readonly unknown[];
  abstract get size(): number;
}

/** A map that an expression built. */
export class LiteralMap extends CelMap {
  readonly #entries = new Map<string, readonly [unknown, unknown]>();
  get(key: unknown): unknown {
    return this.#entries.get(mapKey(key))?.[1];
  }
  set(key: unknown, value: unknown): void {
    this.#entries.set(mapKey(key), [key, value]);
  }
  keys(): readonly unknown[] {
    return [...this.#entries.values()].map(([key]) => key);
  }
  get size(): number {
    return this.#entries.size;
  }
}

function mapKey(key: unknown): string {
  switch (typeof key) {
    case 'string':
      return `s${key}`;
    case 'bigint':
      return `n${key}`;
    case 'number':
      return Number.isInteger(key) ? `n${BigInt(key)}` : `d${key}`;
    case 'boolean':
      return `b${key}`;
    default:
      if (key instanceof Uint) return `n${key.value}`;
      throw new CelEvaluationError(`unsupported key type: ${formatType(typeOfValue(key))}`);
  }
}

/** Members of a JSON object, each made a value when it is read. */
export class JsonMap extends CelMap {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly #adapt: (value: unknown) => unknown;
  readonly #read = new Map<string, unknown>();
  constructor(raw: Readonly<Record<string, unknown>>, adapt: (value: unknown) => unknown = fromJson) {
    super();
    this.raw = raw;
    this.#adapt = adapt;
  }
  get(key: unknown): unknown {
    if (typeof key !== 'string' || !Object.hasOwn(this.raw, key)) return undefined;
    const raw = this.raw[key];
    if (typeof raw !== 'object' || raw === null) return raw === undefined ? undefined : this.#adapt(raw);
    let value = this.#read.get(key);
    if (value === undefined) {
      value = this.#adapt(raw);
      this.#read.set(key, value);
    }
    return value;
  }
  keys(): readonly string[] {
    return Object.keys(this.raw).filter((key) => this.raw[key] !== undefined);
  }
  get size(): number {
    return this.keys().length;
  }
}

/** An object with named fields. */
export abstract class CelObject {
  abstract readonly type: CelType;
  /** Undefined: the field is not set. */
  abstract get(field: string): unknown;
  abstract fields(): readonly string[];
}

/** An object that an expression built: `Object{spec: …}`. */
export class BuiltObject extends CelObject {
  readonly type: CelType;
  readonly members: ReadonlyMap<string, unknown>;
  constructor(type: CelType, members: ReadonlyMap<string, unknown>) {
    super();
    this.type = type;
    this.members = members;
  }
  get(field: string): unknown {
    return this.members.get(field);
  }
  fields(): readonly string[] {
    return [...this.members.keys()];
  }
}

/** A value of a library: equal by its own rule, of a fixed type. */
export abstract class CelOpaque {
  abstract readonly type: CelType;
  abstract equals(other: this): boolean;
  /** What the cost of functions counts. */
  get size(): number {
    return 1;
  }
}

/** JSON without a schema: whole numbers are int, others double. */
export function fromJson(value: unknown): unknown {
  switch (typeof value) {
    case 'number':
      return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? BigInt(value) : value;
    case 'object':
      if (value === null) return null;
      if (Array.isArray(value)) return value.map(fromJson);
      return new JsonMap(value as Readonly<Record<string, unknown>>);
    case 'undefined':
      return null;
    default:
      return value;
  }
}

/** A value as JSON, for patches and applied objects. Throws {@link CelEvaluationError} for values that JSON has no form of. */
export function toJson(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number')
    return value;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (value instanceof Uint) return Number(value.value);
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof JsonMap) return value.raw;
  if (value instanceof CelMap) {
    return Object.fromEntries(
      value.keys().map((key) => {
        if (typeof key !== 'string')
          throw new CelEvaluationError(`map key is of type ${formatType(typeOfValue(key))}, not string`);
        return [key, toJson(value.get(key))];
      }),
    );
  }
  if (value instanceof CelObject)
    return Object.fromEntries(value.fields().map((field) => [field, toJson(value.get(field))]));
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof Uint8Array) return bytesToBase64(value);
  if (value instanceof CelOptional) return value.hasValue ? toJson(value.value) : null;
  throw new CelEvaluationError(`unable to convert a value of type ${formatType(typeOfValue(value))} to JSON`);
}

function bytesToBase64(bytes: Uint8Array): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  let out = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const [a, b, c] = [bytes[index] as number, bytes[index + 1], bytes[index + 2]];
    const word = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    out += `${alphabet[word >> 18]}${alphabet[(word >> 12) & 63]}`;
    out += `${b === undefined ? '=' : alphabet[(word >> 6) & 63]}${c === undefined ? '=' : alphabet[word & 63]}`;
  }
  return out;
}

export function typeOfValue(value: unknown): CelType {
  switch (typeof value) {
    case 'boolean':
      return celTypes.bool;
    case 'bigint':
      return celTypes.int;
    case 'number':
      return celTypes.double;
    case 'string':
      return celTypes.string;
    default:
  }
  if (value === null || value === undefined) return { ...celTypes.null, name: 'null_type' };
  if (Array.isArray(value)) return { kind: 'list', name: 'list', params: [] };
  if (value instanceof CelMap) return { kind: 'map', name: 'map', params: [] };
  if (value instanceof Uint) return celTypes.uint;
  if (value instanceof Uint8Array) return celTypes.bytes;
  if (value instanceof Timestamp) return { ...celTypes.timestamp, name: 'google.protobuf.Timestamp' };
  if (value instanceof Duration) return { ...celTypes.duration, name: 'google.protobuf.Duration' };
  if (value instanceof TypeValue) return celTypes.type;
  if (value instanceof CelOptional) return { kind: 'opaque', name: 'optional_type', params: [] };
  if (value instanceof CelObject || value instanceof CelOpaque) return value.type;
  return celTypes.dyn;
}

/** Size as `size()` counts it; 1 for what has none. */
export function actualSize(value: unknown): number {
  if (typeof value === 'string') return codePoints(value);
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length;
  if (value instanceof CelMap || value instanceof CelOpaque) return value.size;
  if (value instanceof CelOptional && value.hasValue) return actualSize(value.value);
  return 1;
}

/** Length of a text in characters. */
export function codePoints(text: string): number {
  let count = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0xd800 && unit < 0xdc00) count--;
  }
  return count;
}

const numeric = (value: unknown): number | bigint | undefined =>
  typeof value === 'bigint' || typeof value === 'number'
    ? value
    : value instanceof Uint
      ? value.value
      : undefined;

/** Equality of any two values; numbers of different types are equal when they are the same number. */
export function equalValues(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  const [a, b] = [numeric(left), numeric(right)];
  if (a !== undefined || b !== undefined) {
    // eslint-disable-next-line eqeqeq -- a bigint and a number of the same value are loosely equal only
    return a !== undefined && b !== undefined && a == b;
  }
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (Array.isArray(left))
    return (
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((item, index) => equalValues(item, right[index]))
    );
  if (left instanceof CelMap)
    return (
      right instanceof CelMap &&
      left.size === right.size &&
      left.keys().every((key) => {
        const other = right.get(key);
        return other !== undefined && equalValues(left.get(key), other);
      })
    );
  if (left instanceof CelObject) {
    if (!(right instanceof CelObject) || left.type.name !== right.type.name) return false;
    const fields = left.fields();
    return (
      fields.length === right.fields().length &&
      fields.every((field) => {
        const other = right.get(field);
        return other !== undefined && equalValues(left.get(field), other);
      })
    );
  }
  if (left instanceof Uint8Array)
    return (
      right instanceof Uint8Array &&
      left.length === right.length &&
      left.every((byte, index) => byte === right[index])
    );
  if (left instanceof Timestamp) return right instanceof Timestamp && left.nanos === right.nanos;
  if (left instanceof Duration) return right instanceof Duration && left.nanos === right.nanos;
  if (left instanceof TypeValue) return right instanceof TypeValue && left.type.name === right.type.name;
  if (left instanceof CelOptional) {
    if (!(right instanceof CelOptional)) return false;
    return left.hasValue && right.hasValue
      ? equalValues(left.value, right.value)
      : left.hasValue === right.hasValue;
  }
  if (left instanceof CelOpaque)
    return right instanceof CelOpaque && left.type.name === right.type.name && left.equals(right as never);
  return false;
}

/** Order of two values of one kind (numbers among each other); undefined: they cannot be compared. */
export function compareValues(left: unknown, right: unknown): number | undefined {
  const [a, b] = [numeric(left), numeric(right)];
  if (a !== undefined && b !== undefined) return order(a, b);
  if (typeof left === 'string' && typeof right === 'string') return compareText(left, right);
  if (typeof left === 'boolean' && typeof right === 'boolean') return order(Number(left), Number(right));
  if (left instanceof Timestamp && right instanceof Timestamp) return order(left.nanos, right.nanos);
  if (left instanceof Duration && right instanceof Duration) return order(left.nanos, right.nanos);
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    for (let index = 0; index < Math.min(left.length, right.length); index++) {
      const difference = (left[index] as number) - (right[index] as number);
      if (difference !== 0) return Math.sign(difference);
    }
    return Math.sign(left.length - right.length);
  }
  return undefined;
}

const order = (a: number | bigint, b: number | bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** By code points, as bytes of UTF-8 compare. */
function compareText(left: string, right: string): number {
  if (left === right) return 0;
  const [a, b] = [left[Symbol.iterator](), right[Symbol.iterator]()];
  for (;;) {
    const [x, y] = [a.next(), b.next()];
    if (x.done === true || y.done === true) return x.done === y.done ? 0 : x.done === true ? -1 : 1;
    const difference = (x.value.codePointAt(0) as number) - (y.value.codePointAt(0) as number);
    if (difference !== 0) return Math.sign(difference);
  }
}

const timePattern = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/;

/** RFC 3339; undefined when it is none. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const match = timePattern.exec(text);
  if (match === null) return undefined;
  const ms = Date.parse(text.replace(/\.\d+/, '').toUpperCase());
  if (Number.isNaN(ms)) return undefined;
  return new Timestamp(BigInt(ms) * 1_000_000n + BigInt((match[7] ?? '').padEnd(9, '0')));
}

export function formatTimestamp({ nanos }: Timestamp): string {
  const seconds = floorDivide(nanos, 1_000_000_000n);
  const fraction = (nanos - seconds * 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}${fraction === '' ? '' : `.${fraction}`}Z`;
}

const durationUnits: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Go's form: `1h30m`, `-1.5s`, `0`; undefined when it is none. */
export function parseDuration(text: string): Duration | undefined {
  const [, sign = '', body = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (body === '0') return new Duration(0n);
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) return undefined;
  let nanos = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of body.matchAll(
    /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g,
  )) {
    const scale = durationUnits[unit] as bigint;
    nanos += BigInt(whole === '' ? '0' : whole) * scale;
    if (fraction !== '') nanos += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  if (nanos > 0x7fffffffffffffffn) return undefined;
  return new Duration(sign === '-' ? -nanos : nanos);
}

/** Seconds with a fraction: `90.5s`. */
export function formatDuration({ nanos }: Duration): string {
  const sign = nanos < 0n ? '-' : '';
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = (size % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  return `${sign}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}s`;
}
