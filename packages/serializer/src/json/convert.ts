import type { FieldSchema, MessageSchema, SchemaRegistry, TypeRef } from '@pilothouse/apimachinery';
import { noteGivenEmpty } from '@pilothouse/apimachinery';

import { isJsonObject, type JsonObject, setMember } from '../json-shape.ts';
import { zeroFiller } from '../zero-value.ts';
import { convertSpecial } from './convert-special.ts';
import type { Converter, Findings, Place } from './findings.ts';
import { report, strictPath, typeMismatch } from './findings.ts';
import { goTypeNames } from './go-type-names.ts';
import { goType, jsonKind } from './go-type.ts';

interface Member {
  readonly name: string;
  /** The name in Go's errors, which go through embedded structs. */
  readonly path: string;
  readonly convert: Converter;
  readonly drop: (value: unknown) => boolean;
}

interface CompiledMessage {
  readonly struct: string;
  readonly members: ReadonlyMap<string, Member>;
  readonly fill: (target: JsonObject) => void;
}

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === '' ||
  value === 0 ||
  value === false ||
  (typeof value === 'object' && value !== null && Object.keys(value).length === 0);

const isZero = (value: unknown): boolean => value === undefined || value === 0;
const never = (value: unknown): boolean => value === undefined;

/** Empty lists and maps of fields that may be left out are only noted; see zero-value.ts. */
const isEmptyCollection = (value: unknown): boolean =>
  value === undefined || Object.keys(value as object).length === 0;

/**
 * Turns parsed JSON into the form objects have in memory: unknown members dropped, null absent, times, durations and quantities
 * canonical, zero values as zero-value.ts describes. Compiled once for each message.
 */
export class ConverterCompiler {
  readonly registry: SchemaRegistry;
  readonly #messages = new Map<string, CompiledMessage>();

  constructor(registry: SchemaRegistry) {
    this.registry = registry;
  }

  convert(value: JsonObject, schema: MessageSchema, findings: Findings): JsonObject {
    return this.#object(this.#compiled(schema.name, schema), value, undefined, '', '', findings);
  }

  #compiled(name: string, given?: MessageSchema): CompiledMessage {
    const known = this.#messages.get(name);
    if (known) return known;
    const schema = given ?? this.registry.message(name);
    if (!schema) throw new Error(`Cannot convert message "${name}": it has no schema`);
    const members = new Map<string, Member>();
    if (schema.typeMeta) {
      const convert = this.value({ kind: 'scalar', scalar: 'string' });
      for (const key of ['kind', 'apiVersion'])
        members.set(key, { name: key, path: key, convert, drop: isEmpty });
    }
    this.#collect(schema, members);
    const compiled = {
      struct: name.slice(name.lastIndexOf('.') + 1),
      members,
      fill: zeroFiller(name, this.registry),
    };
    this.#messages.set(name, compiled);
    return compiled;
  }

  #collect(schema: MessageSchema, members: Map<string, Member>, prefix = ''): void {
    const goTypes = goTypeNames.get(schema.name);
    for (const field of schema.fields) {
      const { name, type } = field;
      if (field.inline && type.kind === 'message') {
        const inline = this.registry.message(type.message);
        const struct = type.message.slice(type.message.lastIndexOf('.') + 1);
        if (inline) this.#collect(inline, members, `${prefix}${struct}.`);
      } else {
        const convert = this.value(type, goTypes?.get(name));
        members.set(name, { name, path: prefix + name, convert, drop: dropRule(field) });
      }
    }
  }

  #object(
    compiled: CompiledMessage,
    value: JsonObject,
    parent: Place | undefined,
    name: string,
    index: string,
    findings: Findings,
  ): JsonObject {
    const target: JsonObject = {};
    const place: Place = { struct: compiled.struct, parent, name, index };
    for (const key of Object.keys(value)) {
      const member = compiled.members.get(key);
      if (member === undefined) {
        findings.unknown?.push(strictPath(place, key));
        continue;
      }
      const raw: unknown = value[key];
      if (raw === null || raw === undefined) continue;
      const converted = member.convert(raw, place, member.path, '', findings);
      if (!member.drop(converted)) target[member.name] = converted;
      else if (typeof converted === 'object' && converted !== null)
        noteGivenEmpty(target, member.name, converted);
    }
    compiled.fill(target);
    return target;
  }

  /** Converter of a non-null value; gives undefined for a value of the wrong type, after reporting it. */
  value(type: TypeRef, go = goType(type)): Converter {
    switch (type.kind) {
      case 'scalar':
        return scalarConverter(type.scalar, go);
      case 'special':
        return convertSpecial(type.special, type.message, this, go);
      case 'message': {
        const message = type.message;
        let compiled: CompiledMessage | undefined;
        return (value, place, name, index, findings) => {
          if (!isJsonObject(value))
            return report(findings, typeMismatch(jsonKind(value), goType(type), place, name));
          compiled ??= this.#compiled(message);
          return this.#object(compiled, value, place, name, index, findings);
        };
      }
      case 'list':
        return this.#list(type, go);
      case 'map':
        return this.#map(type, go);
    }
  }

  #list(type: Extract<TypeRef, { kind: 'list' }>, go: string): Converter {
    const element = this.value(type.element, elementType(go));
    const zero = this.#zero(type.element);
    return (value, place, name, _index, findings) => {
      if (!Array.isArray(value)) return report(findings, typeMismatch(jsonKind(value), go, place, name));
      return (value as unknown[]).map((item, at) => {
        const converted =
          item === null || item === undefined
            ? undefined
            : element(item, place, name, findings.unknown ? `[${String(at)}]` : '', findings);
        return converted === undefined ? zero() : converted;
      });
    };
  }

  #map(type: Extract<TypeRef, { kind: 'map' }>, go: string): Converter {
    const element = this.value(type.value, elementType(go));
    const zero = this.#zero(type.value);
    return (value, place, name, _index, findings) => {
      if (!isJsonObject(value)) return report(findings, typeMismatch(jsonKind(value), go, place, name));
      const target: JsonObject = {};
      for (const key of Object.keys(value)) {
        const item: unknown = value[key];
        const converted =
          item === null || item === undefined
            ? undefined
            : element(item, place, name, findings.unknown ? `.${key}` : '', findings);
        setMember(target, key, converted === undefined ? zero() : converted);
      }
      return target;
    };
  }

  /** What null is inside a list or map. */
  #zero(type: TypeRef): () => unknown {
    switch (type.kind) {
      case 'scalar':
        if (type.scalar === 'bool') return () => false;
        return type.scalar === 'string' || type.scalar === 'bytes' ? () => '' : () => 0;
      case 'message': {
        const fill = (): JsonObject => {
          const target: JsonObject = {};
          zeroFiller(type.message, this.registry)(target);
          return target;
        };
        return fill;
      }
      case 'special':
        if (type.special === 'Quantity') return () => '0';
        return type.special === 'StringList' ? () => [] : () => null;
      default:
        return () => null;
    }
  }
}

function dropRule(field: FieldSchema): (value: unknown) => boolean {
  switch (field.type.kind) {
    case 'list':
    case 'map':
      return field.emit ? never : isEmptyCollection;
    case 'scalar':
      return field.pointer || (field.emit && field.type.scalar !== 'bytes') ? never : isEmpty;
    case 'message':
      return field.pointer || field.emit ? never : isEmpty;
    case 'special':
      if (field.type.special === 'StringList') return isEmptyCollection;
      return field.type.special === 'IntOrString' && !field.pointer ? isZero : never;
  }
}

const base64 = /^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$/;

/** The type of the elements of a Go list or map; undefined: the name does not tell. */
const elementType = (go: string): string | undefined => /^(?:\[\]|map\[[\w.]+\])(.+)$/.exec(go)?.[1];

function scalarConverter(scalar: Extract<TypeRef, { kind: 'scalar' }>['scalar'], go: string): Converter {
  switch (scalar) {
    case 'string':
      return (value, place, name, _index, findings) =>
        typeof value === 'string' ? value : report(findings, typeMismatch(jsonKind(value), go, place, name));
    case 'bool':
      return (value, place, name, _index, findings) =>
        typeof value === 'boolean'
          ? value
          : report(findings, typeMismatch(jsonKind(value), 'bool', place, name));
    case 'int32':
    case 'int64': {
      const limit = scalar === 'int32' ? 2 ** 31 : 2 ** 53;
      return (value, place, name, _index, findings) => {
        if (typeof value === 'number' && Number.isInteger(value)) {
          if (value > -limit && value < limit) return value === 0 ? 0 : value;
          if (scalar === 'int32' && value === -limit) return value;
          findings.long ||= !Number.isSafeInteger(value);
          if (scalar === 'int64' && value >= -(2 ** 63) && value < 2 ** 63) return value;
        } else if (typeof value === 'bigint') {
          if (scalar === 'int64' && BigInt.asIntN(64, value) === value) return value;
        } else if (typeof value !== 'number')
          return report(findings, typeMismatch(jsonKind(value), scalar, place, name));
        return report(findings, typeMismatch(`number ${String(value)}`, scalar, place, name));
      };
    }
    case 'double':
      return (value, place, name, _index, findings) => {
        if (typeof value === 'number') return value;
        if (typeof value === 'bigint') return Number(value);
        return report(findings, typeMismatch(jsonKind(value), 'float64', place, name));
      };
    case 'bytes':
      return (value, place, name, _index, findings) => {
        if (typeof value !== 'string')
          return report(findings, typeMismatch(jsonKind(value), '[]uint8', place, name));
        const text = /[\r\n]/.test(value) ? value.replaceAll(/[\r\n]/g, '') : value;
        if (text.length % 4 === 0 && base64.test(text)) return text;
        return report(findings, `illegal base64 data at input byte ${String(illegalBase64At(value))}`);
      };
  }
}

/** The byte that Go's decoder names. */
function illegalBase64At(text: string): number {
  const bad = text.search(/[^A-Za-z0-9+/=\r\n]/);
  if (bad >= 0) return Buffer.byteLength(text.slice(0, bad));
  const padding = text.indexOf('=');
  if (padding >= 0) {
    const before = text.slice(0, padding).replaceAll(/[\r\n]/g, '').length % 4;
    if (before < 2) return padding;
    if (before === 2 && text[padding + 1] !== '=') return padding + 1;
    return padding + (before === 2 ? 2 : 1);
  }
  return text.length - (text.length % 4);
}
