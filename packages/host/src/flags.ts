import { CodedError } from '@pilothouse/base';

/** How a flag's text becomes a value. `strings` may be repeated and takes comma lists, `repeated` takes each text whole; `duration` is Go's (`1m30s`), in milliseconds. */
export type FlagType =
  'string' | 'boolean' | 'integer' | 'float' | 'strings' | 'repeated' | 'duration' | 'map';

export interface FlagSpec {
  readonly type: FlagType;
  readonly default?: string | boolean | number | readonly string[];
  readonly help: string;
  /** A known flag of the upstream program that has no effect yet: accepted with a warning. */
  readonly ignored?: boolean;
}

export type FlagSpecs = Readonly<Record<string, FlagSpec>>;
export type FlagValue = string | boolean | number | string[] | Record<string, string> | undefined;

export interface ParsedFlags {
  readonly values: Readonly<Record<string, FlagValue>>;
  /** Names that were given on the command line or in the environment, not defaulted. */
  readonly given: ReadonlySet<string>;
  readonly positional: readonly string[];
  /** One sentence per flag that was accepted without effect. */
  readonly warnings: readonly string[];
}

export class FlagError extends CodedError {
  constructor(message: string) {
    super('invalidFlag', message);
  }
}

/** Milliseconds of a Go duration such as `1h15m30.918s`, `300ms`, `-5s` or `0`. */
export function parseDuration(text: string): number {
  const unitMs: Record<string, number> = {
    ns: 1e-6,
    us: 1e-3,
    µs: 1e-3,
    ms: 1,
    s: 1000,
    m: 60_000,
    h: 3_600_000,
  };
  const match = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.exec(text);
  if (text === '0') return 0;
  if (!match)
    throw new FlagError(`Invalid duration "${text}": want a number with a unit, as in 300ms, 1.5h or 2h45m`);
  let total = 0;
  for (const part of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(part[1]) * (unitMs[part[2] as string] as number);
  }
  return match[1] === '-' ? -total : total;
}

function convert(name: string, type: FlagType, text: string): FlagValue {
  switch (type) {
    case 'string':
      return text;
    case 'boolean':
      if (['true', 'True', 'TRUE', '1', 't', 'T'].includes(text)) return true;
      if (['false', 'False', 'FALSE', '0', 'f', 'F'].includes(text)) return false;
      throw new FlagError(`Invalid value "${text}" for --${name}: want true or false`);
    case 'integer':
      if (!/^[+-]?\d+$/.test(text))
        throw new FlagError(`Invalid value "${text}" for --${name}: want a whole number`);
      return Number(text);
    case 'float':
      if (text === '' || Number.isNaN(Number(text)))
        throw new FlagError(`Invalid value "${text}" for --${name}: want a number`);
      return Number(text);
    case 'duration':
      return parseDuration(text);
    case 'strings':
      return text === '' ? [] : text.split(',');
    case 'repeated':
      return [text];
    case 'map':
      return Object.fromEntries(
        text
          .split(',')
          .filter((pair) => pair !== '')
          .map((pair) => {
            const equals = pair.indexOf('=');
            if (equals < 0) throw new FlagError(`Invalid value "${pair}" for --${name}: want key=value`);
            return [pair.slice(0, equals), pair.slice(equals + 1)];
          }),
      );
  }
}

/**
 * Parses Go-style flags: `--f=v`, `--f v`, `-f v`, bare booleans, `--` ends flags. The command line wins over `environment`
 * (name → text). An unknown flag is refused with the nearest known name.
 */
export function parseFlags(
  specs: FlagSpecs,
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ParsedFlags {
  const values: Record<string, FlagValue> = Object.create(null) as Record<string, FlagValue>;
  const given = new Set<string>();
  const fromEnvironment = new Set<string>();
  const positional: string[] = [];
  const warnings: string[] = [];
  for (const [name, spec] of Object.entries(specs)) {
    const fallback = spec.default;
    values[name] =
      typeof fallback === 'string' && spec.type !== 'string'
        ? convert(name, spec.type, fallback)
        : Array.isArray(fallback)
          ? [...(fallback as string[])]
          : (fallback as FlagValue);
  }
  const set = (name: string, text: string, source: 'argument' | 'environment'): void => {
    const spec = specs[name] as FlagSpec;
    const value = convert(name, spec.type, text);
    const again = given.has(name) && !fromEnvironment.has(name) && source === 'argument';
    if (again && (spec.type === 'strings' || spec.type === 'repeated'))
      values[name] = [...(values[name] as string[]), ...(value as string[])];
    else if (again && spec.type === 'map')
      values[name] = { ...(values[name] as object), ...(value as Record<string, string>) };
    else values[name] = value;
    if (source === 'argument') fromEnvironment.delete(name);
    else fromEnvironment.add(name);
    given.add(name);
    if (spec.ignored) warnings.push(`Flag --${name} is known but has no effect yet`);
  };
  for (const [name, text] of Object.entries(environment)) if (name in specs) set(name, text, 'environment');
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index] as string;
    if (argument === '--') {
      positional.push(...argv.slice(index + 1));
      break;
    }
    if (!argument.startsWith('-') || argument === '-') {
      positional.push(argument);
      continue;
    }
    const body = argument.replace(/^--?/, '');
    const equals = body.indexOf('=');
    const name = equals < 0 ? body : body.slice(0, equals);
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (!spec) {
      const near = nearest(name, Object.keys(specs));
      throw new FlagError(`Unknown flag --${name}${near === undefined ? '' : `; did you mean --${near}?`}`);
    }
    if (equals >= 0) set(name, body.slice(equals + 1), 'argument');
    else if (spec.type === 'boolean') set(name, 'true', 'argument');
    else {
      const next = argv[++index];
      if (next === undefined) throw new FlagError(`Flag --${name} needs a value`);
      set(name, next, 'argument');
    }
  }
  return { values, given, positional, warnings };
}

function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      current[j] = Math.min(
        (previous[j] as number) + 1,
        (current[j - 1] as number) + 1,
        (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    }
    previous = current;
  }
  return previous[b.length] as number;
}

/** The help text of a program: one flag a line with its default. */
export function flagUsage(specs: FlagSpecs): string {
  return Object.entries(specs)
    .filter(([, spec]) => !spec.ignored)
    .map(([name, spec]) => {
      const fallback =
        spec.default === undefined || spec.default === '' ? '' : ` (default ${String(spec.default)})`;
      return `  --${name} ${spec.type === 'boolean' ? '' : spec.type}\n      ${spec.help}${fallback}`;
    })
    .join('\n');
}
