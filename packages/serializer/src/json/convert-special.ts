import type { SpecialKind } from '@pilothouse/apimachinery';
import { canonicalQuantity, jsonText } from '@pilothouse/apimachinery';

import { formatDuration, parseDuration } from '../go-duration.ts';
import { canonicalizeMicroTime, canonicalizeTime } from '../go-time.ts';
import { isJsonObject } from '../json-shape.ts';
import type { Converter, ConverterSource, Findings } from './findings.ts';
import { reportFatal, typeMismatch } from './findings.ts';
import { jsonKind } from './go-type.ts';

/** The same few amounts come again and again; forgotten all at once when there are too many. */
const quantityCacheMax = 4096;
const quantityCache = new Map<string, string>();

function cachedQuantity(text: string): string {
  const known = quantityCache.get(text);
  if (known !== undefined) return known;
  const canonical = canonicalQuantity(text);
  if (quantityCache.size >= quantityCacheMax) quantityCache.clear();
  if (text.length <= 32) quantityCache.set(text, canonical);
  return canonical;
}

/** Runs a canonicaliser that throws with Go's message; the message becomes the finding. */
function attempt<T>(findings: Findings, body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    return reportFatal(findings, (error as Error).message);
  }
}

function textConverter(canonicalize: (text: string) => string | null | undefined): Converter {
  return (value, place, name, _index, findings) =>
    typeof value === 'string'
      ? attempt(findings, () => canonicalize(value))
      : reportFatal(findings, typeMismatch(jsonKind(value), 'string', place, name));
}

/** The year 1 is Go's time that was never set: written as null. */
const nullWhenZero = (time: string | undefined): string | null | undefined =>
  time?.startsWith('0001-01-01T00:00:00') === true && /^[^.]*(?:\.0+)?Z$/.test(time) ? null : time;

/** Notes numbers inside a value whose digits are lost. Without recursion: a body may be nested deeply. */
function noteLong(root: unknown, findings: Findings): void {
  if (typeof root !== 'object') {
    findings.long ||= isLossy(root);
    return;
  }
  const waiting: unknown[] = [root];
  while (waiting.length > 0 && !findings.long) {
    const value = waiting.pop();
    if (typeof value === 'object' && value !== null) waiting.push(...Object.values(value));
    else if (isLossy(value)) findings.long = true;
  }
}

const isLossy = (value: unknown): boolean =>
  typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);

/** Converter of a type whose JSON is made by hand; the value is not null. */
export function convertSpecial(
  special: SpecialKind,
  message: string,
  compiler: ConverterSource,
  go?: string,
): Converter {
  switch (special) {
    case 'Quantity':
      return (value, _place, _name, _index, findings) => {
        noteLong(value, findings);
        return attempt(findings, () =>
          cachedQuantity(typeof value === 'string' ? value.trim() : jsonText(value)),
        );
      };
    case 'IntOrString':
      return (value, place, name, _index, findings) => {
        if (typeof value === 'string') return value;
        noteLong(value, findings);
        if (typeof value !== 'number' && typeof value !== 'bigint')
          return reportFatal(findings, typeMismatch(jsonKind(value), 'int32', place, name));
        if (typeof value === 'number' && Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31)
          return value;
        return reportFatal(findings, typeMismatch(`number ${String(value)}`, 'int32', place, name));
      };
    case 'Time':
      return textConverter((text) => (text === '' ? undefined : nullWhenZero(canonicalizeTime(text))));
    case 'MicroTime':
      return textConverter((text) => (text === '' ? undefined : nullWhenZero(canonicalizeMicroTime(text))));
    case 'Duration':
      return textConverter((text) => formatDuration(parseDuration(text)));
    case 'RawExtension':
    case 'JSON':
      return (value, _place, _name, _index, findings) => {
        noteLong(value, findings);
        return value;
      };
    case 'FieldsV1':
    case 'Patch':
      return (value) => value;
    case 'StringList': {
      return compiler.value({ kind: 'list', element: { kind: 'scalar', scalar: 'string' } }, go);
    }
    case 'JSONSchemaPropsOrArray':
    case 'JSONSchemaPropsOrBool':
    case 'JSONSchemaPropsOrStringArray':
      return schemaAlternative(special, message, compiler);
  }
}

function schemaAlternative(special: SpecialKind, message: string, compiler: ConverterSource): Converter {
  const props = `${message.slice(0, message.lastIndexOf('.'))}.JSONSchemaProps`;
  const schema = compiler.value({ kind: 'message', message: props });
  if (special === 'JSONSchemaPropsOrBool')
    return (value, place, name, index, findings) => {
      if (typeof value === 'boolean') return value;
      return isJsonObject(value)
        ? schema(value, place, name, index, findings)
        : reportFatal(findings, 'boolean or JSON schema expected');
    };
  const list = compiler.value({
    kind: 'list',
    element:
      special === 'JSONSchemaPropsOrArray'
        ? { kind: 'message', message: props }
        : { kind: 'scalar', scalar: 'string' },
  });
  return (value, place, name, index, findings) => {
    if (Array.isArray(value)) return list(value, place, name, index, findings);
    return isJsonObject(value) ? schema(value, place, name, index, findings) : undefined;
  };
}
