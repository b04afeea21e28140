import { readFileSync } from 'node:fs';
import type { FlagValue, ParsedFlags } from '@pilothouse/host';
import { FlagError } from '@pilothouse/host';

/** Values of the command line by flag name. */
export class FlagValues {
  readonly #values: Readonly<Record<string, FlagValue>>;
  readonly #given: ReadonlySet<string>;
  constructor(parsed: ParsedFlags) {
    this.#values = parsed.values;
    this.#given = parsed.given;
  }
  /** Whether it was said, not defaulted. */
  isGiven(name: string): boolean {
    return this.#given.has(name);
  }
  text(name: string): string {
    return (this.#values[name] as string | undefined) ?? '';
  }
  optional(name: string): string | undefined {
    return this.text(name) || undefined;
  }
  list(name: string): string[] {
    return ((this.#values[name] as string[] | undefined) ?? []).filter((item) => item !== '');
  }
  number(name: string): number {
    return (this.#values[name] as number | undefined) ?? 0;
  }
  boolean(name: string): boolean {
    return this.#values[name] === true;
  }
  map(name: string): Record<string, string> {
    return (this.#values[name] as Record<string, string> | undefined) ?? {};
  }
  /** What is in the file that the flag names. */
  file(name: string): string | undefined {
    const path = this.optional(name);
    return path === undefined ? undefined : readFile(name, path);
  }
}

/** Throws FlagError. */
export function readFile(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new FlagError(`Cannot read "${path}" of --${flag}: ${(error as Error).message}`);
  }
}

/** A member that is there when its value is. */
export function given<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [key in K]?: V };
}
