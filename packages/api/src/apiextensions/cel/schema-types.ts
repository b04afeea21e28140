import type { Environment } from '@marcbachmann/cel-js';
import { isJsonObject, parseGoDuration } from '@pilothouse/apimachinery';
import { celEnvironment } from '../../cel/environment.ts';
import { equalValues } from '../../cel/values.ts';
import type { JsonSchema } from '../schema.ts';
import { additionalOf, itemsOf } from '../schema.ts';
import { celName } from './property-names.ts';

const timestampType = 'google.protobuf.Timestamp';
const durationType = 'google.protobuf.Duration';
const text: JsonSchema = { type: 'string' };

/** The members of metadata that rules see. */
const metadataProperties: Readonly<Record<string, JsonSchema>> = { name: text, generateName: text };

/** A schema as rules see it: resources have apiVersion, kind and a little of their metadata. */
export function visibleSchema(schema: JsonSchema, isRoot: boolean): JsonSchema {
  if (!isRoot && schema['x-kubernetes-embedded-resource'] !== true) return schema;
  return {
    ...schema,
    properties: {
      ...schema.properties,
      apiVersion: text,
      kind: text,
      metadata: { type: 'object', properties: metadataProperties },
    },
  };
}

/** Declares the types of a schema in an environment, and turns values into what CEL calculates with. */
export class SchemaTypes {
  readonly environment: Environment = celEnvironment();
  #next = 0;
  readonly #declared = new Map<JsonSchema, string>();
  readonly #classes = new Map<JsonSchema, new () => object>();

  /** The class of objects of a schema that was declared; undefined: they are plain. */
  classOf(schema: JsonSchema | undefined): (new () => object) | undefined {
    return schema === undefined ? undefined : this.#classes.get(schema);
  }

  /** The CEL type of values of a schema. */
  typeOf(schema: JsonSchema): string {
    if (schema['x-kubernetes-int-or-string'] === true) return 'dyn';
    switch (schema.type) {
      case 'string':
        return stringType(schema.format);
      case 'integer':
        return 'int';
      case 'number':
        return 'double';
      case 'boolean':
        return 'bool';
      case 'array': {
        const items = itemsOf(schema);
        return items === undefined ? 'list<dyn>' : `list<${this.typeOf(items)}>`;
      }
      case 'object': {
        const additional = additionalOf(schema);
        if (additional !== undefined) return `map<string, ${this.typeOf(additional)}>`;
        if (schema.additionalProperties === true) return 'map<string, dyn>';
        if (schema['x-kubernetes-preserve-unknown-fields'] === true && schema.properties === undefined)
          return 'dyn';
        return this.#objectType(schema);
      }
      default:
        return 'dyn';
    }
  }

  #objectType(schema: JsonSchema): string {
    const before = this.#declared.get(schema);
    if (before !== undefined) return before;
    const visible = visibleSchema(schema, false);
    const fields: Record<string, string> = {};
    for (const [name, property] of Object.entries(visible.properties ?? {})) {
      const member = celName(name);
      if (member !== undefined) fields[member] = this.typeOf(property);
    }
    const name = `Schema${this.#next++}`;
    this.#declared.set(schema, name);
    // A class of its own tells the library the type of an object wherever it stands.
    const ctor = class {};
    this.#classes.set(schema, ctor);
    this.environment.registerType(name, { ctor, fields });
    this.environment.registerOperator(`${name} == ${name}`, equalValues);
    return name;
  }
}

function stringType(format: string | undefined): string {
  switch (format) {
    case 'byte':
      return 'bytes';
    case 'date':
    case 'date-time':
      return timestampType;
    case 'duration':
      return durationType;
    default:
      return 'string';
  }
}

/** A JSON value as CEL has it: integers as bigint, times as Date. Values are those of a valid object. */
export function toCel(value: unknown, schema: JsonSchema | undefined, types: SchemaTypes): unknown {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return value.map((item) => toCel(item, itemsOf(schema), types));
  if (isJsonObject(value)) return objectToCel(value, schema, types);
  if (typeof value === 'number') {
    const isDouble = schema?.type === 'number' || (schema?.type === undefined && !Number.isInteger(value));
    return isDouble ? value : Number.isInteger(value) ? BigInt(value) : value;
  }
  if (typeof value === 'string' && schema?.type === 'string') {
    switch (stringType(schema.format)) {
      case timestampType:
        return new Date(schema.format === 'date' ? `${value}T00:00:00Z` : value);
      case durationType: {
        const duration = JSON.stringify(parseGoDuration(value) === undefined ? '0s' : value);
        return types.environment.evaluate(`duration(${duration})`) as unknown;
      }
      case 'bytes':
        return Uint8Array.from(atobBytes(value));
      default:
    }
  }
  return value;
}

function objectToCel(
  value: Record<string, unknown>,
  schema: JsonSchema | undefined,
  types: SchemaTypes,
): unknown {
  const out: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  const visible = schema === undefined ? undefined : visibleSchema(schema, false);
  const properties = visible?.properties;
  const additional = additionalOf(schema);
  const isMap = properties === undefined;
  for (const [name, member] of Object.entries(value)) {
    const property =
      properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : additional;
    if (isMap || property === undefined) {
      out[name] = toCel(member, property, types);
      continue;
    }
    const key = celName(name);
    if (key !== undefined && member !== null) out[key] = toCel(member, property, types);
  }
  const ctor = types.classOf(schema);
  return ctor === undefined ? { ...out } : Object.assign(new ctor(), out);
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function atobBytes(base64: string): number[] {
  const bytes: number[] = [];
  let bits = 0;
  let count = 0;
  for (const character of base64) {
    const digit = alphabet.indexOf(character);
    if (digit < 0) continue;
    bits = (bits << 6) | digit;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push((bits >> count) & 0xff);
      bits &= (1 << count) - 1;
    }
  }
  return bytes;
}
