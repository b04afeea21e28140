import type { Environment } from '@marcbachmann/cel-js';
import { Optional } from '@marcbachmann/cel-js';
import {
  nameIsDns1035Label,
  nameIsDnsLabel,
  nameIsDnsSubdomain,
  isQualifiedName,
  isValidLabelValue,
} from '@pilothouse/apimachinery';
import { stringFormats } from '../apiextensions/formats.ts';

type Check = (text: string) => readonly string[];

class Format {
  readonly name: string;
  readonly check: Check;
  constructor(name: string, check: Check) {
    this.name = name;
    this.check = check;
  }
}

class FormatNamespace {}

const byPattern =
  (name: string): Check =>
  (text) =>
    stringFormats.get(name)?.(text) === false ? [`invalid ${name}`] : [];

const formats: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['dns1123Label', (text) => nameIsDnsLabel(text, false)],
  ['dns1123Subdomain', (text) => nameIsDnsSubdomain(text, false)],
  ['dns1035Label', (text) => nameIsDns1035Label(text, false)],
  ['qualifiedName', (text) => isQualifiedName(text)],
  ['dns1123LabelPrefix', (text) => nameIsDnsLabel(text, true)],
  ['dns1123SubdomainPrefix', (text) => nameIsDnsSubdomain(text, true)],
  ['dns1035LabelPrefix', (text) => nameIsDns1035Label(text, true)],
  ['labelValue', (text) => isValidLabelValue(text)],
  ['uri', byPattern('uri')],
  ['uuid', byPattern('uuid')],
  ['byte', byPattern('byte')],
  ['date', byPattern('date')],
  ['datetime', byPattern('datetime')],
]);

/** `format.dns1123Label().validate(self)`: none when the text is good, else an optional list of problems. */
export function registerFormats(env: Environment): void {
  env.registerType('FormatNamespace', FormatNamespace);
  env.registerType('kubernetes.NamedFormat', Format);
  env.registerConstant('format', 'FormatNamespace', new FormatNamespace());
  for (const [name, check] of formats) {
    const format = new Format(name, check);
    env.registerFunction(`FormatNamespace.${name}(): kubernetes.NamedFormat`, () => format);
  }
  env.registerFunction(
    'FormatNamespace.named(string): optional<kubernetes.NamedFormat>',
    (_: unknown, name: string) => {
      const check = formats.get(name);
      return check === undefined ? Optional.none() : Optional.of(new Format(name, check));
    },
  );
  env.registerFunction(
    'kubernetes.NamedFormat.validate(string): optional<list<string>>',
    (format: Format, text: string) => {
      const problems = format.check(text);
      return problems.length === 0 ? Optional.none() : Optional.of([...problems]);
    },
  );
}
