import { type MessageSchema, parseExact, type SchemaRegistry, type TypeRef } from '@pilothouse/apimachinery';

import { type JsonObject, setMember } from '../json-shape.ts';
import type { OrderedJson } from './ordered.ts';
import { parseOrdered } from './ordered.ts';
import { fieldTypes } from './strict.ts';

/**
 * What Go's decoder makes of a document whose objects have members twice: each is decoded into what the one before it left. Structs and
 * maps of a struct's field take the members of both, everything else is the last one's. Only for documents that have a duplicate.
 */
export function mergeDuplicates(text: string, schema: MessageSchema, registry: SchemaRegistry): JsonObject {
  const message = (node: OrderedJson, name: string, before: unknown): unknown => {
    if (node.kind !== 'object') return isNull(node) && before !== undefined ? before : plain(node);
    const types = fieldTypes(name, registry);
    const target: JsonObject = isRecord(before) ? before : {};
    for (const [key, value] of node.members) {
      const type = types.get(key);
      setMember(target, key, type ? typed(value, type, target[key]) : plain(value));
    }
    return target;
  };
  const typed = (node: OrderedJson, type: TypeRef, before: unknown): unknown => {
    switch (type.kind) {
      case 'message':
        return message(node, type.message, before);
      case 'list':
        return node.kind === 'array'
          ? node.items.map((item) => typed(item, type.element, undefined))
          : plain(node);
      case 'map': {
        if (node.kind !== 'object') return plain(node);
        const target: JsonObject = isRecord(before) ? before : {};
        for (const [key, value] of node.members) setMember(target, key, typed(value, type.value, undefined));
        return target;
      }
      case 'scalar':
        return isNull(node) && before !== undefined ? before : plain(node);
      default:
        return plain(node);
    }
  };
  return message(parseOrdered(text), schema.name, undefined) as JsonObject;
}

const isNull = (node: OrderedJson): boolean => node.kind === 'other' && node.text === 'null';

const isRecord = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value as JSON.parse gives it: the last of two members counts. */
function plain(node: OrderedJson): unknown {
  switch (node.kind) {
    case 'other':
      return parseExact(node.text);
    case 'array':
      return node.items.map(plain);
    case 'object': {
      const target: JsonObject = {};
      for (const [key, value] of node.members) setMember(target, key, plain(value));
      return target;
    }
  }
}
