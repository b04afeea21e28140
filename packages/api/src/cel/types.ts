/** A type of the expression language. Lists, maps and opaque types carry parameters; structs look their fields up. */
export interface CelType {
  readonly kind:
    | 'bool'
    | 'int'
    | 'uint'
    | 'double'
    | 'string'
    | 'bytes'
    | 'null'
    | 'timestamp'
    | 'duration'
    | 'dyn'
    | 'error'
    | 'type'
    | 'list'
    | 'map'
    | 'struct'
    | 'opaque'
    | 'param';
  /** How messages print it. */
  readonly name: string;
  readonly params: readonly CelType[];
  /** Of structs whose fields are known: the type of one, undefined when there is no such field. */
  readonly field?: (name: string) => CelType | undefined;
  /** What of a value's size is known from its declaration. */
  readonly bounds?: TypeBounds;
}

/** Limits that a schema sets on values: sizes in elements (or bytes of strings), and the smallest JSON text. */
export interface TypeBounds {
  readonly maxElements: number;
  readonly minSerializedSize: number;
}

const simple = (kind: CelType['kind'], name: string): CelType => ({ kind, name, params: [] });

export const celTypes = {
  bool: simple('bool', 'bool'),
  int: simple('int', 'int'),
  uint: simple('uint', 'uint'),
  double: simple('double', 'double'),
  string: simple('string', 'string'),
  bytes: simple('bytes', 'bytes'),
  null: simple('null', 'null'),
  timestamp: simple('timestamp', 'timestamp'),
  duration: simple('duration', 'duration'),
  dyn: simple('dyn', 'dyn'),
  error: simple('error', '!error!'),
  type: simple('type', 'type'),
} as const;

export const listType = (element: CelType, bounds?: TypeBounds): CelType => ({
  kind: 'list',
  name: 'list',
  params: [element],
  ...(bounds === undefined ? {} : { bounds }),
});
export const mapType = (key: CelType, value: CelType, bounds?: TypeBounds): CelType => ({
  kind: 'map',
  name: 'map',
  params: [key, value],
  ...(bounds === undefined ? {} : { bounds }),
});
export const optionalType = (value: CelType): CelType => ({
  kind: 'opaque',
  name: 'optional_type',
  params: [value],
});
export const opaqueType = (name: string): CelType => simple('opaque', name);
export const paramType = (name: string): CelType => simple('param', name);
export const structType = (
  name: string,
  field?: (name: string) => CelType | undefined,
  bounds?: TypeBounds,
): CelType => ({
  kind: 'struct',
  name,
  params: [],
  ...(field === undefined ? {} : { field }),
  ...(bounds === undefined ? {} : { bounds }),
});

export const isOptionalType = (type: CelType): boolean =>
  type.kind === 'opaque' && type.name === 'optional_type';

/** A type in messages: `list(string)`, `map(string, int)`, `duration`. */
export function formatType(type: CelType): string {
  return type.params.length === 0 ? type.name : `${type.name}(${type.params.map(formatType).join(', ')})`;
}

/** What type parameters stand for so far, in one expression. */
export class Substitution {
  #bound: Map<CelType, CelType>;

  constructor(bound = new Map<CelType, CelType>()) {
    this.#bound = bound;
  }

  copy(): Substitution {
    return new Substitution(new Map(this.#bound));
  }

  adopt(other: Substitution): void {
    this.#bound = other.#bound;
  }

  /** The type with its parameters replaced; free ones stay, or become dyn. */
  resolve(type: CelType, freeIsDyn = false): CelType {
    if (type.kind === 'param') {
      const bound = this.#bound.get(type);
      if (bound !== undefined) return this.resolve(bound, freeIsDyn);
      return freeIsDyn ? celTypes.dyn : type;
    }
    if (type.params.length === 0) return type;
    const params = type.params.map((each) => this.resolve(each, freeIsDyn));
    return params.every((each, index) => each === type.params[index]) ? type : { ...type, params };
  }

  /** Whether a value of `from` may stand where `to` is wanted; parameters are bound on the way. */
  assign(to: CelType, from: CelType): boolean {
    const target = this.#head(to);
    const source = this.#head(from);
    if (target === source) return true;
    if (target.kind === 'param') return this.#bind(target, source);
    if (source.kind === 'param') return this.#bind(source, target);
    if (isLoose(target) || isLoose(source)) return true;
    if (source.kind === 'null') return isNullable(target);
    if (target.kind === 'null') return isNullable(source);
    if (target.kind !== source.kind || target.params.length !== source.params.length) return false;
    if (
      (target.kind === 'struct' || target.kind === 'opaque') &&
      (target.name !== source.name || (target.kind === 'struct' && !sameStruct(target, source)))
    )
      return false;
    return target.params.every((each, index) => this.assign(each, source.params[index] as CelType));
  }

  #head(type: CelType): CelType {
    let head = type;
    while (head.kind === 'param') {
      const bound = this.#bound.get(head);
      if (bound === undefined) return head;
      head = bound;
    }
    return head;
  }

  #bind(param: CelType, type: CelType): boolean {
    if (this.#occurs(param, type)) return false;
    this.#bound.set(param, type);
    return true;
  }

  #occurs(param: CelType, type: CelType): boolean {
    const head = this.#head(type);
    return head === param || head.params.some((each) => this.#occurs(param, each));
  }
}

const isLoose = ({ kind }: CelType): boolean => kind === 'dyn' || kind === 'error';
const isNullable = ({ kind }: CelType): boolean =>
  kind === 'null' || kind === 'struct' || kind === 'opaque' || kind === 'timestamp' || kind === 'duration';

/** Objects of a schema are all called "object"; they are the same when their fields come from one place. */
const sameStruct = (a: CelType, b: CelType): boolean => a.name !== 'object' || a.field === b.field;
