import { CodedError } from '@pilothouse/base';

/** How a quantity is written: `1k`, `1Ki` or `1e3`. */
export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

/** The text is no quantity. The messages are upstream's, which clients show as they are. */
export class QuantityError extends CodedError {}

export const quantityFormatMessage =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const suffixMessage = "unable to parse quantity's suffix";

/** Everything is counted in nano units: nothing smaller can be said. */
const nanoPerUnit = 1_000_000_000n;
const nanoPerMilli = 1_000_000n;
/** Larger amounts are cut to this, as in upstream's 64-bit arithmetic. */
const maxUnits = 9_223_372_036_854_775_807n;

const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const decimalSuffixes = new Map(
  Object.entries(decimalExponents).map(([suffix, exponent]) => [exponent, suffix]),
);
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

const shape = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*(?:[-+]?[0-9]*))$/;

interface Suffix {
  readonly format: QuantityFormat;
  /** A power of ten, or for BinarySI of 1024. */
  readonly exponent: number;
}

function parseSuffix(suffix: string): Suffix {
  const decimal = decimalExponents[suffix];
  if (decimal !== undefined && Object.hasOwn(decimalExponents, suffix))
    return { format: 'DecimalSI', exponent: decimal };
  const binary = binarySuffixes.indexOf(suffix);
  if (binary > 0) return { format: 'BinarySI', exponent: binary };
  const scientific = /^[eE]([-+]?[0-9]+)$/.exec(suffix);
  if (scientific !== null) {
    const exponent = Number(scientific[1]);
    // Beyond this nothing but zero and the limit is left; a huge power would only burn memory.
    if (Number.isSafeInteger(exponent))
      return { format: 'DecimalExponent', exponent: Math.max(-60, Math.min(60, exponent)) };
  }
  throw new QuantityError('QuantitySuffix', suffixMessage);
}

/** Divides rounding away from zero: a resource asked for is never rounded down to nothing. */
function divideAway(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  if (quotient * divisor === value) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

/** A number with a unit suffix (resource.Quantity). Immutable; counted exactly down to 10⁻⁹. */
export class Quantity {
  readonly nano: bigint;
  readonly format: QuantityFormat;
  #text: string | undefined;
  constructor(nano: bigint, format: QuantityFormat, text?: string) {
    this.nano = nano;
    this.format = format;
    this.#text = text;
  }

  static fromUnits(units: number | bigint, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(units) * nanoPerUnit, format);
  }
  static fromMilli(milli: number | bigint, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(milli) * nanoPerMilli, format);
  }

  /** −1, 0 or 1. */
  compare(other: Quantity): number {
    return this.nano < other.nano ? -1 : this.nano > other.nano ? 1 : 0;
  }
  /** The result is written in the format of the first operand, unless that is zero. */
  add(other: Quantity): Quantity {
    return new Quantity(this.nano + other.nano, this.isZero ? other.format : this.format);
  }
  subtract(other: Quantity): Quantity {
    return new Quantity(this.nano - other.nano, this.isZero ? other.format : this.format);
  }
  multiply(factor: number | bigint): Quantity {
    return new Quantity(this.nano * BigInt(factor), this.format);
  }
  negate(): Quantity {
    return new Quantity(-this.nano, this.format);
  }
  get isZero(): boolean {
    return this.nano === 0n;
  }
  get sign(): number {
    return this.nano < 0n ? -1 : this.nano > 0n ? 1 : 0;
  }
  /** Whole units, rounded away from zero. Precise up to 2⁵³. */
  get value(): number {
    return Number(divideAway(this.nano, nanoPerUnit));
  }
  /** Thousandths, rounded away from zero. Precise up to 2⁵³. */
  get milliValue(): number {
    return Number(divideAway(this.nano, nanoPerMilli));
  }
  /** Rounds away from zero to thousandths, as defaulting does with resource lists. */
  roundUpToMilli(): Quantity {
    if (this.nano % nanoPerMilli === 0n) return this;
    return new Quantity(divideAway(this.nano, nanoPerMilli) * nanoPerMilli, this.format);
  }
  /** For metrics and scores; not exact. */
  toNumber(): number {
    return Number(this.nano) / 1e9;
  }
  toString(): string {
    return (this.#text ??= format(this));
  }
  toJSON(): string {
    return this.toString();
  }
}

function format(quantity: Quantity): string {
  const { nano } = quantity;
  if (nano === 0n) return '0';
  if (quantity.format === 'BinarySI') {
    const whole = nano % nanoPerUnit === 0n;
    const small = nano > -1024n * nanoPerUnit && nano < 1024n * nanoPerUnit;
    if (whole && !small) {
      let value = nano / nanoPerUnit;
      let power = 0;
      while (power < 6 && value % 1024n === 0n) {
        value /= 1024n;
        power++;
      }
      return `${value}${binarySuffixes[power]}`;
    }
  }
  let mantissa = nano;
  let exponent = -9;
  while ((exponent < 18 || quantity.format === 'DecimalExponent') && mantissa % 1000n === 0n) {
    mantissa /= 1000n;
    exponent += 3;
  }
  if (quantity.format === 'DecimalExponent')
    return exponent === 0 ? `${mantissa}` : `${mantissa}e${exponent}`;
  return `${mantissa}${decimalSuffixes.get(exponent)}`;
}

/**
 * Parses `500m`, `1.5Gi`, `1e3`, or a JSON number. A text that needs no reduction is kept as written (`+1`, `5.`), everything else
 * is written canonically.
 * @throws QuantityError
 */
export function parseQuantity(input: string | number): Quantity {
  const text = typeof input === 'number' ? String(input) : input.trim();
  const match = shape.exec(text);
  if (text === '' || match === null) throw new QuantityError('QuantityFormat', quantityFormatMessage);
  const [, sign, whole = '', fraction = '', suffixText = ''] = match;
  const suffix = parseSuffix(suffixText);
  const digits = BigInt(`${whole}${fraction}` || '0');
  if (digits === 0n) return new Quantity(0n, suffix.format, '0');
  let magnitude: bigint;
  if (suffix.format === 'BinarySI') {
    magnitude = divideAway(
      digits * (1n << BigInt(10 * suffix.exponent)) * nanoPerUnit,
      10n ** BigInt(fraction.length),
    );
  } else {
    const power = suffix.exponent + 9 - fraction.length;
    magnitude = power >= 0 ? digits * 10n ** BigInt(power) : divideAway(digits, 10n ** BigInt(-power));
  }
  const canonicalAsWritten = fraction === '' && isReduced(digits, suffix);
  const capped = magnitude > maxUnits * nanoPerUnit;
  if (capped && suffix.format !== 'DecimalExponent') magnitude = maxUnits * nanoPerUnit;
  // A fraction of one is never written with a binary suffix.
  const format = suffix.format === 'BinarySI' && magnitude < nanoPerUnit ? 'DecimalSI' : suffix.format;
  const keep = canonicalAsWritten && !(capped && suffix.format === 'BinarySI');
  return new Quantity(sign === '-' ? -magnitude : magnitude, format, keep ? text : undefined);
}

function isReduced(digits: bigint, suffix: Suffix): boolean {
  if (suffix.format === 'BinarySI') return digits % 1024n !== 0n;
  return suffix.exponent % 3 === 0 && suffix.exponent >= -9 && digits % 1000n !== 0n;
}

/** The quantity as the API returns it. @throws QuantityError */
export function canonicalQuantity(input: string | number): string {
  return parseQuantity(input).toString();
}

/** True when the text parses. */
export function isQuantity(input: unknown): input is string | number {
  if (typeof input !== 'string' && typeof input !== 'number') return false;
  try {
    parseQuantity(input);
    return true;
  } catch {
    return false;
  }
}

const binaryFactors: Readonly<Record<string, number>> = {
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

/** Whole units of a quantity, rounded up; the common spellings take no big integers. @throws QuantityError */
export function quantityValue(input: string | number): number {
  if (typeof input === 'number') return Number.isInteger(input) ? input : parseQuantity(input).value;
  const match = /^([0-9]{1,9})(Ki|Mi|Gi|Ti)?$/.exec(input);
  if (match !== null) {
    const value = Number(match[1]) * (match[2] === undefined ? 1 : (binaryFactors[match[2]] as number));
    if (Number.isSafeInteger(value)) return value;
  }
  return parseQuantity(input).value;
}

/** Thousandths of a quantity, rounded up. @throws QuantityError */
export function quantityMilliValue(input: string | number): number {
  if (typeof input === 'number')
    return Number.isInteger(input) ? input * 1000 : parseQuantity(input).milliValue;
  const match = /^([0-9]{1,9})(m)?$/.exec(input);
  if (match !== null) return Number(match[1]) * (match[2] === undefined ? 1000 : 1);
  return parseQuantity(input).milliValue;
}

/** −1, 0 or 1. @throws QuantityError */
export function compareQuantities(left: string | number, right: string | number): number {
  return parseQuantity(left).compare(parseQuantity(right));
}
