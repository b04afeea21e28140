import {
  isQualifiedName,
  isValidLabelValue,
  nameIsDns1035Label,
  nameIsDnsLabel,
  nameIsDnsSubdomain,
} from '@pilothouse/apimachinery';
import { stringFormats } from '../../apiextensions/formats.ts';
import type { FunctionTable } from '../functions.ts';
import { libraryTypes } from '../functions.ts';
import { CelOpaque, CelOptional } from '../values.ts';

type Check = (text: string) => readonly string[];

class Format extends CelOpaque {
  readonly type = libraryTypes.format;
  readonly name: string;
  readonly check: Check;
  /** How long the pattern behind it counts. */
  readonly patternSize: number;
  constructor(name: string, check: Check, patternSize: number) {
    super();
    this.name = name;
    this.check = check;
    this.patternSize = patternSize;
  }
  override get size(): number {
    return this.patternSize;
  }
  equals(other: Format): boolean {
    return this.name === other.name;
  }
}

const byPattern =
  (name: string): Check =>
  (text) =>
    stringFormats.get(name)?.(text) === false ? [`invalid ${name}`] : [];

const formats: ReadonlyMap<string, Format> = new Map(
  (
    [
      ['dns1123Label', (text) => nameIsDnsLabel(text, false), 30],
      ['dns1123Subdomain', (text) => nameIsDnsSubdomain(text, false), 60],
      ['dns1035Label', (text) => nameIsDns1035Label(text, false), 30],
      ['qualifiedName', (text) => isQualifiedName(text), 60],
      ['dns1123LabelPrefix', (text) => nameIsDnsLabel(text, true), 30],
      ['dns1123SubdomainPrefix', (text) => nameIsDnsSubdomain(text, true), 60],
      ['dns1035LabelPrefix', (text) => nameIsDns1035Label(text, true), 30],
      ['labelValue', (text) => isValidLabelValue(text), 40],
      ['uri', byPattern('uri'), 100],
      ['uuid', byPattern('uuid'), 96],
      ['byte', byPattern('byte'), 100],
      ['date', byPattern('date'), 100],
      ['datetime', byPattern('datetime'), 100],
    ] as const satisfies readonly (readonly [string, Check, number])[]
  ).map(([name, check, size]) => [name, new Format(name, check, size)]),
);

/** `format.dns1123Label().validate(self)`: none when the text is good, else an optional list of problems. */
export function addFormats(table: FunctionTable): void {
  for (const [name, format] of formats) table.add(`format::${name}(): format`, () => format);
  table.add('format::named(string): optional(format)', (name: string) => {
    const format = formats.get(name);
    return format === undefined ? CelOptional.none : new CelOptional(format);
  });
  table.add('format.validate(string): optional(list(string))', (format: Format, text: string) => {
    const problems = format.check(text);
    return problems.length === 0 ? CelOptional.none : new CelOptional([...problems]);
  });
}
