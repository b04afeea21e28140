import { jsonText, type SpecialKind } from '@pilothouse/apimachinery';

import { parseDuration } from '../go-duration.ts';
import { parseMicroTime, parseTime } from '../go-time.ts';
import { isJsonObject, type JsonObject } from '../json-shape.ts';
import type { EncoderCompiler, ValueEncoder } from './encode.ts';
import type { ReverseWriter } from './writer.ts';

/** Wraps what `body` writes as a nested message. Backwards: body, length, tag. */
function nested(number: number, body: (writer: ReverseWriter, value: unknown) => void): ValueEncoder {
  const tag = number * 8 + 2;
  return (writer, value) => {
    const before = writer.length;
    body(writer, value);
    writer.varint(writer.length - before);
    writer.varint(tag);
  };
}

function writeTimestamp(writer: ReverseWriter, seconds: number, nanos: number): void {
  writer.int(nanos);
  writer.byte(0x10);
  writer.int(seconds);
  writer.byte(0x08);
}

const whole = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/;

/** Seconds of a canonical time text, without the checks of the full parser. */
function fastSeconds(text: string): number | undefined {
  if (text.length !== 20 || !whole.test(text)) return undefined;
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000;
}

/** JSON bytes of verbatim values; they live in a nested message under field 1. */
const rawJson = (writer: ReverseWriter, value: unknown): void => {
  if (value === undefined || value === null) return;
  writer.bytes(Buffer.from(jsonText(value)));
  writer.byte(0x0a);
};

/** Encoder of a type whose JSON is made by hand; the shapes are those of the contract's special types. */
export function encodeSpecial(
  special: SpecialKind,
  message: string,
  number: number,
  compiler: EncoderCompiler,
): ValueEncoder {
  switch (special) {
    case 'Quantity':
      return nested(number, (writer, value) => {
        writer.string(value === undefined || value === null ? '0' : String(value));
        writer.byte(0x0a);
      });
    case 'IntOrString':
      return nested(number, (writer, value) => {
        const isText = typeof value === 'string';
        writer.string(isText ? value : '');
        writer.byte(0x1a);
        writer.int(typeof value === 'number' ? value : 0);
        writer.byte(0x10);
        writer.byte(isText ? 1 : 0);
        writer.byte(0x08);
      });
    case 'Time':
      return nested(number, (writer, value) => {
        if (typeof value !== 'string') return;
        writeTimestamp(writer, fastSeconds(value) ?? parseTime(value).seconds, 0);
      });
    case 'MicroTime':
      return nested(number, (writer, value) => {
        if (typeof value !== 'string') return;
        const time = parseMicroTime(value);
        writeTimestamp(writer, time.seconds, time.nanos);
      });
    case 'Duration':
      return nested(number, (writer, value) => {
        writer.int(typeof value === 'string' ? parseDuration(value) : 0);
        writer.byte(0x08);
      });
    case 'RawExtension':
    case 'JSON':
    case 'FieldsV1':
      return nested(number, rawJson);
    case 'StringList':
      return nested(number, (writer, value) => {
        const items = Array.isArray(value) ? (value as unknown[]) : [];
        for (let index = items.length - 1; index >= 0; index--) {
          writer.string(String(items[index] ?? ''));
          writer.byte(0x0a);
        }
      });
    case 'JSONSchemaPropsOrArray':
    case 'JSONSchemaPropsOrBool':
    case 'JSONSchemaPropsOrStringArray':
      return schemaAlternative(special, message, number, compiler);
    case 'Patch':
      throw new Error('Cannot encode Patch: it has no protobuf form');
  }
}

function schemaAlternative(
  special: SpecialKind,
  message: string,
  number: number,
  compiler: EncoderCompiler,
): ValueEncoder {
  const props = `${message.slice(0, message.lastIndexOf('.'))}.JSONSchemaProps`;
  const schema = (field: number): ValueEncoder => compiler.value({ kind: 'message', message: props }, field);
  const first = schema(1);
  const second = schema(2);
  if (special === 'JSONSchemaPropsOrBool')
    return nested(number, (writer, value) => {
      const isSchema = isJsonObject(value);
      if (isSchema) second(writer, value);
      writer.byte(isSchema || value === true ? 1 : 0);
      writer.byte(0x08);
    });
  return nested(number, (writer, value) => {
    if (Array.isArray(value)) {
      const items = value as unknown[];
      for (let index = items.length - 1; index >= 0; index--) {
        if (special === 'JSONSchemaPropsOrArray') second(writer, items[index]);
        else {
          writer.string(String(items[index]));
          writer.byte(0x12);
        }
      }
    } else if (isJsonObject(value)) first(writer, value as JsonObject);
  });
}
