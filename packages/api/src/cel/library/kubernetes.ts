import { isQuantity, parseQuantity, Quantity } from '@pilothouse/apimachinery';
import type { FunctionTable } from '../functions.ts';
import { libraryTypes } from '../functions.ts';
import { CelEvaluationError } from '../issues.ts';
import { CelOpaque, LiteralMap } from '../values.ts';

const fail = (message: string): never => {
  throw new CelEvaluationError(message);
};

/** A quantity as a value of expressions. */
export class CelQuantity extends CelOpaque {
  readonly type = libraryTypes.quantity;
  readonly quantity: Quantity;
  constructor(quantity: Quantity) {
    super();
    this.quantity = quantity;
  }
  equals(other: CelQuantity): boolean {
    return this.quantity.compare(other.quantity) === 0;
  }
}

/** A quantity; throws CelEvaluationError when the text is none. */
export function quantityValue(text: string): CelQuantity {
  try {
    return new CelQuantity(parseQuantity(text));
  } catch (error) {
    return fail((error as Error).message);
  }
}

/** `quantity('1Gi')` and what can be done with it. */
export function addQuantities(table: FunctionTable): void {
  table.add('quantity(string): quantity', quantityValue);
  table.add('isQuantity(string): bool', (text: string) => isQuantity(text));
  const isWhole = ({ quantity: value }: CelQuantity): boolean => Number.isSafeInteger(value.toNumber());
  table.add('quantity.sign(): int', ({ quantity: value }: CelQuantity) => BigInt(value.sign));
  table.add('sign(quantity): int', ({ quantity: value }: CelQuantity) => BigInt(value.sign));
  table.add('quantity.isInteger(): bool', isWhole);
  table.add('quantity.asInteger(): int', (value: CelQuantity) =>
    isWhole(value) ? BigInt(value.quantity.toNumber()) : fail('cannot convert value to integer'),
  );
  table.add('quantity.asApproximateFloat(): double', ({ quantity: value }: CelQuantity) => value.toNumber());
  table.add(
    'quantity.isGreaterThan(quantity): bool',
    (a: CelQuantity, b: CelQuantity) => a.quantity.compare(b.quantity) > 0,
  );
  table.add(
    'quantity.isLessThan(quantity): bool',
    (a: CelQuantity, b: CelQuantity) => a.quantity.compare(b.quantity) < 0,
  );
  table.add('quantity.compareTo(quantity): int', (a: CelQuantity, b: CelQuantity) =>
    BigInt(a.quantity.compare(b.quantity)),
  );
  for (const [name, of] of [
    ['add', (a: Quantity, b: Quantity) => a.add(b)],
    ['sub', (a: Quantity, b: Quantity) => a.subtract(b)],
  ] as const) {
    table.add(
      `quantity.${name}(quantity): quantity`,
      (a: CelQuantity, b: CelQuantity) => new CelQuantity(of(a.quantity, b.quantity)),
    );
    table.add(
      `quantity.${name}(int): quantity`,
      (a: CelQuantity, b: bigint) => new CelQuantity(of(a.quantity, Quantity.fromUnits(b))),
    );
  }
}

class CelUrl extends CelOpaque {
  readonly type = libraryTypes.url;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
  constructor(text: string) {
    super();
    const match = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?]*))?([^?]*)(?:\?(.*))?$/.exec(text);
    // eslint-disable-next-line no-control-regex -- a URL has none
    if (
      match === null ||
      /[\s\x00-\x1f\x7f]/.test(text) ||
      (match[1] === undefined && !text.startsWith('/'))
    ) {
      const why = match !== null && text === '' ? 'empty url' : 'invalid URI for request';
      throw new CelEvaluationError(
        `URL parse error during conversion from string: parse ${JSON.stringify(text)}: ${why}`,
      );
    }
    this.scheme = (match[1] ?? '').toLowerCase();
    this.authority = match[2] ?? '';
    this.path = match[3] ?? '';
    this.query = match[4] ?? '';
  }
  /** Host with port, without user information. */
  get host(): string {
    return this.authority.slice(this.authority.lastIndexOf('@') + 1);
  }
  equals(other: CelUrl): boolean {
    return (
      this.scheme === other.scheme &&
      this.authority === other.authority &&
      this.path === other.path &&
      this.query === other.query
    );
  }
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
};

/** `url('https://example.com/x?y=z')` and its parts. */
export function addUrls(table: FunctionTable): void {
  table.add('url(string): url', (text: string) => new CelUrl(text));
  table.add('isURL(string): bool', (text: string) => {
    try {
      new CelUrl(text);
      return true;
    } catch {
      return false;
    }
  });
  table.add('url.getScheme(): string', (url: CelUrl) => url.scheme);
  table.add('url.getHost(): string', (url: CelUrl) => url.host);
  table.add('url.getHostname(): string', (url: CelUrl) =>
    url.host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1'),
  );
  table.add('url.getPort(): string', (url: CelUrl) => /:(\d+)$/.exec(url.host)?.[1] ?? '');
  table.add('url.getEscapedPath(): string', (url: CelUrl) => url.path);
  table.add('url.getQuery(): map(string, list(string))', (url: CelUrl) => {
    const values = new Map<string, string[]>();
    for (const pair of url.query.split('&').filter((each) => each !== '')) {
      const equals = pair.indexOf('=');
      const key = decode(equals < 0 ? pair : pair.slice(0, equals));
      values.set(key, [...(values.get(key) ?? []), equals < 0 ? '' : decode(pair.slice(equals + 1))]);
    }
    const out = new LiteralMap();
    for (const [key, list] of values) out.set(key, list);
    return out;
  });
}

interface Version {
  readonly major: bigint;
  readonly minor: bigint;
  readonly patch: bigint;
  readonly pre: readonly string[];
}

class CelSemver extends CelOpaque {
  readonly type = libraryTypes.semver;
  readonly version: Version;
  constructor(version: Version) {
    super();
    this.version = version;
  }
  equals(other: CelSemver): boolean {
    return this.compare(other) === 0;
  }
  compare({ version: other }: CelSemver): number {
    for (const part of ['major', 'minor', 'patch'] as const) {
      if (this.version[part] !== other[part]) return this.version[part] < other[part] ? -1 : 1;
    }
    const [a, b] = [this.version.pre, other.pre];
    if (a.length === 0 || b.length === 0) return a.length === b.length ? 0 : a.length === 0 ? 1 : -1;
    for (let index = 0; index < Math.min(a.length, b.length); index++) {
      const difference = comparePre(a[index] as string, b[index] as string);
      if (difference !== 0) return difference;
    }
    return Math.sign(a.length - b.length);
  }
}

function comparePre(a: string, b: string): number {
  const [x, y] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (x && y) return Math.sign(Number(BigInt(a) - BigInt(b)));
  if (x !== y) return x ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

const versionPattern =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

function readVersion(text: string, normalize: boolean): CelSemver | undefined {
  const match = versionPattern.exec(normalize ? normalized(text) : text);
  if (match === null) return undefined;
  const [, major = '0', minor = '0', patch = '0', pre = ''] = match;
  return new CelSemver({
    major: BigInt(major),
    minor: BigInt(minor),
    patch: BigInt(patch),
    pre: pre === '' ? [] : pre.split('.'),
  });
}

/** Without a leading v and leading zeros, with a minor and a patch. */
function normalized(text: string): string {
  const bare = text.replace(/^v/, '');
  const end = bare.search(/[-+]/);
  const [core, rest] = end < 0 ? [bare, ''] : [bare.slice(0, end), bare.slice(end)];
  const parts = core.split('.').map((each) => each.replace(/^0+(?=\d)/, ''));
  if (rest === '') while (parts.length < 3) parts.push('0');
  return parts.join('.') + rest;
}

/** A semantic version; throws CelEvaluationError when the text is none. */
export function semverValue(text: string, normalize = false): CelOpaque {
  return readVersion(text, normalize) ?? fail(`invalid semantic version ${JSON.stringify(text)}`);
}

/** `semver('1.2.3')` and what can be asked of it. */
export function addSemver(table: FunctionTable): void {
  table.add('semver(string): semver', (text: string) => semverValue(text));
  table.add('semver(string, bool): semver', semverValue);
  table.add('isSemver(string): bool', (text: string) => readVersion(text, false) !== undefined);
  table.add(
    'isSemver(string, bool): bool',
    (text: string, normalize: boolean) => readVersion(text, normalize) !== undefined,
  );
  table.add('semver.isGreaterThan(semver): bool', (a: CelSemver, b: CelSemver) => a.compare(b) > 0);
  table.add('semver.isLessThan(semver): bool', (a: CelSemver, b: CelSemver) => a.compare(b) < 0);
  table.add('semver.compareTo(semver): int', (a: CelSemver, b: CelSemver) => BigInt(a.compare(b)));
  for (const part of ['major', 'minor', 'patch'] as const) {
    table.add(`semver.${part}(): int`, ({ version }: CelSemver) => version[part]);
  }
}

/** `jsonpatch.escapeKey('a/b')`. */
export function addJsonPatch(table: FunctionTable): void {
  table.add('jsonpatch::escapeKey(string): string', (text: string) =>
    text.replaceAll('~', '~0').replaceAll('/', '~1'),
  );
}
