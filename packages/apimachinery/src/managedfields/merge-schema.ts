import type { JsonValue } from '../meta.ts';
import { fieldsByName } from '../schema-fields.ts';
import type { FieldSchema, MessageSchema, SchemaRegistry, TypeRef } from '../schema.ts';
import { emptyMember } from './empty-object.ts';

/** How values of a type are compared, merged and owned (structured-merge-diff's schema, reduced to what Kubernetes uses). */
export type MergeType = ScalarType | AtomicType | ListType | MapType | DeducedType;

export interface ScalarType {
  readonly kind: 'scalar';
  readonly scalar: 'string' | 'number' | 'boolean' | 'untyped';
}
/** Any value, owned as one. */
export interface AtomicType {
  readonly kind: 'atomic';
}
/** Any value; its shape decides: maps are granular, lists atomic. */
export interface DeducedType {
  readonly kind: 'deduced';
}
export interface ListType {
  readonly kind: 'list';
  readonly element: MergeType;
  readonly relationship: 'atomic' | 'set' | 'map';
  /** Of a `map` list, in alphabetical order. */
  readonly keys: readonly string[];
  readonly keyDefaults: ReadonlyMap<string, unknown>;
}
/** A struct, a map, or both. */
export interface MapType {
  readonly kind: 'map';
  readonly relationship: 'atomic' | 'granular';
  /** Declared members; made on first use, so that recursive types work. */
  fields(): ReadonlyMap<string, MergeType>;
  /** Type of members that are not declared; absent when there may be none. */
  readonly element?: MergeType;
  /** Members that are always written, and what is written when they are not set. Objects in memory may leave them out. */
  unset?(): ReadonlyMap<string, JsonValue>;
}

export const stringType: ScalarType = { kind: 'scalar', scalar: 'string' };
export const numberType: ScalarType = { kind: 'scalar', scalar: 'number' };
export const booleanType: ScalarType = { kind: 'scalar', scalar: 'boolean' };
export const untypedScalar: ScalarType = { kind: 'scalar', scalar: 'untyped' };
export const atomicType: AtomicType = { kind: 'atomic' };
export const deducedType: DeducedType = { kind: 'deduced' };
const noFields: ReadonlyMap<string, MergeType> = new Map();

export function mapOf(element: MergeType, relationship: 'atomic' | 'granular' = 'granular'): MapType {
  return { kind: 'map', relationship, fields: () => noFields, element };
}

function lazy<T>(make: () => T): () => T {
  let value: T | undefined;
  return () => (value ??= make());
}

const byRegistry = new WeakMap<SchemaRegistry, Map<string, MapType>>();

/** The merge type of a built-in message. Kept per registry. */
export function mergeTypeOfMessage(registry: SchemaRegistry, message: MessageSchema): MapType {
  let types = byRegistry.get(registry);
  if (types === undefined) byRegistry.set(registry, (types = new Map()));
  let type = types.get(message.name);
  if (type === undefined) {
    type = {
      kind: 'map',
      relationship: message.mapType ?? 'granular',
      unset: lazy(() => unsetMembers(registry, message)),
      fields: lazy(() => {
        const fields = new Map<string, MergeType>();
        if (message.typeMeta === true || message.gvk !== undefined) {
          fields.set('apiVersion', stringType);
          fields.set('kind', stringType);
        }
        for (const [name, field] of fieldsByName(registry, message))
          fields.set(name, mergeTypeOfField(registry, field));
        return fields;
      }),
    };
    types.set(message.name, type);
  }
  return type;
}

function unsetMembers(registry: SchemaRegistry, message: MessageSchema): ReadonlyMap<string, JsonValue> {
  const unset = new Map<string, JsonValue>();
  for (const [name, field] of fieldsByName(registry, message)) {
    const value = emptyMember(registry, field);
    if (value !== undefined) unset.set(name, value);
  }
  return unset;
}

function mergeTypeOfField(registry: SchemaRegistry, field: FieldSchema): MergeType {
  const { type } = field;
  if (type.kind === 'list') {
    const relationship = field.listType ?? 'atomic';
    const keys = [...(field.listMapKeys ?? [])].sort();
    const element = mergeTypeOf(registry, type.element);
    const keyDefaults = new Map<string, unknown>();
    if (relationship === 'map' && type.element.kind === 'message') {
      const message = registry.message(type.element.message);
      const members = message === undefined ? undefined : fieldsByName(registry, message);
      for (const key of keys) {
        const value = members?.get(key)?.default;
        if (value !== undefined) keyDefaults.set(key, value);
      }
    }
    return { kind: 'list', element, relationship, keys, keyDefaults };
  }
  const merged = mergeTypeOf(registry, type);
  if (field.mapType !== undefined && merged.kind === 'map' && merged.relationship !== field.mapType) {
    return { ...merged, relationship: field.mapType };
  }
  return merged;
}

function mergeTypeOf(registry: SchemaRegistry, type: TypeRef): MergeType {
  switch (type.kind) {
    case 'scalar':
      if (type.scalar === 'string' || type.scalar === 'bytes') return stringType;
      return type.scalar === 'bool' ? booleanType : numberType;
    case 'special':
      switch (type.special) {
        case 'Quantity':
        case 'IntOrString':
        case 'Time':
        case 'MicroTime':
          return untypedScalar;
        case 'Duration':
          return stringType;
        default:
          return atomicType;
      }
    case 'message': {
      const message = registry.message(type.message);
      return message === undefined ? deducedType : mergeTypeOfMessage(registry, message);
    }
    case 'list':
      return {
        kind: 'list',
        element: mergeTypeOf(registry, type.element),
        relationship: 'atomic',
        keys: [],
        keyDefaults: new Map(),
      };
    case 'map':
      return mapOf(mergeTypeOf(registry, type.value));
  }
}

/** The parts of a CRD's structural schema (apiextensions/v1 JSONSchemaProps) that matter here. */
export interface StructuralSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: StructuralSchema | boolean;
  readonly items?: StructuralSchema;
  readonly default?: unknown;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
}

/** The merge type of a custom resource. `objectMeta` is the merge type of ObjectMeta, for the root and embedded resources. */
export function mergeTypeOfStructuralSchema(
  schema: StructuralSchema | undefined,
  objectMeta: MapType,
): MapType {
  return structuralObject(
    schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    objectMeta,
    true,
  );
}

function structuralObject(schema: StructuralSchema, objectMeta: MapType, resource: boolean): MapType {
  const { additionalProperties } = schema;
  let element: MergeType | undefined;
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) element = deducedType;
  else if (additionalProperties === true) element = deducedType;
  else if (typeof additionalProperties === 'object')
    element = structuralType(additionalProperties, objectMeta);
  return {
    kind: 'map',
    relationship: schema['x-kubernetes-map-type'] === 'atomic' ? 'atomic' : 'granular',
    fields: lazy(() => {
      const fields = new Map<string, MergeType>();
      for (const [name, property] of Object.entries(schema.properties ?? {}))
        fields.set(name, structuralType(property, objectMeta));
      if (resource) {
        fields.set('apiVersion', stringType);
        fields.set('kind', stringType);
        fields.set('metadata', objectMeta);
      }
      return fields;
    }),
    ...(element === undefined ? {} : { element }),
  };
}

function structuralType(schema: StructuralSchema, objectMeta: MapType): MergeType {
  if (schema['x-kubernetes-int-or-string'] === true) return untypedScalar;
  switch (schema.type) {
    case 'string':
      return stringType;
    case 'integer':
    case 'number':
      return numberType;
    case 'boolean':
      return booleanType;
    case 'array': {
      const listType = schema['x-kubernetes-list-type'];
      const relationship = listType === 'set' || listType === 'map' ? listType : 'atomic';
      const keys = [...(schema['x-kubernetes-list-map-keys'] ?? [])].sort();
      const keyDefaults = new Map<string, unknown>();
      for (const key of keys) {
        const value = schema.items?.properties?.[key]?.default;
        if (value !== undefined) keyDefaults.set(key, value);
      }
      return {
        kind: 'list',
        element: schema.items === undefined ? deducedType : structuralType(schema.items, objectMeta),
        relationship,
        keys,
        keyDefaults,
      };
    }
    case 'object':
      return structuralObject(schema, objectMeta, schema['x-kubernetes-embedded-resource'] === true);
    default:
      return deducedType;
  }
}
