import type { MessageSchema, SchemaRegistry, TypeRef } from '@pilothouse/apimachinery';

import type { OrderedJson } from './ordered.ts';
import { parseOrdered } from './ordered.ts';

/**
 * Texts of unknown and duplicate fields of a document, in document order, each once. Only for documents that have a duplicate
 * somewhere; unknown fields alone are found while converting.
 */
export function strictFindings(text: string, schema: MessageSchema, registry: SchemaRegistry): string[] {
  const found = new Set<string>();
  const walkMessage = (node: OrderedJson, name: string, path: string, typeMeta: boolean): void => {
    if (node.kind !== 'object') return;
    const types = fieldTypes(name, registry);
    const seen = new Set<string>();
    for (const [key, value] of node.members) {
      const here = path === '' ? key : `${path}.${key}`;
      const isTypeMeta = typeMeta && (key === 'kind' || key === 'apiVersion');
      const type = types.get(key);
      if (!type && !isTypeMeta) {
        found.add(`unknown field ${JSON.stringify(here)}`);
        continue;
      }
      if (seen.has(key)) found.add(`duplicate field ${JSON.stringify(here)}`);
      seen.add(key);
      if (type) walk(value, type, here);
    }
  };
  const walk = (node: OrderedJson, type: TypeRef, path: string): void => {
    switch (type.kind) {
      case 'message':
        walkMessage(node, type.message, path, registry.message(type.message)?.typeMeta === true);
        return;
      case 'list':
        if (node.kind === 'array')
          node.items.forEach((item, index) => walk(item, type.element, `${path}[${String(index)}]`));
        return;
      case 'map': {
        if (node.kind !== 'object') return;
        const seen = new Set<string>();
        for (const [key, value] of node.members) {
          const here = `${path}.${key}`;
          if (seen.has(key)) found.add(`duplicate field ${JSON.stringify(here)}`);
          seen.add(key);
          walk(value, type.value, here);
        }
        return;
      }
      default:
    }
  };
  walkMessage(parseOrdered(text), schema.name, '', schema.typeMeta === true);
  return [...found];
}

/** Types of a message's members by name, those of inline fields among them. */
export function fieldTypes(name: string, registry: SchemaRegistry): Map<string, TypeRef> {
  const types = new Map<string, TypeRef>();
  for (const field of registry.message(name)?.fields ?? []) {
    if (field.inline && field.type.kind === 'message')
      for (const [key, type] of fieldTypes(field.type.message, registry)) types.set(key, type);
    else types.set(field.name, field.type);
  }
  return types;
}
