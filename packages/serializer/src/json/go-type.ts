import type { TypeRef } from '@pilothouse/apimachinery';

import { goTypeNames } from './go-type-names.ts';

/** `k8s.io.api.core.v1.PodSpec` → `v1.PodSpec`: how Go prints the type. */
function goMessage(message: string): string {
  const parts = message.split('.');
  return parts.slice(-2).join('.');
}

const specialNames: Readonly<Record<string, string>> = {
  Quantity: 'resource.Quantity',
  IntOrString: 'intstr.IntOrString',
  RawExtension: 'runtime.RawExtension',
};

/** The Go type as decoding errors name it. */
export function goType(type: TypeRef): string {
  switch (type.kind) {
    case 'scalar':
      if (type.scalar === 'double') return 'float64';
      return type.scalar === 'bytes' ? '[]uint8' : type.scalar;
    case 'special':
      return specialNames[type.special] ?? goMessage(type.message);
    case 'message':
      return goMessage(type.message);
    case 'list':
      return `[]${goType(type.element)}`;
    case 'map':
      // The one map type with a name of its own that clients meet often.
      if (type.value.kind === 'special' && type.value.special === 'Quantity') return 'v1.ResourceList';
      return `map[string]${goType(type.value)}`;
  }
}

/** Named lists and maps; every other name of {@link goTypeNames} is a text. */
const namedKinds: Readonly<Record<string, string>> = {
  'v1.ResourceList': 'map',
  'v1.ExtraValue': 'slice',
  'v1.Verbs': 'slice',
};

const namedTexts = new Set([...goTypeNames.values()].flatMap((fields) => [...fields.values()]));

/** What Go's reflection calls the kind of a type that {@link goType} or goTypeNames gives. */
export function goKind(type: string): string {
  if (type.startsWith('[]')) return 'slice';
  if (type.startsWith('map[')) return 'map';
  const named = namedKinds[type];
  if (named !== undefined) return named;
  if (namedTexts.has(type) || namedTexts.has(`[]${type}`)) return 'string';
  return type.includes('.') ? 'struct' : type;
}

/** `string`, `number`, `bool`, `array` or `object`. */
export function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'bigint' ? 'number' : typeof value;
}
