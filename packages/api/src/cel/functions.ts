import type { Overload } from './ast.ts';
import type { CelType } from './types.ts';
import { celTypes, listType, mapType, opaqueType, optionalType, paramType, structType } from './types.ts';
import { CelMap, CelObject, CelOpaque, CelOptional, Duration, Timestamp, TypeValue, Uint } from './values.ts';

/** Function names and their forms. */
export class FunctionTable {
  readonly #byName: Map<string, Overload[]>;

  constructor(base?: FunctionTable) {
    this.#byName = new Map([...(base?.entries() ?? [])].map(([name, overloads]) => [name, [...overloads]]));
  }

  entries(): Iterable<[string, readonly Overload[]]> {
    return this.#byName;
  }

  get(name: string): readonly Overload[] | undefined {
    return this.#byName.get(name);
  }

  /**
   * Adds one form. The signature reads `name(type, …): type`, or `type.name(type, …): type` for a member function; `A` and `B` are
   * type parameters; `list(T)`, `map(K, V)` and `optional(T)` take types; names with dots after `::` are namespaced (`math::abs`).
   */
  add(signature: string, call: (...args: never[]) => unknown, id?: string): this {
    const { receiver, name: rawName, parameters, result } = readSignature(signature);
    const letters = new Map<string, CelType>();
    const read = (text: string): CelType => readType(text, letters);
    const params = [...(receiver === undefined ? [] : [receiver]), ...splitTop(parameters)].map(read);
    const name = rawName.replace('::', '.');
    const overloads = this.#byName.get(name) ?? [];
    overloads.push({
      id: id ?? name,
      isMember: receiver !== undefined,
      params,
      result: read(result),
      call,
      accepts: params.map(acceptor),
    });
    this.#byName.set(name, overloads);
    return this;
  }
}

function readSignature(signature: string): {
  receiver: string | undefined;
  name: string;
  parameters: string;
  result: string;
} {
  const close = signature.lastIndexOf('): ');
  let open = close;
  for (let depth = 1; depth > 0 && open >= 0;) {
    open--;
    if (signature[open] === ')') depth++;
    else if (signature[open] === '(') depth--;
  }
  if (close < 0 || open <= 0)
    throw new Error(`Declare a function as name(type): type, not as "${signature}"`);
  const head = signature.slice(0, open);
  const dot = head.startsWith('_') ? -1 : head.lastIndexOf('.');
  return {
    receiver: dot < 0 ? undefined : head.slice(0, dot),
    name: head.slice(dot + 1),
    parameters: signature.slice(open + 1, close),
    result: signature.slice(close + 3),
  };
}

/** Types of libraries by name, shared so that they are the same everywhere. */
export const libraryTypes = {
  quantity: structType('kubernetes.Quantity', () => undefined),
  url: structType('kubernetes.URL', () => undefined),
  ip: opaqueType('net.IP'),
  cidr: opaqueType('net.CIDR'),
  semver: structType('kubernetes.Semver', () => undefined),
  format: structType('kubernetes.NamedFormat', () => undefined),
  authorizer: structType('kubernetes.authorization.Authorizer', () => undefined),
  pathCheck: structType('kubernetes.authorization.PathCheck', () => undefined),
  groupCheck: structType('kubernetes.authorization.GroupCheck', () => undefined),
  resourceCheck: structType('kubernetes.authorization.ResourceCheck', () => undefined),
  decision: structType('kubernetes.authorization.Decision', () => undefined),
} as const;

function readType(text: string, letters: Map<string, CelType>): CelType {
  const trimmed = text.trim();
  if (/^[A-Z]$/.test(trimmed)) {
    const known = letters.get(trimmed) ?? paramType(trimmed);
    letters.set(trimmed, known);
    return known;
  }
  const generic = /^(list|map|optional)\((.*)\)$/.exec(trimmed);
  if (generic !== null) {
    const [first, second] = splitTop(generic[2] as string).map((each) => readType(each, letters));
    if (generic[1] === 'list') return listType(first as CelType);
    if (generic[1] === 'map') return mapType(first as CelType, second as CelType);
    return optionalType(first as CelType);
  }
  const found =
    celTypes[trimmed as keyof typeof celTypes] ?? libraryTypes[trimmed as keyof typeof libraryTypes];
  if (found === undefined) throw new Error(`Declare functions over known types, not "${trimmed}"`);
  return found;
}

function splitTop(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '(') depth++;
    else if (text[index] === ')') depth--;
    else if (text[index] === ',' && depth === 0) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  if (text.trim() !== '') parts.push(text.slice(start));
  return parts;
}

/** Whether a value may stand for a parameter of this type; element types are not looked at, but for lists of scalars. */
export function acceptor(type: CelType): (value: unknown) => boolean {
  switch (type.kind) {
    case 'bool':
      return (value) => typeof value === 'boolean';
    case 'int':
      return (value) => typeof value === 'bigint';
    case 'uint':
      return (value) => value instanceof Uint;
    case 'double':
      return (value) => typeof value === 'number';
    case 'string':
      return (value) => typeof value === 'string';
    case 'bytes':
      return (value) => value instanceof Uint8Array;
    case 'null':
      return (value) => value === null;
    case 'timestamp':
      return (value) => value instanceof Timestamp;
    case 'duration':
      return (value) => value instanceof Duration;
    case 'type':
      return (value) => value instanceof TypeValue;
    case 'list': {
      const element = acceptor(type.params[0] as CelType);
      return (value) => Array.isArray(value) && (value.length === 0 || element(value[0]));
    }
    case 'map':
      return (value) => value instanceof CelMap;
    case 'struct':
    case 'opaque':
      if (type.name === 'optional_type') return (value) => value instanceof CelOptional;
      return (value) =>
        (value instanceof CelOpaque || value instanceof CelObject) && value.type.name === type.name;
    default:
      return () => true;
  }
}
