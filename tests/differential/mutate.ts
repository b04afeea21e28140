import type { FieldSchema, MessageSchema, TypeRef } from '@pilothouse/apimachinery';
import { fieldsByName } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import type { SeededRandom } from '@pilothouse/testkit';

type Node = Record<string, unknown>;

const texts: readonly string[] = [
  '',
  'a',
  'b',
  'base',
  'http',
  'Bad_Name',
  'valid-name',
  '-x',
  'example.com/x',
  'example.com',
  'a/b/c',
  'x'.repeat(64),
  'y'.repeat(254),
  '10.0.0.1',
  '010.0.0.1',
  '::1',
  '10.0.0.0/8',
  '10.0.0.1/8',
  '1',
  '0',
  '/abs/path',
  '../up',
  'a/../b',
  ' blank',
  'é',
  'None',
  'All',
  'kubernetes.io/x',
  '$(A)',
  '*',
  '*.example.com',
  'https://example.com/a?b',
  'True',
];
const quantities: readonly unknown[] = [
  '1',
  '0',
  '-1',
  '100m',
  '1.5Gi',
  '1e3',
  'abc',
  '0.5m',
  5,
  '',
  '1Ki',
  '1000000000000000000000',
];
const integers: readonly number[] = [
  -1, 0, 1, 2, 7, 80, 100, 101, 1000, 65535, 65536, 100000, 2147483647, -2147483648,
];
/** Where JavaScript's numbers lose digits, and where 64 bits end. */
const longIntegers: readonly (number | bigint)[] = [
  9007199254740992,
  9007199254740993n,
  -9007199254740993n,
  9223372036854775807n,
  -9223372036854775808n,
  9223372036854775808n,
  100000000000000000000n,
];
const intOrStrings: readonly unknown[] = [
  0,
  1,
  -1,
  80,
  70000,
  '50%',
  '101%',
  '-5%',
  'http',
  'abc%',
  '',
  '100%',
  '0%',
];
const times: readonly unknown[] = [
  '2026-01-02T03:04:05Z',
  '2026-01-02T03:04:05.000006Z',
  'bad',
  null,
  '0001-01-01T00:00:00Z',
];
const wrongTypes: readonly unknown[] = [
  'text',
  5,
  1.5,
  true,
  [],
  {},
  null,
  [1],
  { a: 1 },
  -9007199254740992,
  4294967296,
];

/** Fields that differ by nature, or whose rules are the same everywhere: they are seldom changed. */
const dull = new Set([
  'apiVersion',
  'kind',
  'managedFields',
  'creationTimestamp',
  'uid',
  'resourceVersion',
  'selfLink',
]);

/** Deepest nesting of a value that is made up. */
const depthMax = 4;

/** Makes a value of a type, good or bad. */
export class Mutator {
  readonly #random: SeededRandom;
  /** Every text and number of the objects at hand, to make references that hit. */
  readonly #words: string[];

  constructor(random: SeededRandom, words: readonly string[]) {
    this.#random = random;
    this.#words = [...words];
  }

  /** Changes one to `most` places of the object, in place. */
  mutate(object: Node, schema: MessageSchema, most: number): void {
    const count = 1 + this.#random.integer(most);
    for (let round = 0; round < count; round++) this.#mutateOnce(object, schema);
  }

  #mutateOnce(object: Node, schema: MessageSchema): void {
    let node = object;
    let message = schema;
    for (;;) {
      const deeper = this.#children(node, message);
      if (deeper.length === 0 || this.#random.chance(message === schema ? 0.05 : 0.3)) break;
      const [next, nextMessage] = this.#random.pick(deeper);
      node = next;
      message = nextMessage;
    }
    const fields = [...fieldsByName(builtinSchemas, message).values()].filter(
      (field) => !dull.has(field.name) || this.#random.chance(0.02),
    );
    if (fields.length === 0) return;
    const present = fields.filter((field) => node[field.name] !== undefined);
    const field =
      present.length > 0 && this.#random.chance(0.6) ? this.#random.pick(present) : this.#random.pick(fields);
    this.#change(node, field);
  }

  #change(node: Node, field: FieldSchema): void {
    const current = node[field.name];
    const roll = this.#random.float();
    if (roll < 0.02) node[field.name] = this.#random.pick(wrongTypes);
    else if (roll < 0.03) node[`${field.name}X`] = 1;
    else if (current !== undefined && roll < 0.2) delete node[field.name];
    else if (roll < 0.25) node[field.name] = null;
    else if (Array.isArray(current) && current.length > 0 && roll < 0.45) {
      const copy = structuredClone(this.#random.pick(current as unknown[]));
      node[field.name] = this.#random.chance(0.2)
        ? (current as unknown[]).slice(1)
        : [...(current as unknown[]), copy];
    } else if (Array.isArray(current) && roll < 0.7 && field.type.kind === 'list') {
      node[field.name] = [...(current as unknown[]), this.#value(field, field.type.element, 1)];
    } else node[field.name] = this.#value(field, field.type, 0);
  }

  /** Objects inside a node, with their schemas. */
  #children(node: Node, message: MessageSchema): [Node, MessageSchema][] {
    const found: [Node, MessageSchema][] = [];
    const visit = (value: unknown, type: TypeRef): void => {
      if (type.kind === 'list' && Array.isArray(value)) for (const each of value) visit(each, type.element);
      else if (type.kind === 'map' && isNode(value))
        for (const each of Object.values(value)) visit(each, type.value);
      else if (type.kind === 'message' && isNode(value)) {
        const inner = builtinSchemas.message(type.message);
        if (inner) found.push([value, inner]);
      }
    };
    for (const field of fieldsByName(builtinSchemas, message).values())
      if (!dull.has(field.name)) visit(node[field.name], field.type);
    return found;
  }

  #text(field: FieldSchema): string {
    const random = this.#random;
    if (field.enum && random.chance(0.7)) return random.pick(field.enum);
    if (this.#words.length > 0 && random.chance(0.3)) return random.pick(this.#words);
    return random.pick(texts);
  }

  #value(field: FieldSchema, type: TypeRef, depth: number): unknown {
    const random = this.#random;
    switch (type.kind) {
      case 'scalar':
        switch (type.scalar) {
          case 'string':
            return this.#text(field);
          case 'bool':
            return random.chance(0.5);
          case 'bytes':
            return random.pick(['aGVsbG8=', '', '!', 'YQ', '====']);
          case 'double':
            return random.pick([0, 1.5, -1]);
          case 'int64':
            return random.chance(0.15) ? random.pick(longIntegers) : random.pick(integers);
          default:
            return random.pick(integers);
        }
      case 'special':
        return this.#special(type.special);
      case 'list': {
        const count = random.integer(3);
        return Array.from({ length: count }, () => this.#value(field, type.element, depth + 1));
      }
      case 'map': {
        const map: Node = {};
        for (let count = random.integer(3); count > 0; count--)
          map[random.chance(0.5) ? random.pick(['a', 'b', 'cpu', 'memory', 'storage']) : random.pick(texts)] =
            this.#value(field, type.value, depth + 1);
        return map;
      }
      default:
        return this.#message(type.message, depth);
    }
  }

  #message(name: string, depth: number): Node {
    const random = this.#random;
    const node: Node = {};
    const message = builtinSchemas.message(name);
    if (!message || depth > depthMax) return node;
    for (const field of fieldsByName(builtinSchemas, message).values()) {
      if (dull.has(field.name)) continue;
      if (random.chance(field.required ? 0.9 : 0.25))
        node[field.name] = this.#value(field, field.type, depth + 1);
    }
    return node;
  }

  #special(special: string): unknown {
    const random = this.#random;
    switch (special) {
      case 'Quantity':
        return random.pick(quantities);
      case 'IntOrString':
        return random.pick(intOrStrings);
      case 'Time':
      case 'MicroTime':
        return random.pick(times);
      case 'Duration':
        return random.pick(['1s', '0s', '-1s', 'bad']);
      case 'RawExtension':
      case 'JSON':
        return random.pick<unknown>([{ a: 1 }, {}, { apiVersion: 'v1', kind: 'X' }]);
      default:
        return {};
    }
  }
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Texts inside a value. */
export function wordsOf(value: unknown, found: Set<string> = new Set()): Set<string> {
  if (typeof value === 'string') found.add(value);
  else if (Array.isArray(value)) for (const each of value) wordsOf(each, found);
  else if (isNode(value)) for (const each of Object.values(value)) wordsOf(each, found);
  return found;
}
