import type { FieldSchema, MessageSchema, SchemaRegistry, TypeRef } from '@pilothouse/apimachinery';

import { DecodeError } from '../errors.ts';
import { type JsonObject, setMember } from '../json-shape.ts';
import { zeroFiller } from '../zero-value.ts';
import { decodeSpecial } from './decode-special.ts';
import type { Reader } from './reader.ts';

/** Reads a message up to `end` into a new object. */
export type MessageDecoder = (reader: Reader, end: number) => JsonObject;
/** Reads one value; the tag is already read. */
export type ValueDecoder = (reader: Reader) => unknown;

interface FieldDecoder {
  readonly wireType: number;
  /** The same scalar field may come packed. */
  readonly packed?: (reader: Reader, target: JsonObject) => void;
  readonly read: (reader: Reader, target: JsonObject) => void;
}

const recursionMax = 100;

/** Compiles decoders from schemas, once for each message. Objects come out in the form that zero-value.ts describes. */
export class DecoderCompiler {
  readonly #registry: SchemaRegistry;
  readonly #messages = new Map<string, MessageDecoder>();
  /** Reads an embedded `k8s\0` envelope. */
  readonly envelope: (bytes: Uint8Array) => unknown;
  #depth = 0;

  constructor(registry: SchemaRegistry, envelope: (bytes: Uint8Array) => unknown) {
    this.#registry = registry;
    this.envelope = envelope;
  }

  byName(name: string): MessageDecoder {
    const known = this.#messages.get(name);
    if (known) return known;
    const schema = this.#registry.message(name);
    if (!schema) throw new Error(`Cannot decode message "${name}": it has no schema`);
    return this.message(schema);
  }

  message(schema: MessageSchema): MessageDecoder {
    const known = this.#messages.get(schema.name);
    if (known) return known;
    const fill = zeroFiller(schema.name, this.#registry);
    let into: ((reader: Reader, end: number, target: JsonObject) => void) | undefined;
    const decode: MessageDecoder = (reader, end) => {
      into ??= this.#into(schema);
      const target: JsonObject = {};
      if (++this.#depth > recursionMax) {
        this.#depth = 0;
        throw new DecodeError('Protobuf', 'proto: exceeded max recursion depth');
      }
      into(reader, end, target);
      this.#depth--;
      fill(target);
      return target;
    };
    this.#messages.set(schema.name, decode);
    return decode;
  }

  /** For the outermost call: an error in the middle of a message must not leave the depth behind. */
  resetDepth(): void {
    this.#depth = 0;
  }

  #into(schema: MessageSchema): (reader: Reader, end: number, target: JsonObject) => void {
    const fields: (FieldDecoder | undefined)[] = [];
    for (const field of schema.fields) if (field.number > 0) fields[field.number] = this.#field(field);
    return (reader, end, target) => {
      while (reader.position < end) {
        const tag = reader.uint32();
        const wireType = tag % 8;
        const number = (tag - wireType) / 8;
        if (number === 0)
          throw new DecodeError(
            'Protobuf',
            `proto: ${shortName(schema)}: illegal tag 0 (wire type ${String(wireType)})`,
          );
        const field = fields[number];
        if (field === undefined) reader.skip(wireType);
        else if (wireType === field.wireType) field.read(reader, target);
        else if (wireType === 2 && field.packed) field.packed(reader, target);
        else
          throw new DecodeError(
            'Protobuf',
            `proto: wrong wireType = ${String(wireType)} for field ${fieldName(schema, number)}`,
          );
        if (reader.position > end) throw new DecodeError('Protobuf', 'unexpected EOF');
      }
    };
  }

  #field(field: FieldSchema): FieldDecoder {
    const { name, type } = field;
    if (field.inline && type.kind === 'message') {
      const schema = this.#registry.message(type.message);
      if (!schema) throw new Error(`Cannot decode message "${type.message}": it has no schema`);
      let into: ((reader: Reader, end: number, target: JsonObject) => void) | undefined;
      return {
        wireType: 2,
        read: (reader, target) => {
          into ??= this.#into(schema);
          into(reader, reader.endOfLengthDelimited(), target);
        },
      };
    }
    switch (type.kind) {
      case 'list': {
        const value = this.value(type.element);
        const wireType = wireTypeOf(type.element);
        const push = (reader: Reader, target: JsonObject): void => {
          const list = target[name] as unknown[] | undefined;
          const item = value(reader);
          if (list === undefined) target[name] = [item];
          else list.push(item);
        };
        if (wireType === 2) return { wireType, read: push };
        return {
          wireType,
          read: push,
          packed: (reader, target) => {
            const end = reader.endOfLengthDelimited();
            while (reader.position < end) push(reader, target);
          },
        };
      }
      case 'map':
        return { wireType: 2, read: this.#map(name, type.value) };
      default: {
        const value = this.value(type);
        const isIntOrString = type.kind === 'special' && type.special === 'IntOrString';
        const keepZero = field.pointer === true || (field.emit === true && !isIntOrString);
        return {
          wireType: wireTypeOf(type),
          read: (reader, target) => {
            const item = value(reader);
            if (item === undefined) return;
            if (!keepZero && (item === '' || item === 0 || item === false)) return;
            target[name] = item;
          },
        };
      }
    }
  }

  #map(name: string, type: TypeRef): (reader: Reader, target: JsonObject) => void {
    const value = this.value(type);
    const wireType = wireTypeOf(type);
    const zero = this.#mapZero(type);
    return (reader, target) => {
      const end = reader.endOfLengthDelimited();
      let key = '';
      let item: unknown;
      while (reader.position < end) {
        const tag = reader.uint32();
        if (tag === 0x0a) key = reader.string();
        else if (tag === 16 + wireType) item = value(reader);
        else reader.skip(tag % 8);
        if (reader.position > end) throw new DecodeError('Protobuf', 'unexpected EOF');
      }
      const map = (target[name] ??= {}) as JsonObject;
      setMember(map, key, item === undefined ? zero() : item);
    };
  }

  #mapZero(type: TypeRef): () => unknown {
    if (type.kind === 'scalar')
      return () =>
        type.scalar === 'string' || type.scalar === 'bytes' ? '' : type.scalar === 'bool' ? false : 0;
    if (type.kind === 'message') {
      const { message } = type;
      return () => {
        const target: JsonObject = {};
        zeroFiller(message, this.#registry)(target);
        return target;
      };
    }
    return () => (type.kind === 'special' && type.special === 'Quantity' ? '0' : null);
  }

  value(type: TypeRef): ValueDecoder {
    switch (type.kind) {
      case 'scalar':
        switch (type.scalar) {
          case 'string':
            return (reader) => reader.string();
          case 'bool':
            return (reader) => reader.bool();
          case 'int32':
            return (reader) => reader.int32();
          case 'int64':
            return (reader) => reader.exactInt64();
          case 'double':
            return (reader) => reader.double();
          case 'bytes':
            return (reader) => reader.bytes().toString('base64');
        }
      // eslint-disable-next-line no-fallthrough -- every scalar has returned
      case 'special':
        return decodeSpecial(type.special, type.message, this);
      case 'message': {
        const name = type.message;
        let decode: MessageDecoder | undefined;
        return (reader) => {
          decode ??= this.byName(name);
          return decode(reader, reader.endOfLengthDelimited());
        };
      }
      default:
        throw new Error('Cannot decode a list or map inside a list or map');
    }
  }
}

const shortName = (schema: MessageSchema): string => schema.name.slice(schema.name.lastIndexOf('.') + 1);

function fieldName(schema: MessageSchema, number: number): string {
  const field = schema.fields.find((item) => item.number === number);
  const name = field?.protoName ?? field?.name ?? '';
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function wireTypeOf(type: TypeRef): number {
  if (type.kind !== 'scalar') return 2;
  switch (type.scalar) {
    case 'string':
    case 'bytes':
      return 2;
    case 'double':
      return 1;
    default:
      return 0;
  }
}
