import { isJsonObject } from '@pilothouse/apimachinery';
import type { CelType, TypeBounds } from '../../cel/types.ts';
import { celTypes, listType, mapType, structType } from '../../cel/types.ts';
import { CelObject, fromJson, JsonMap, parseDuration, parseTimestamp } from '../../cel/values.ts';
import type { JsonSchema } from '../schema.ts';
import { additionalOf, itemsOf } from '../schema.ts';
import { celName } from './property-names.ts';

/** The largest request, which bounds what no schema bounds. */
const requestBytesMax = 3 * 1024 * 1024;
const text: JsonSchema = { type: 'string' };
const metadata: JsonSchema = { type: 'object', properties: { name: text, generateName: text } };

/** The members of an object that rules see: resources have apiVersion, kind and a little of their metadata. */
export function visibleSchema(schema: JsonSchema, isRoot: boolean): JsonSchema {
  if (!isRoot && schema['x-kubernetes-embedded-resource'] !== true) return schema;
  return { ...schema, properties: { ...schema.properties, apiVersion: text, kind: text, metadata } };
}

/** An object's type, with the way back from the names of rules to those of JSON. */
interface ObjectFields {
  readonly type: CelType;
  readonly properties: ReadonlyMap<string, { readonly name: string; readonly schema: JsonSchema }>;
}

const plainTypes = new WeakMap<JsonSchema, CelType | null>();
const rootTypes = new WeakMap<JsonSchema, CelType | null>();
const objects = new WeakMap<CelType, ObjectFields>();

/** The type that values of a schema have in rules; undefined: rules do not see them. */
export function schemaType(schema: JsonSchema, isRoot = false): CelType | undefined {
  const cache = isRoot ? rootTypes : plainTypes;
  const known = cache.get(schema);
  if (known !== undefined) return known ?? undefined;
  const type = makeType(visibleSchema(schema, isRoot));
  cache.set(schema, type ?? null);
  return type;
}

const bounded = (type: CelType, maxElements: number, minSerializedSize: number): CelType => ({
  ...type,
  bounds: { maxElements, minSerializedSize },
});
const minSize = (type: CelType): number => type.bounds?.minSerializedSize ?? 1;

function makeType(schema: JsonSchema): CelType | undefined {
  const stringMax = schema.maxLength === undefined ? requestBytesMax - 2 : Math.max(0, schema.maxLength) * 4;
  if (schema['x-kubernetes-int-or-string'] === true) return bounded(celTypes.dyn, stringMax, 1);
  switch (schema.type) {
    case 'array': {
      const items = itemsOf(schema);
      const element = items === undefined ? undefined : schemaType(items);
      if (element === undefined) return undefined;
      const maxElements =
        schema.maxItems === undefined
          ? Math.floor((requestBytesMax - 2) / (minSize(element) + 1))
          : Math.max(0, schema.maxItems);
      return listType(element, { maxElements, minSerializedSize: 2 });
    }
    case 'object':
      return objectType(schema);
    case 'string':
      return stringType(schema, stringMax);
    case 'boolean':
      return bounded(celTypes.bool, 0, 4);
    case 'number':
      return bounded(celTypes.double, 0, 1);
    case 'integer':
      return bounded(celTypes.int, 0, 1);
    default:
      return undefined;
  }
}

function stringType(schema: JsonSchema, stringMax: number): CelType {
  switch (schema.format) {
    case 'byte':
      return bounded(
        celTypes.bytes,
        schema.maxLength === undefined ? stringMax : Math.max(0, schema.maxLength),
        2,
      );
    case 'duration':
      return bounded(celTypes.duration, 32, 3);
    case 'date':
      return bounded(celTypes.timestamp, 12, 12);
    case 'date-time':
      return bounded(celTypes.timestamp, 32, 21);
    default:
  }
  if (schema.maxLength === undefined && (schema.enum ?? []).length > 0) {
    const lengths = (schema.enum ?? []).map((each) => (typeof each === 'string' ? each.length : 0));
    return bounded(celTypes.string, Math.max(0, ...lengths), 2);
  }
  return bounded(celTypes.string, stringMax, 2);
}

function objectType(schema: JsonSchema): CelType | undefined {
  const additional = additionalOf(schema);
  if (additional !== undefined) {
    const value = schemaType(additional);
    if (value === undefined) return undefined;
    const maxElements =
      schema.maxProperties === undefined
        ? Math.floor((requestBytesMax - 2) / (minSize(value) + 6))
        : Math.max(0, schema.maxProperties);
    return mapType(celTypes.string, value, { maxElements, minSerializedSize: 2 });
  }
  const required = new Set(schema.required ?? []);
  const properties = new Map<string, { name: string; schema: JsonSchema; type: CelType }>();
  let smallest = 2;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const type = schemaType(property);
    if (type === undefined) continue;
    const member = celName(name);
    if (member !== undefined) properties.set(member, { name, schema: property, type });
    if (required.has(name) && property.default === undefined) smallest += name.length + minSize(type) + 4;
  }
  const bounds: TypeBounds = { maxElements: 0, minSerializedSize: smallest };
  const type = structType('object', (name) => properties.get(name)?.type, bounds);
  objects.set(type, { type, properties });
  return type;
}

class SchemaObject extends CelObject {
  readonly type: CelType;
  readonly #raw: Readonly<Record<string, unknown>>;
  readonly #known: ObjectFields;
  readonly #read = new Map<string, unknown>();
  constructor(raw: Readonly<Record<string, unknown>>, known: ObjectFields) {
    super();
    this.type = known.type;
    this.#raw = raw;
    this.#known = known;
  }
  get(field: string): unknown {
    const property = this.#known.properties.get(field);
    if (property === undefined) return undefined;
    const raw = Object.hasOwn(this.#raw, property.name) ? this.#raw[property.name] : undefined;
    // A null that the schema allows is as good as absent.
    if (raw === undefined || raw === null) return undefined;
    if (typeof raw !== 'object') return schemaValue(raw, property.schema);
    let value = this.#read.get(field);
    if (value === undefined) {
      value = schemaValue(raw, property.schema);
      this.#read.set(field, value);
    }
    return value;
  }
  fields(): readonly string[] {
    return [...this.#known.properties.keys()].filter((field) => this.get(field) !== undefined);
  }
}

/** A JSON value as rules over its schema see it. Values are those of a valid object. */
export function schemaValue(value: unknown, schema: JsonSchema, isRoot = false): unknown {
  if (value === null || value === undefined) return null;
  const type = schemaType(schema, isRoot);
  if (type === undefined || type.kind === 'dyn') return fromJson(value);
  switch (type.kind) {
    case 'double':
      if (typeof value === 'bigint') return Number(value);
      return typeof value === 'number' ? value : fromJson(value);
    case 'timestamp':
      return typeof value === 'string'
        ? (parseTimestamp(schema.format === 'date' ? `${value}T00:00:00Z` : value) ?? value)
        : value;
    case 'duration':
      return typeof value === 'string' ? (parseDuration(value) ?? value) : value;
    case 'bytes':
      return typeof value === 'string' ? base64Bytes(value) : value;
    case 'list': {
      const items = itemsOf(schema) as JsonSchema;
      return Array.isArray(value) ? value.map((item) => schemaValue(item, items)) : fromJson(value);
    }
    case 'map': {
      const additional = additionalOf(schema) as JsonSchema;
      return isJsonObject(value)
        ? new JsonMap(value, (each) => schemaValue(each, additional))
        : fromJson(value);
    }
    case 'struct': {
      const known = objects.get(type);
      return isJsonObject(value) && known !== undefined ? new SchemaObject(value, known) : fromJson(value);
    }
    default:
      return fromJson(value);
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function base64Bytes(base64: string): Uint8Array {
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
  return Uint8Array.from(bytes);
}
