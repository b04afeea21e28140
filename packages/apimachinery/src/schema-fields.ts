import type { FieldSchema, MessageSchema, SchemaRegistry, TypeRef } from './schema.ts';

const cache = new WeakMap<MessageSchema, ReadonlyMap<string, FieldSchema>>();

/** Fields by JSON name, with those of inline fields in place. */
export function fieldsByName(
  registry: SchemaRegistry,
  message: MessageSchema,
): ReadonlyMap<string, FieldSchema> {
  const cached = cache.get(message);
  if (cached !== undefined) return cached;
  const fields = new Map<string, FieldSchema>();
  for (const field of message.fields) {
    if (field.inline === true && field.type.kind === 'message') {
      const inner = registry.message(field.type.message);
      if (inner !== undefined)
        for (const [name, each] of fieldsByName(registry, inner)) fields.set(name, each);
    } else if (field.name !== '') fields.set(field.name, field);
  }
  cache.set(message, fields);
  return fields;
}

/** The message behind a type, when it has fields of its own. */
export function messageOf(registry: SchemaRegistry, type: TypeRef): MessageSchema | undefined {
  return type.kind === 'message' ? registry.message(type.message) : undefined;
}
