import type { FieldSchema, MessageSchema, SchemaRegistry, TypeRef } from '@pilothouse/apimachinery';

import { type JsonObject, sortedKeys } from '../json-shape.ts';
import { encodeSpecial } from './encode-special.ts';
import type { ReverseWriter } from './writer.ts';

/** Writes the message's fields, without tag and length. */
export type MessageEncoder = (writer: ReverseWriter, value: JsonObject) => void;

/** Writes one value with its tag; `number << 3` and the wire type are in the tag. */
export type ValueEncoder = (writer: ReverseWriter, value: unknown) => void;

const nothing: JsonObject = Object.freeze({});

/** Compiles encoders from schemas, once for each message. */
export class EncoderCompiler {
  readonly #registry: SchemaRegistry;
  readonly #messages = new Map<string, MessageEncoder>();

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
  }

  message(schema: MessageSchema): MessageEncoder {
    const known = this.#messages.get(schema.name);
    if (known) return known;
    let encoders: MessageEncoder[] | undefined;
    const encode: MessageEncoder = (writer, value) => {
      encoders ??= this.#fields(schema);
      for (const encoder of encoders) encoder(writer, value);
    };
    this.#messages.set(schema.name, encode);
    return encode;
  }

  /** Encoder of a message by name; looked up when first used, because messages refer to each other in circles. */
  byName(name: string): MessageEncoder {
    const known = this.#messages.get(name);
    if (known) return known;
    const schema = this.#registry.message(name);
    if (!schema) throw new Error(`Cannot encode message "${name}": it has no schema`);
    return this.message(schema);
  }

  /** Descending by number, because the writer goes backwards. */
  #fields(schema: MessageSchema): MessageEncoder[] {
    return schema.fields
      .filter((field) => field.number > 0)
      .sort((a, b) => b.number - a.number)
      .map((field) => this.#field(field));
  }

  #field(field: FieldSchema): MessageEncoder {
    const { name, number, type } = field;
    if (field.inline) {
      const inline = this.value(type, number);
      return (writer, object) => inline(writer, object);
    }
    switch (type.kind) {
      case 'list': {
        const element = this.value(type.element, number);
        return (writer, object) => {
          const list = object[name] as unknown[] | null | undefined;
          if (list === undefined || list === null) return;
          if (list.length === 0) writer.sawEmpty = true;
          for (let index = list.length - 1; index >= 0; index--) element(writer, list[index]);
        };
      }
      case 'map':
        return this.#map(name, number, type.value);
      default: {
        const value = this.value(type, number);
        // Non-pointer bytes and string lists know "not set" as well.
        const optional =
          field.pointer ||
          (type.kind === 'scalar' && type.scalar === 'bytes') ||
          (type.kind === 'special' && type.special === 'StringList');
        if (!optional) return (writer, object) => value(writer, object[name]);
        return (writer, object) => {
          const item: unknown = object[name];
          if (item !== undefined && item !== null) value(writer, item);
        };
      }
    }
  }

  #map(name: string, number: number, type: TypeRef): MessageEncoder {
    const value = this.value(type, 2);
    const tag = number * 8 + 2;
    const isBytes = type.kind === 'scalar' && type.scalar === 'bytes';
    return (writer, object) => {
      const map = object[name] as JsonObject | null | undefined;
      if (map === undefined || map === null) return;
      const keys = sortedKeys(map);
      if (keys.length === 0) writer.sawEmpty = true;
      for (let index = keys.length - 1; index >= 0; index--) {
        const key = keys[index] as string;
        const before = writer.length;
        const item: unknown = map[key];
        if (!isBytes || (item !== undefined && item !== null)) value(writer, item);
        writer.string(key);
        writer.byte(0x0a);
        writer.varint(writer.length - before);
        writer.varint(tag);
      }
    };
  }

  /** One value of a type under a field number; undefined and null are the zero value. */
  value(type: TypeRef, number: number): ValueEncoder {
    switch (type.kind) {
      case 'scalar':
        return scalarEncoder(type.scalar, number);
      case 'special':
        return encodeSpecial(type.special, type.message, number, this);
      case 'message': {
        const tag = number * 8 + 2;
        const name = type.message;
        let encode: MessageEncoder | undefined;
        return (writer, value) => {
          encode ??= this.byName(name);
          const before = writer.length;
          encode(writer, (value as JsonObject | null | undefined) ?? nothing);
          writer.varint(writer.length - before);
          writer.varint(tag);
        };
      }
      default:
        throw new Error('Cannot encode a list or map inside a list or map');
    }
  }
}

export function scalarEncoder(
  scalar: Extract<TypeRef, { kind: 'scalar' }>['scalar'],
  number: number,
): ValueEncoder {
  switch (scalar) {
    case 'string': {
      const tag = number * 8 + 2;
      return (writer, value) => {
        writer.string((value as string | null | undefined) ?? '');
        writer.varint(tag);
      };
    }
    case 'bool': {
      const tag = number * 8;
      return (writer, value) => {
        writer.byte(value === true ? 1 : 0);
        writer.varint(tag);
      };
    }
    case 'int32':
    case 'int64': {
      const tag = number * 8;
      return (writer, value) => {
        writer.int((value as number | bigint | null | undefined) ?? 0);
        writer.varint(tag);
      };
    }
    case 'double': {
      const tag = number * 8 + 1;
      return (writer, value) => {
        writer.double((value as number | null | undefined) ?? 0);
        writer.varint(tag);
      };
    }
    case 'bytes': {
      const tag = number * 8 + 2;
      return (writer, value) => {
        writer.bytes(Buffer.from((value as string | null | undefined) ?? '', 'base64'));
        writer.varint(tag);
      };
    }
  }
}
