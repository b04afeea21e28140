import type { FieldSchema, MessageSchema, SchemaRegistry, TypeRef } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';

import { isJsonObject, type JsonObject, sortedKeys } from '../json-shape.ts';
import { goFieldOrder } from './go-field-order.ts';
import { goJsonString, goJsonText } from './text.ts';

type ValueEncoder = (value: unknown) => string;

/** Gives `"name":value` pieces of one field, or an empty text when the field is not written. */
type FieldEncoder = (object: JsonObject) => string;

const nothing: JsonObject = Object.freeze({});

/** Writes JSON as Go does: members in schema order, map keys sorted, HTML characters escaped. Compiled once for each message. */
export class JsonEncoderCompiler {
  readonly #registry: SchemaRegistry;
  readonly #messages = new Map<string, FieldEncoder[]>();

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
  }

  message(object: JsonObject, schema: MessageSchema): string {
    return this.#object(this.#fields(schema), object);
  }

  #object(fields: readonly FieldEncoder[], object: JsonObject): string {
    let text = '';
    for (const field of fields) {
      const member = field(object);
      if (member !== '') text += text === '' ? member : `,${member}`;
    }
    return `{${text}}`;
  }

  #fields(schema: MessageSchema): FieldEncoder[] {
    const known = this.#messages.get(schema.name);
    if (known) return known;
    const fields: FieldEncoder[] = [];
    // Registered before it is filled: messages refer to each other in circles.
    this.#messages.set(schema.name, fields);
    if (schema.typeMeta) {
      const text = scalarText('string');
      for (const name of ['kind', 'apiVersion'])
        fields.push((object) => (object[name] ? `"${name}":${text(object[name])}` : ''));
    }
    this.#collect(schema, fields);
    return fields;
  }

  #collect(schema: MessageSchema, fields: FieldEncoder[]): void {
    const order = goFieldOrder.get(schema.name);
    const ordered =
      order === undefined
        ? schema.fields
        : schema.fields.toSorted((one, two) => order.indexOf(one.name) - order.indexOf(two.name));
    for (const field of ordered) {
      if (field.inline && field.type.kind === 'message') {
        const inline = this.#registry.message(field.type.message);
        if (inline) this.#collect(inline, fields);
      } else fields.push(this.#field(field));
    }
  }

  #field(field: FieldSchema): FieldEncoder {
    const { name } = field;
    const prefix = `${JSON.stringify(name)}:`;
    const value = this.#value(field.type);
    const absent = this.#absent(field);
    if (field.pointer)
      return (object) => {
        const item: unknown = object[name];
        return item === undefined || item === null ? absent : prefix + value(item);
      };
    if (field.emit)
      return (object) => {
        const item: unknown = object[name];
        return item === undefined || item === null ? absent : prefix + value(item);
      };
    return (object) => {
      const item: unknown = object[name];
      if (item === undefined || item === null || item === '' || item === 0 || item === false) return '';
      if (typeof item === 'object' && Object.keys(item).length === 0 && !isVerbatim(field.type)) return '';
      return prefix + value(item);
    };
  }

  /** What is written for an absent field. */
  #absent(field: FieldSchema): string {
    if (!field.emit) return '';
    const prefix = `${JSON.stringify(field.name)}:`;
    if (field.pointer) return `${prefix}null`;
    switch (field.type.kind) {
      case 'scalar':
        switch (field.type.scalar) {
          case 'string':
            return `${prefix}""`;
          case 'bool':
            return `${prefix}false`;
          case 'bytes':
            return `${prefix}null`;
          default:
            return `${prefix}0`;
        }
      case 'message': {
        const schema = this.#registry.message(field.type.message);
        return prefix + (schema ? this.message(nothing, schema) : '{}');
      }
      case 'special':
        if (field.type.special === 'Quantity') return `${prefix}"0"`;
        if (field.type.special === 'Duration') return `${prefix}"0s"`;
        return field.type.special === 'IntOrString' ? `${prefix}0` : `${prefix}null`;
      default:
        return `${prefix}null`;
    }
  }

  #value(type: TypeRef): ValueEncoder {
    switch (type.kind) {
      case 'scalar':
        return scalarText(type.scalar);
      case 'message': {
        const { message } = type;
        let fields: FieldEncoder[] | undefined;
        return (value) => {
          if (fields === undefined) {
            const schema = this.#registry.message(message);
            if (!schema) throw new Error(`Cannot encode message "${message}": it has no schema`);
            fields = this.#fields(schema);
          }
          return this.#object(fields, (value as JsonObject | null) ?? nothing);
        };
      }
      case 'special':
        return this.#special(type);
      case 'list': {
        const element = this.#value(type.element);
        return (value) => {
          const items = value as unknown[];
          let text = '';
          for (const item of items) text += text === '' ? element(item) : `,${element(item)}`;
          return `[${text}]`;
        };
      }
      case 'map': {
        const element = this.#value(type.value);
        return (value) => {
          const map = value as JsonObject;
          let text = '';
          for (const key of sortedKeys(map)) {
            const member = `${goJsonString(key)}:${element(map[key])}`;
            text += text === '' ? member : `,${member}`;
          }
          return `{${text}}`;
        };
      }
    }
  }

  #special(type: Extract<TypeRef, { kind: 'special' }>): ValueEncoder {
    switch (type.special) {
      case 'JSONSchemaPropsOrArray':
      case 'JSONSchemaPropsOrBool':
      case 'JSONSchemaPropsOrStringArray': {
        const props = `${type.message.slice(0, type.message.lastIndexOf('.'))}.JSONSchemaProps`;
        const schema = this.#value({ kind: 'message', message: props });
        return (value) => {
          if (Array.isArray(value))
            return `[${(value as unknown[]).map((item) => (isJsonObject(item) ? schema(item) : goJsonText(item))).join(',')}]`;
          return isJsonObject(value) ? schema(value) : goJsonText(value);
        };
      }
      default:
        return goJsonText;
    }
  }
}

const isVerbatim = (type: TypeRef): boolean => type.kind === 'special' && type.special !== 'StringList';

function scalarText(scalar: Extract<TypeRef, { kind: 'scalar' }>['scalar']): ValueEncoder {
  switch (scalar) {
    case 'string':
    case 'bytes':
      return (value) => goJsonString(typeof value === 'string' ? value : value === null ? '' : String(value));
    case 'bool':
      return (value) => (value === true ? 'true' : 'false');
    default:
      return (value) => (typeof value === 'number' || typeof value === 'bigint' ? goJsonText(value) : '0');
  }
}

const compilers = new WeakMap<SchemaRegistry, JsonEncoderCompiler>();

/**
 * JSON text of an object of a known type, without a newline at the end. Unknown members are left out; the object need not be
 * normalised, but values must have their types.
 */
export function encodeJson(
  object: object,
  schema: MessageSchema,
  registry: SchemaRegistry = builtinSchemas,
): string {
  let compiler = compilers.get(registry);
  if (!compiler) {
    compiler = new JsonEncoderCompiler(registry);
    compilers.set(registry, compiler);
  }
  return compiler.message(object, schema);
}
