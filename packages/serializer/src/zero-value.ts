import type { FieldSchema, SchemaRegistry } from '@pilothouse/apimachinery';

import { type JsonObject, setMember } from './json-shape.ts';

/**
 * What an absent field is in memory: fields that JSON always writes are present, as Go's zero value. Null is absent, and so are empty
 * lists and maps, save where JSON always writes the field: there `[]` and `{}` stay until the object is stored, which forgets them. A zero IntOrString and zero times are absent too, so that defaulting sees that nothing was set.
 * Undefined means that the field stays absent.
 */
export function zeroMaker(field: FieldSchema, registry: SchemaRegistry): (() => unknown) | undefined {
  if (!field.emit || field.pointer) return undefined;
  switch (field.type.kind) {
    case 'scalar':
      switch (field.type.scalar) {
        case 'string':
          return () => '';
        case 'bool':
          return () => false;
        case 'bytes':
          return undefined;
        default:
          return () => 0;
      }
    case 'special':
      if (field.type.special === 'Quantity') return () => '0';
      return field.type.special === 'Duration' ? () => '0s' : undefined;
    case 'message': {
      const { message } = field.type;
      let fill: ((target: JsonObject) => void) | undefined;
      return () => {
        const target: JsonObject = {};
        fill ??= zeroFiller(message, registry);
        fill(target);
        return target;
      };
    }
    default:
      return undefined;
  }
}

const fillers = new WeakMap<SchemaRegistry, Map<string, (target: JsonObject) => void>>();

/** Adds the zero values of a message's absent fields, those of inline fields included. */
export function zeroFiller(message: string, registry: SchemaRegistry): (target: JsonObject) => void {
  let known = fillers.get(registry);
  if (!known) {
    known = new Map();
    fillers.set(registry, known);
  }
  const filler = known.get(message);
  if (filler) return filler;
  const zeros: { readonly name: string; readonly make: () => unknown }[] = [];
  const collect = (name: string): void => {
    for (const field of registry.message(name)?.fields ?? []) {
      if (field.inline && field.type.kind === 'message') collect(field.type.message);
      else {
        const make = zeroMaker(field, registry);
        if (make) zeros.push({ name: field.name, make });
      }
    }
  };
  collect(message);
  const result = (target: JsonObject): void => {
    for (const zero of zeros) if (target[zero.name] === undefined) setMember(target, zero.name, zero.make());
  };
  known.set(message, result);
  return result;
}
