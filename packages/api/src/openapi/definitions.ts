import type { FieldSchema, MessageSchema, TypeRef } from '@pilothouse/apimachinery';
import type { Steps } from '@pilothouse/base';

import { allKindsGroupVersions } from '../generated/schemas/index.ts';
import { builtinSchemas, type BuiltinMessageSchema } from '../schemas.ts';
import { fieldDescription, kindDescription } from './descriptions.ts';

/** A JSON Schema as OpenAPI publishes it; plain JSON. */
export type OpenApiSchema = Readonly<Record<string, unknown>>;

export type OpenApiVersion = 'v2' | 'v3';

/** Kind tags: [group, version, kind]. */
type Gvk = readonly [group: string, version: string, kind: string];

const refPrefix = { v2: '#/definitions/', v3: '#/components/schemas/' } as const;

/** Renders the definitions of built-in messages and remembers which others they name. */
export class DefinitionBuilder {
  readonly #version: OpenApiVersion;
  /** Group-version of the document; undefined for the document of all of them. */
  readonly #groupVersion: readonly [group: string, version: string] | undefined;
  /** Message by OpenAPI name, for every definition asked for. */
  readonly #wanted = new Map<string, string>();
  readonly #queue: string[] = [];

  constructor(version: OpenApiVersion, groupVersion?: readonly [group: string, version: string]) {
    this.#version = version;
    this.#groupVersion = groupVersion;
  }

  /** A reference to a message, which becomes part of the document. */
  ref(message: string): string {
    const name = builtinSchemas.message(message)?.openapi;
    if (name === undefined) throw new Error(`Cannot refer to "${message}": it is not published`);
    if (!this.#wanted.has(name)) {
      this.#wanted.set(name, message);
      this.#queue.push(name);
    }
    return refPrefix[this.#version] + name;
  }

  /** All definitions named so far and those that they name, by OpenAPI name, sorted. */
  *finish(): Steps<Record<string, OpenApiSchema>> {
    const out = new Map<string, OpenApiSchema>();
    for (let name = this.#queue.shift(); name !== undefined; name = this.#queue.shift()) {
      const schema = builtinSchemas.message(this.#wanted.get(name) as string);
      if (schema) out.set(name, this.#definition(schema));
      yield;
    }
    return Object.fromEntries([...out].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #definition(schema: BuiltinMessageSchema): OpenApiSchema {
    const description = kindDescription(schema.name);
    const described = description === undefined ? {} : { description };
    if (schema.special) return { ...described, ...this.#special(schema) };
    const required: string[] = [];
    const properties: Record<string, OpenApiSchema> = {};
    if (schema.typeMeta) {
      properties['apiVersion'] = { description: fieldDescription(schema.name, 'apiVersion'), type: 'string' };
      properties['kind'] = { description: fieldDescription(schema.name, 'kind'), type: 'string' };
    }
    for (const field of jsonFields(schema)) {
      if (field.required) required.push(field.name);
      properties[field.name] = this.#property(schema.name, field);
    }
    const gvk = this.#gvk(schema);
    return {
      ...described,
      type: 'object',
      ...(required.length > 0 && { required }),
      ...(Object.keys(properties).length > 0 && {
        properties: Object.fromEntries(Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1))),
      }),
      ...(gvk.length > 0 && {
        'x-kubernetes-group-version-kind': gvk.map(([group, version, kind]) => ({ group, kind, version })),
      }),
      ...(schema.mapType && { 'x-kubernetes-map-type': schema.mapType }),
      ...(schema.unions !== undefined && { 'x-kubernetes-unions': schema.unions }),
    };
  }

  #special(schema: BuiltinMessageSchema): OpenApiSchema {
    const format = schema.openapiFormat === undefined ? {} : { format: schema.openapiFormat };
    if (this.#version === 'v3' && schema.oneOf)
      return { ...format, oneOf: schema.oneOf.map((type) => ({ type })) };
    if (schema.special === 'Patch') return { type: 'object' };
    return schema.openapiType === undefined ? {} : { type: schema.openapiType, ...format };
  }

  #gvk(schema: MessageSchema): readonly Gvk[] {
    if (schema.gvk !== '*') return schema.gvk ?? [];
    const kind = schema.name.slice(schema.name.lastIndexOf('.') + 1);
    const own = this.#groupVersion;
    const pairs = !own
      ? allKindsGroupVersions
      : allKindsGroupVersions.filter(
          ([group, version]) =>
            (group === '' && version === 'v1') || (group === own[0] && version === own[1]),
        );
    return pairs.map(([group, version]) => [group, version, kind]);
  }

  #property(message: string, field: FieldSchema): OpenApiSchema {
    const description = fieldDescription(message, field.name);
    const extensions = {
      ...(field.listMapKeys && { 'x-kubernetes-list-map-keys': field.listMapKeys }),
      ...(field.listType && { 'x-kubernetes-list-type': field.listType }),
      ...(field.mapType && { 'x-kubernetes-map-type': field.mapType }),
      ...(field.patchMergeKey && { 'x-kubernetes-patch-merge-key': field.patchMergeKey }),
      ...(field.patchStrategy && { 'x-kubernetes-patch-strategy': field.patchStrategy }),
    };
    // Defaults are published in v3 only.
    const siblings: Record<string, unknown> = {
      ...(description !== undefined && { description }),
      ...(field.default !== undefined && this.#version === 'v3' && { default: field.default }),
    };
    return this.#withSiblings(this.#type(field.type, field), { ...siblings, ...extensions });
  }

  /** In v3 a reference may not have siblings, so it moves into allOf. */
  #withSiblings(schema: OpenApiSchema, siblings: Record<string, unknown>): OpenApiSchema {
    if (this.#version === 'v3' && '$ref' in schema && Object.keys(siblings).length > 0)
      return { ...siblings, allOf: [schema] };
    return { ...siblings, ...schema };
  }

  #type(type: TypeRef, field: FieldSchema): OpenApiSchema {
    switch (type.kind) {
      case 'scalar':
        return scalarSchema(type.scalar, field);
      case 'message':
        return { $ref: this.ref(type.message) };
      case 'special':
        if (type.special === 'StringList') return { type: 'array', items: this.#stringItem() };
        return { $ref: this.ref(type.message) };
      case 'list':
        return { type: 'array', items: this.#element(type.element, field) };
      case 'map':
        return { type: 'object', additionalProperties: this.#element(type.value, field) };
    }
  }

  #stringItem(): OpenApiSchema {
    return this.#version === 'v3' ? { type: 'string', default: '' } : { type: 'string' };
  }

  /** Elements of lists and maps carry Go's zero value as default in v3. */
  #element(type: TypeRef, field: FieldSchema): OpenApiSchema {
    const schema = this.#type(type, field);
    if (this.#version === 'v2') return schema;
    if (type.kind === 'message') return { default: {}, allOf: [schema] };
    if (type.kind !== 'scalar') return schema;
    switch (type.scalar) {
      case 'string':
        return { ...schema, default: '' };
      case 'bool':
        return { ...schema, default: false };
      case 'bytes':
        return schema;
      default:
        return { ...schema, default: 0 };
    }
  }
}

function scalarSchema(
  scalar: Extract<TypeRef, { kind: 'scalar' }>['scalar'],
  field: FieldSchema,
): OpenApiSchema {
  switch (scalar) {
    case 'string':
      return { type: 'string', ...(field.enum && { enum: field.enum }), ...formatOf(field.format) };
    case 'bool':
      return { type: 'boolean' };
    case 'int32':
    case 'int64':
      return { type: 'integer', ...formatOf(field.format ?? scalar) };
    case 'double':
      return { type: 'number', ...formatOf(field.format ?? 'double') };
    case 'bytes':
      return { type: 'string', ...formatOf(field.format ?? 'byte') };
  }
}

const formatOf = (format: string | undefined): { format?: string } =>
  format === undefined ? {} : { format };

/** Fields as JSON shows them: inline messages spread into the parent. */
export function jsonFields(schema: MessageSchema): FieldSchema[] {
  return schema.fields.flatMap((field) => {
    if (!field.inline || field.type.kind !== 'message') return [field];
    const inline = builtinSchemas.message(field.type.message);
    return inline ? jsonFields(inline) : [];
  });
}
