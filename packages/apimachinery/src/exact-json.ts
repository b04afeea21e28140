/**
 * JSON whose integers keep all their digits, for objects without a fixed schema: integers beyond 2^53 that fit into 64 bits are bigint,
 * all other numbers are number, as Go tells int64 from float64.
 */

/** A long run of digits where a value may stand; inside strings it only costs a closer look. */
const longNumber = /(?:[:,[\s]|^)-?\d{16}/;
const integer = /-?\d[\d.eE+-]*/g;
const intMin = -(2n ** 63n);
const intMax = 2n ** 63n - 1n;

/** JSON.parse that keeps the digits of integers. Costs next to nothing where no long number is there. Throws SyntaxError. */
export function parseExact(text: string): unknown {
  const value = JSON.parse(text) as unknown;
  return longNumber.test(text) ? withExactIntegers(text, value) : value;
}

/** The value that JSON.parse gave of the text, its long integers replaced. */
export function withExactIntegers(text: string, value: unknown): unknown {
  return replaced(text, value, fits64);
}

/** Like {@link withExactIntegers}, and integers that no 64 bits hold are bigint too: what refuses them shows them as they were sent. */
export function withAllDigits(text: string, value: unknown): unknown {
  return replaced(text, value, () => true);
}

const fits64 = (value: bigint): boolean => value >= intMin && value <= intMax;

function replaced(text: string, value: unknown, wanted: (value: bigint) => boolean): unknown {
  if (!longNumber.test(text)) return value;
  const quoted = quoteLongIntegers(text, wanted);
  if (quoted === undefined) return value;
  // The same document twice: where one has a number and the other a text, the text has the digits.
  const root = { value };
  const waiting: [target: object, digits: object][] = [[root, { value: JSON.parse(quoted) as unknown }]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const target = next[0] as Record<string, unknown>;
    const digits = next[1] as Record<string, unknown>;
    for (const key of Object.keys(digits)) {
      const [own, other] = [target[key], digits[key]];
      if (typeof own === 'number' && typeof other === 'string')
        Object.defineProperty(target, key, {
          value: BigInt(other),
          enumerable: true,
          configurable: true,
          writable: true,
        });
      else if (typeof own === 'object' && own !== null) waiting.push([own, other as object]);
    }
  }
  return root.value;
}

/** The text with its long integers made strings; undefined: it has none. */
function quoteLongIntegers(text: string, wanted: (value: bigint) => boolean): string | undefined {
  const pieces: string[] = [];
  let found = false;
  const plain = (piece: string): string =>
    piece.replace(integer, (number) => {
      if (!isLongInteger(number) || !wanted(BigInt(number))) return number;
      found = true;
      return `"${number}"`;
    });
  let at = 0;
  for (let start = text.indexOf('"'); start >= 0; start = text.indexOf('"', at)) {
    pieces.push(plain(text.slice(at, start)));
    at = stringEnd(text, start);
    pieces.push(text.slice(start, at));
  }
  pieces.push(plain(text.slice(at)));
  return found ? pieces.join('') : undefined;
}

function isLongInteger(number: string): boolean {
  return number.length >= 16 && /^-?\d+$/.test(number) && !Number.isSafeInteger(Number(number));
}

/** Position after the quote that closes the string opened at `start`. */
function stringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
}

/** JSON.stringify that also writes bigint, as digits. */
export function jsonText(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  try {
    return JSON.stringify(value);
  } catch (error) {
    // The way of objects without any bigint stays the fast one.
    if (!(error instanceof TypeError)) throw error;
    return slowText(value) ?? 'null';
  }
}

function slowText(value: unknown): string | undefined {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => slowText(item) ?? 'null').join(',')}]`;
  const members: string[] = [];
  for (const [key, item] of Object.entries(value)) {
    const text = slowText(item);
    if (text !== undefined) members.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${members.join(',')}}`;
}
