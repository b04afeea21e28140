import { parseExact, type SpecialKind } from '@pilothouse/apimachinery';

import { DecodeError } from '../errors.ts';
import { formatDuration } from '../go-duration.ts';
import { formatMicroTime, formatTime } from '../go-time.ts';
import type { DecoderCompiler, ValueDecoder } from './decode.ts';
import type { Reader } from './reader.ts';

/** Calls `field` for each field of a nested message; a field it does not take is skipped. */
function eachField(reader: Reader, field: (tag: number) => boolean): void {
  const end = reader.endOfLengthDelimited();
  while (reader.position < end) {
    const tag = reader.uint32();
    if (!field(tag)) reader.skip(tag % 8);
  }
  if (reader.position > end) throw new DecodeError('Protobuf', 'unexpected EOF');
}

/** The last bytes of field 1. */
function readRaw(reader: Reader): Buffer | undefined {
  let raw: Buffer | undefined;
  eachField(reader, (tag) => {
    if (tag !== 0x0a) return false;
    raw = reader.bytes();
    return true;
  });
  return raw;
}

function parseJson(raw: Buffer, parse: (text: string) => unknown = parseExact): unknown {
  try {
    return parse(raw.toString('utf8'));
  } catch (error) {
    throw new DecodeError('Protobuf', `Cannot read embedded JSON: ${(error as Error).message}`);
  }
}

const isEnvelope = (raw: Buffer): boolean =>
  raw.length >= 4 && raw[0] === 0x6b && raw[1] === 0x38 && raw[2] === 0x73 && raw[3] === 0;

function readTimestamp(reader: Reader): { seconds: number; nanos: number } | undefined {
  let seconds = 0;
  let nanos = 0;
  let seen = false;
  eachField(reader, (tag) => {
    if (tag === 0x08) seconds = reader.int64();
    else if (tag === 0x10) nanos = reader.int32();
    else return false;
    seen = true;
    return true;
  });
  return seen ? { seconds, nanos } : undefined;
}

/** Decoder of a type whose JSON is made by hand; undefined is "not set". */
export function decodeSpecial(
  special: SpecialKind,
  message: string,
  compiler: DecoderCompiler,
): ValueDecoder {
  switch (special) {
    case 'Quantity':
      return (reader) => {
        let text = '0';
        eachField(reader, (tag) => {
          if (tag !== 0x0a) return false;
          text = reader.string();
          return true;
        });
        return text === '' ? '0' : text;
      };
    case 'IntOrString':
      return (reader) => {
        let type = 0;
        let number = 0;
        let text = '';
        eachField(reader, (tag) => {
          if (tag === 0x08) type = reader.int64();
          else if (tag === 0x10) number = reader.int32();
          else if (tag === 0x1a) text = reader.string();
          else return false;
          return true;
        });
        return type === 1 ? text : number;
      };
    case 'Time':
      return (reader) => {
        const time = readTimestamp(reader);
        return time && formatTime(time.seconds);
      };
    case 'MicroTime':
      return (reader) => {
        const time = readTimestamp(reader);
        return time && formatMicroTime(time.seconds, time.nanos);
      };
    case 'Duration':
      return (reader) => {
        let nanos = 0;
        eachField(reader, (tag) => {
          if (tag !== 0x08) return false;
          nanos = reader.int64();
          return true;
        });
        return formatDuration(nanos);
      };
    case 'RawExtension':
      return (reader) => {
        const raw = readRaw(reader);
        if (raw === undefined || raw.length === 0) return undefined;
        return isEnvelope(raw) ? compiler.envelope(raw) : parseJson(raw);
      };
    case 'JSON':
      return (reader) => {
        const raw = readRaw(reader);
        return raw === undefined || raw.length === 0 ? undefined : parseJson(raw);
      };
    case 'FieldsV1':
      return (reader) => {
        const raw = readRaw(reader);
        // Its members are names and empty objects: no numbers to look for.
        return raw === undefined || raw.length === 0 ? undefined : parseJson(raw, JSON.parse);
      };
    case 'StringList':
      return (reader) => {
        const items: string[] = [];
        eachField(reader, (tag) => {
          if (tag !== 0x0a) return false;
          items.push(reader.string());
          return true;
        });
        return items;
      };
    case 'JSONSchemaPropsOrArray':
    case 'JSONSchemaPropsOrBool':
    case 'JSONSchemaPropsOrStringArray':
      return schemaAlternative(special, message, compiler);
    case 'Patch':
      throw new Error('Cannot decode Patch: it has no protobuf form');
  }
}

function schemaAlternative(special: SpecialKind, message: string, compiler: DecoderCompiler): ValueDecoder {
  const props = `${message.slice(0, message.lastIndexOf('.'))}.JSONSchemaProps`;
  const schema = compiler.value({ kind: 'message', message: props });
  if (special === 'JSONSchemaPropsOrBool')
    return (reader) => {
      let allows = false;
      let value: unknown;
      eachField(reader, (tag) => {
        if (tag === 0x08) allows = reader.bool();
        else if (tag === 0x12) value = schema(reader);
        else return false;
        return true;
      });
      return value ?? allows;
    };
  return (reader) => {
    let value: unknown;
    const items: unknown[] = [];
    eachField(reader, (tag) => {
      if (tag === 0x0a) value = schema(reader);
      else if (tag === 0x12)
        items.push(special === 'JSONSchemaPropsOrArray' ? schema(reader) : reader.string());
      else return false;
      return true;
    });
    return value ?? items;
  };
}
