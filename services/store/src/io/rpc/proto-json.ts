import {
  decodeMessage,
  encodeMessage,
  type FieldInfo,
  type MessageCodec,
  type MessageInput,
} from '@pilothouse/proto';

/** Input that is no JSON form of the message. */
export class ProtoJsonError extends Error {}

type AnyMessage = Record<string, unknown>;

/** JSON (protojson, field names as in the .proto file or lowerCamelCase) to a message. Unknown fields are ignored. */
export function fromJson<T>(codec: MessageCodec<T>, json: unknown): T {
  const input = readMessage(codec as MessageCodec<unknown>, json, codec.name);
  return decodeMessage(codec, encodeMessage(codec, input as MessageInput<T>));
}

function readMessage(codec: MessageCodec<unknown>, json: unknown, where: string): AnyMessage {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new ProtoJsonError(`${where}: want an object`);
  const message: AnyMessage = {};
  for (const field of codec.fields) {
    const value =
      (json as AnyMessage)[field.name] ??
      (json as AnyMessage)[field.property] ??
      (json as AnyMessage)[lowerCamel(field.name)];
    if (value === undefined || value === null) continue;
    if (field.repeated) {
      if (!Array.isArray(value)) throw new ProtoJsonError(`${where}.${field.name}: want a list`);
      message[field.property] = value.map((item) => readField(field, item, where));
    } else message[field.property] = readField(field, value, where);
  }
  return message;
}

const lowerCamel = (name: string): string =>
  name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

function readField(field: FieldInfo, value: unknown, where: string): unknown {
  const bad = (want: string): ProtoJsonError => new ProtoJsonError(`${where}.${field.name}: want ${want}`);
  switch (field.kind) {
    case 'bytes':
      if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) throw bad('base64');
      return Buffer.from(value, 'base64');
    case 'string':
      if (typeof value !== 'string') throw bad('a string');
      return value;
    case 'bool':
      if (typeof value !== 'boolean') throw bad('true or false');
      return value;
    case 'id':
      if (!isInteger(value)) throw bad('an integer');
      return BigInt(value);
    case 'int64':
    case 'number':
      if (!isInteger(value)) throw bad('an integer');
      return Number(value);
    case 'enum': {
      if (typeof value === 'number') return value;
      const number = typeof value === 'string' ? field.values?.[value] : undefined;
      if (number === undefined) throw bad(`one of ${Object.keys(field.values ?? {}).join(', ')}`);
      return number;
    }
    case 'message':
      return readMessage((field.message as () => MessageCodec<unknown>)(), value, `${where}.${field.name}`);
  }
}

const isInteger = (value: unknown): value is string | number =>
  (typeof value === 'number' && Number.isInteger(value)) ||
  (typeof value === 'string' && /^-?\d+$/.test(value));

/** A message to JSON: names as in the .proto file, 64-bit numbers as strings, bytes as base64, zero values left out. */
export function toJson<T>(codec: MessageCodec<T>, message: MessageInput<T>): unknown {
  return writeMessage(
    codec as MessageCodec<unknown>,
    decodeMessage(codec, encodeMessage(codec, message)) as AnyMessage,
  );
}

function writeMessage(codec: MessageCodec<unknown>, message: AnyMessage): AnyMessage {
  const json: AnyMessage = {};
  for (const field of codec.fields) {
    const value = message[field.property];
    if (value === undefined) continue;
    if (field.repeated) {
      if ((value as unknown[]).length > 0)
        json[field.name] = (value as unknown[]).map((item) => writeField(field, item));
    } else if (field.inOneof || !isZero(value)) json[field.name] = writeField(field, value);
  }
  return json;
}

const isZero = (value: unknown): boolean =>
  value === 0 ||
  value === 0n ||
  value === '' ||
  value === false ||
  (value instanceof Uint8Array && value.length === 0);

function writeField(field: FieldInfo, value: unknown): unknown {
  switch (field.kind) {
    case 'bytes':
      return Buffer.from(value as Uint8Array).toString('base64');
    case 'id':
    case 'int64':
      return String(value as bigint | number);
    case 'enum':
      return Object.entries(field.values ?? {}).find(([, number]) => number === value)?.[0] ?? value;
    case 'message':
      return writeMessage((field.message as () => MessageCodec<unknown>)(), value as AnyMessage);
    default:
      return value;
  }
}
