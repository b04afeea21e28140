import type {
  FieldSchema,
  MessageSchema,
  ScalarKind,
  SchemaRegistry,
  SpecialKind,
  TypeRef,
} from '@pilothouse/apimachinery';

import { kindTables, schemaFiles } from './generated/schemas/index.ts';

/**
 * Field as generated: [JSON name, number, type, flags, rest]. Flags: `i` inline, `r` required, `p` pointer, `e` emit.
 * Type grammar: a scalar letter (`s` string, `b` bool, `i` int32, `l` int64, `d` double, `y` bytes), `@message`,
 * `!Special:message`, `[element` or `{value`; a message of the same package goes without the package.
 */
type EncodedField = readonly [
  name: string,
  number: number,
  type: string,
  flags: string,
  rest?: Partial<FieldSchema>,
];

type EncodedMessage = Omit<MessageSchema, 'name' | 'fields'> & {
  readonly openapiType?: string;
  readonly openapiFormat?: string;
  readonly oneOf?: readonly string[];
  readonly fields: readonly EncodedField[];
};

interface SchemaFile {
  readonly package: string;
  readonly group: string;
  readonly version: string;
  readonly use: string;
  readonly messages: Readonly<Record<string, string>>;
}

/** A built-in message, with the OpenAPI facts of hand-made JSON. */
export interface BuiltinMessageSchema extends MessageSchema {
  readonly openapiType?: string;
  readonly openapiFormat?: string;
  readonly oneOf?: readonly string[];
}

const scalars: Readonly<Record<string, ScalarKind>> = {
  s: 'string',
  b: 'bool',
  i: 'int32',
  l: 'int64',
  d: 'double',
  y: 'bytes',
};

function decodeType(text: string, pkg: string): TypeRef {
  const rest = text.slice(1);
  const full = (name: string): string => (name.includes('.') ? name : `${pkg}.${name}`);
  switch (text[0]) {
    case '@':
      return { kind: 'message', message: full(rest) };
    case '!': {
      const colon = rest.indexOf(':');
      return {
        kind: 'special',
        special: rest.slice(0, colon) as SpecialKind,
        message: full(rest.slice(colon + 1)),
      };
    }
    case '[':
      return { kind: 'list', element: decodeType(rest, pkg) };
    case '{':
      return { kind: 'map', value: decodeType(rest, pkg) };
    default:
      return { kind: 'scalar', scalar: scalars[text] as ScalarKind };
  }
}

function decodeField([name, number, type, flags, rest]: EncodedField, pkg: string): FieldSchema {
  return {
    name,
    number,
    type: decodeType(type, pkg),
    ...(flags.includes('i') && { inline: true }),
    ...(flags.includes('r') && { required: true }),
    ...(flags.includes('p') && { pointer: true }),
    ...(flags.includes('e') && { emit: true }),
    ...rest,
  };
}

function decodeMessage(name: string, text: string, pkg: string): BuiltinMessageSchema {
  const { fields, ...rest } = JSON.parse(text) as EncodedMessage;
  return { name, ...rest, fields: fields.map((field) => decodeField(field, pkg)) };
}

const files: ReadonlyMap<string, SchemaFile> = new Map(
  schemaFiles.map((file): [string, SchemaFile] => [file.package, file]),
);

/** Schemas of all built-in types. Messages are decoded when first asked for and are then the same object each time. */
class BuiltinSchemas implements SchemaRegistry {
  #messages = new Map<string, BuiltinMessageSchema>();
  #kinds = new Map<string, Readonly<Record<string, string>>>();

  message(name: string): BuiltinMessageSchema | undefined {
    const known = this.#messages.get(name);
    if (known) return known;
    const split = name.lastIndexOf('.');
    const pkg = name.slice(0, split);
    const messages = files.get(pkg)?.messages;
    const base = name.slice(split + 1);
    if (!messages || !Object.hasOwn(messages, base)) return undefined;
    const schema = decodeMessage(name, messages[base] as string, pkg);
    this.#messages.set(name, schema);
    return schema;
  }

  kind(group: string, version: string, kind: string): BuiltinMessageSchema | undefined {
    const name = this.#kindTable(`${group}/${version}`)[kind] ?? this.#kindTable('*/*')[kind];
    return name === undefined ? undefined : this.message(name);
  }

  /** Kinds of one group-version, without those that every group-version knows. */
  kinds(group: string, version: string): readonly string[] {
    return Object.keys(this.#kindTable(`${group}/${version}`));
  }

  /** Full names of all messages, in the order of the files. */
  messageNames(): string[] {
    return [...files.values()].flatMap((file) =>
      Object.keys(file.messages).map((base) => `${file.package}.${base}`),
    );
  }

  #kindTable(key: string): Readonly<Record<string, string>> {
    const known = this.#kinds.get(key);
    if (known) return known;
    const text = Object.hasOwn(kindTables, key) ? (kindTables[key] as string) : '{}';
    const table = Object.assign(Object.create(null) as object, JSON.parse(text)) as Record<string, string>;
    if (Object.hasOwn(kindTables, key)) this.#kinds.set(key, table);
    return table;
  }
}

export type BuiltinSchemaRegistry = BuiltinSchemas;
export const builtinSchemas: BuiltinSchemaRegistry = new BuiltinSchemas();
