import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote } from '@pilothouse/apimachinery';
import type { Json } from '../validation/values.ts';
import { isSet, list, text } from '../validation/values.ts';
import { stringFormats } from './formats.ts';

const numberFormats: Readonly<Record<string, readonly string[]>> = {
  integer: ['int32', 'int64'],
  number: ['float', 'double'],
};
const plain = (format: string): string => format.replaceAll('-', '');
/** Names are compared without dashes; three formats take any text, or one that is not looked at here. */
const known = new Set([...stringFormats.keys(), 'mac', 'rgbcolor', 'password'].map(plain));

function isKnown(type: string, format: string): boolean {
  if (type === '' || type === 'string') return known.has(plain(format));
  return numberFormats[type]?.includes(format) === true;
}

/** Members of a schema that hold schemas: one or several, and by name. */
const nested = ['items', 'not', 'additionalProperties', 'additionalItems', 'allOf', 'anyOf', 'oneOf'];
const nestedByName = ['properties', 'patternProperties', 'definitions', 'dependencies'];

function collect(schema: unknown, found: Set<string>): void {
  if (Array.isArray(schema)) {
    for (const each of schema as unknown[]) collect(each, found);
    return;
  }
  if (typeof schema !== 'object' || schema === null) return;
  const own = schema as Json;
  const format = text(own['format']);
  if (format !== '' && !isKnown(text(own['type']), format)) found.add(format);
  for (const name of nested) if (isSet(own[name])) collect(own[name], found);
  for (const name of nestedByName)
    for (const each of Object.values((own[name] ?? {}) as Json)) collect(each, found);
}

function unknownFormats(definition: KubeObject | undefined): Set<string> {
  const found = new Set<string>();
  for (const version of list(definition?.['spec']?.versions) as Json[])
    collect((version['schema'] as Json | null | undefined)?.['openAPIV3Schema'], found);
  return found;
}

/** A warning for each format of the definition's schemas that nothing checks and that was not there before. */
export function formatWarnings(definition: KubeObject, old?: KubeObject): string[] {
  const before = unknownFormats(old);
  return [...unknownFormats(definition)]
    .filter((format) => !before.has(format))
    .map((format) => `unrecognized format ${goQuote(format)}`);
}
