import type { FieldSchema, MessageSchema, TypeRef } from '@pilothouse/apimachinery';
import { fieldsByName } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';

type Node = Record<string, unknown>;

/** One change of one field: `path` leads to the object that holds it. */
export interface FieldChange {
  readonly path: readonly (string | number)[];
  readonly field: string;
  /** `absent` takes the field away. */
  readonly value: unknown;
}

export const absent = Symbol('absent');

/** Fields that the server writes itself, or that have the same rules in all kinds (the sweep has them). */
const skipped = new Set([
  'apiVersion',
  'kind',
  'metadata',
  'managedFields',
  'creationTimestamp',
  'uid',
  'resourceVersion',
  'selfLink',
]);

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every change of every field of the object, and of those that its type has and the object not, as deep as the object goes. */
export function* fieldChanges(object: Node, schema: MessageSchema): Generator<FieldChange> {
  yield* walk(object, schema, []);
}

function* walk(
  node: Node,
  schema: MessageSchema,
  path: readonly (string | number)[],
): Generator<FieldChange> {
  for (const field of fieldsByName(builtinSchemas, schema).values()) {
    if (skipped.has(field.name) && (path.length === 0 || field.name !== 'metadata')) continue;
    const current = node[field.name];
    for (const value of valuesOf(field, current)) yield { path, field: field.name, value };
    yield* inside(current, field.type, [...path, field.name]);
  }
}

/** Of lists only the first two elements are walked: the others have the same rules. */
function* inside(value: unknown, type: TypeRef, path: readonly (string | number)[]): Generator<FieldChange> {
  if (type.kind === 'message' && isNode(value)) {
    const message = builtinSchemas.message(type.message);
    if (message) yield* walk(value, message, path);
  } else if (type.kind === 'list' && Array.isArray(value)) {
    for (const [index, each] of (value as unknown[]).slice(0, 2).entries())
      yield* inside(each, type.element, [...path, index]);
  } else if (type.kind === 'map' && isNode(value)) {
    for (const [key, each] of Object.entries(value).slice(0, 1))
      yield* inside(each, type.value, [...path, key]);
  }
}

function valuesOf(field: FieldSchema, current: unknown): unknown[] {
  const values = candidates(field, field.type, current);
  if (current !== undefined) values.push(absent);
  values.push(null);
  return values.filter((value) => JSON.stringify(value) !== JSON.stringify(current));
}

function candidates(field: FieldSchema, type: TypeRef, current: unknown): unknown[] {
  switch (type.kind) {
    case 'scalar':
      switch (type.scalar) {
        case 'string':
          return ['', 'Bad_Name', 'good-name', 'x'.repeat(260), ...(field.enum ?? []), 5];
        case 'bool':
          return [current !== true, 'true'];
        case 'bytes':
          return ['', 'aGVsbG8=', '!'];
        default:
          return [-1, 0, 1, 70_000, 2 ** 31, 'x'];
      }
    case 'special':
      return specials(type.special);
    case 'list':
      return lists(field, type.element, current);
    case 'map':
      return [{}, { 'bad key!': mapValue(type.value) }, { good: mapValue(type.value) }, []];
    default:
      return [{}, 'text', ...minimal(type.message)];
  }
}

function specials(special: string): unknown[] {
  switch (special) {
    case 'Quantity':
      return ['0', '-1', '1500m', '1Gi', 'bad', 1.5];
    case 'IntOrString':
      return [-1, 0, 5, 70_000, '5%', '101%', '-5%', 'http', 'Bad_Name', ''];
    case 'Time':
    case 'MicroTime':
      return ['2026-01-02T03:04:05Z', 'bad', 5];
    case 'Duration':
      return ['-1s', '0s', 'bad'];
    default:
      return [{}, { a: 1 }, 'text'];
  }
}

function lists(field: FieldSchema, element: TypeRef, current: unknown): unknown[] {
  const own = Array.isArray(current) ? (current as unknown[]) : [];
  const some = candidates(field, element, own[0]).slice(0, 8);
  return [
    [],
    'text',
    [null],
    ...(own.length > 0 ? [[...own, own[0]], own.slice(1)] : []),
    ...some.map((each) => (own.length > 0 && element.kind === 'message' ? [...own, each] : [each])),
  ];
}

function mapValue(type: TypeRef): unknown {
  if (type.kind === 'special') return '1';
  if (type.kind === 'list') return ['x'];
  if (type.kind === 'scalar' && type.scalar === 'bytes') return 'aGVsbG8=';
  return type.kind === 'scalar' ? 'x' : {};
}

/** An object of the type with every field at a harmless value, one level deep, and one with the required fields alone. */
function minimal(name: string): unknown[] {
  const message = builtinSchemas.message(name);
  if (!message) return [];
  const fields = [...fieldsByName(builtinSchemas, message).values()];
  const fill = (wanted: readonly FieldSchema[]): Node =>
    Object.fromEntries(wanted.map((field) => [field.name, harmless(field, field.type)]));
  const required = fields.filter((field) => field.required);
  return [fill(fields), ...(required.length > 0 ? [fill(required)] : [])];
}

function harmless(field: FieldSchema, type: TypeRef): unknown {
  switch (type.kind) {
    case 'scalar':
      if (type.scalar === 'bool') return true;
      if (type.scalar === 'bytes') return 'aGVsbG8=';
      return type.scalar === 'string' ? (field.enum?.[0] ?? 'good-name') : 1;
    case 'special':
      return type.special.endsWith('Time')
        ? '2026-01-02T03:04:05Z'
        : type.special === 'Duration'
          ? '1s'
          : '1';
    case 'list':
      return [harmless(field, type.element)];
    case 'map':
      return { good: mapValue(type.value) };
    default:
      return {};
  }
}

/** A copy of the object with the change made. */
export function changed(object: Node, change: FieldChange): Node {
  const copy = structuredClone(object);
  let node = copy as Record<string | number, unknown>;
  for (const step of change.path) node = node[step] as Record<string | number, unknown>;
  if (change.value === absent) delete node[change.field];
  else node[change.field] = change.value;
  return copy;
}
