import type { JsonObject } from '../json.ts';
import type { JsonValue } from '../meta.ts';
import { fieldsByName } from '../schema-fields.ts';
import type { FieldSchema, MessageSchema, SchemaRegistry } from '../schema.ts';

/**
 * The JSON of a message in which nothing is set: members that are always written, with their zero values. A new object is compared with
 * this one, so that nobody comes to own `spec` itself.
 */
export function emptyObjectOf(registry: SchemaRegistry, message: MessageSchema): JsonObject {
  const out: JsonObject = {};
  for (const [name, field] of fieldsByName(registry, message)) {
    const value = emptyMember(registry, field);
    if (value !== undefined) out[name] = value;
  }
  return out;
}

/** What is written for a member that is not set; undefined: nothing. */
export function emptyMember(registry: SchemaRegistry, field: FieldSchema): JsonValue | undefined {
  const { type } = field;
  if (field.pointer === true) return field.emit === true ? null : undefined;
  if (field.emit !== true) return undefined;
  if (type.kind === 'message') {
    const message = registry.message(type.message);
    return message === undefined ? undefined : emptyObjectOf(registry, message);
  }
  switch (type.kind) {
    case 'scalar':
      if (type.scalar === 'string') return '';
      if (type.scalar === 'bytes') return null;
      return type.scalar === 'bool' ? false : 0;
    case 'special':
      if (type.special === 'Quantity') return '0';
      return type.special === 'IntOrString' ? 0 : null;
    default:
      return null;
  }
}
