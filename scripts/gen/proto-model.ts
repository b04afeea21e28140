// Reads proto/k8s/*.proto into the schema model of @pilothouse/apimachinery.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { FieldSchema, MessageSchema, ScalarKind, SpecialKind, TypeRef } from '@pilothouse/apimachinery';
import protobuf from 'protobufjs';

export interface ProtoModelFile {
  /** File name without `.proto`, for example `apps_v1`. */
  readonly name: string;
  readonly package: string;
  readonly group: string;
  readonly version: string;
  readonly use: string;
  readonly allKindsGroupVersions: readonly (readonly [string, string])[];
  readonly messages: readonly ModelMessage[];
}

/** OpenAPI facts of hand-made JSON ride along; they are not part of the codec's model. */
export interface ModelMessage extends MessageSchema {
  readonly openapiType?: string;
  readonly openapiFormat?: string;
  readonly oneOf?: readonly string[];
}

const scalars = new Set(['string', 'bool', 'int32', 'int64', 'double', 'bytes']);
const specials = new Set<string>([
  'Quantity',
  'IntOrString',
  'Time',
  'MicroTime',
  'Duration',
  'RawExtension',
  'JSON',
  'FieldsV1',
  'StringList',
  'JSONSchemaPropsOrArray',
  'JSONSchemaPropsOrBool',
  'JSONSchemaPropsOrStringArray',
  'Patch',
]);

/** Values of the `(schema.*)` options and native ones of an element, in order, keyed without the prefix. */
class Options {
  #values = new Map<string, unknown[]>();

  constructor(parsed: readonly Record<string, unknown>[] | null | undefined) {
    for (const entry of parsed ?? []) {
      for (const [key, value] of Object.entries(entry)) {
        const name = key.replace(/^\(schema\.(.*)\)$/, '$1');
        const list = this.#values.get(name);
        if (list) list.push(value);
        else this.#values.set(name, [value]);
      }
    }
  }

  text(name: string): string | undefined {
    return this.#values.get(name)?.[0] as string | undefined;
  }

  texts(name: string): string[] | undefined {
    return this.#values.get(name) as string[] | undefined;
  }

  flag(name: string): boolean {
    return this.#values.get(name)?.[0] === true;
  }

  json(name: string): unknown {
    const text = this.text(name);
    return text === undefined ? undefined : JSON.parse(text);
  }
}

type Parsed = { parsedOptions?: Record<string, unknown>[] | null };

const optionsOf = (element: unknown): Options => new Options((element as Parsed).parsedOptions);

/** Drops undefined members, so that the output holds only what is said. */
function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

export function readProtoModel(dir: string): ProtoModelFile[] {
  const root = new protobuf.Root();
  const parsed: { name: string; package: string; options: Options }[] = [];
  for (const fileName of readdirSync(dir).sort()) {
    if (!fileName.endsWith('.proto') || fileName === 'options.proto') continue;
    const source = readFileSync(join(dir, fileName), 'utf8');
    const result = protobuf.parse(source, root, { keepCase: true });
    const pkg = result.package;
    if (!pkg) throw new Error(`Cannot read ${fileName}: it has no package`);
    // protobufjs hangs file options on the namespace, where files could mix; one file has one package here.
    const options = fileOptions(source);
    parsed.push({ name: fileName.replace(/\.proto$/, ''), package: pkg, options });
  }
  const specialOf = (message: string): SpecialKind | undefined => {
    const special = optionsOf(root.lookupType(message)).text('special');
    return special && specials.has(special) ? (special as SpecialKind) : undefined;
  };
  return parsed.map((file): ProtoModelFile => {
    const namespace = root.lookup(file.package) as protobuf.Namespace;
    const types = namespace.nestedArray.filter(
      (item): item is protobuf.Type => item instanceof protobuf.Type,
    );
    return {
      name: file.name,
      package: file.package,
      group: file.options.text('group') ?? '',
      version: file.options.text('version') ?? '',
      use: file.options.text('use') ?? '',
      allKindsGroupVersions: (file.options.json('all_kinds_group_versions') ?? []) as [string, string][],
      messages: types.map((type) => readMessage(type, file.package, specialOf)),
    };
  });
}

function fileOptions(source: string): Options {
  const parsed: Record<string, unknown>[] = [];
  for (const match of source.matchAll(/^option (\(schema\.\w+\)) = ("(?:[^"\\]|\\.)*");$/gm))
    parsed.push({ [match[1] as string]: JSON.parse(match[2] as string) });
  return new Options(parsed);
}

type SpecialOf = (message: string) => SpecialKind | undefined;

function readMessage(type: protobuf.Type, pkg: string, specialOf: SpecialOf): ModelMessage {
  const options = optionsOf(type);
  const name = `${pkg}.${type.name}`;
  const gvk = options.texts('gvk');
  const special = specialOf(name);
  const jsonOnly = options.flag('json_only');
  const declaredSpecial = options.text('special') !== undefined;
  return compact({
    name,
    openapi: options.text('openapi'),
    gvk: !gvk
      ? undefined
      : gvk[0] === '*'
        ? ('*' as const)
        : gvk.map((text) => text.split('/') as [string, string, string]),
    typeMeta: options.flag('type_meta') || undefined,
    special,
    mapType: options.text('map_type') as 'atomic' | undefined,
    unions: options.json('unions'),
    openapiType: options.text('openapi_type'),
    openapiFormat: options.text('openapi_format'),
    oneOf: options.texts('one_of'),
    fields: type.fieldsArray.map((field) => readField(field, { jsonOnly, declaredSpecial, specialOf })),
  }) as ModelMessage;
}

function readField(
  field: protobuf.Field,
  context: { jsonOnly: boolean; declaredSpecial: boolean; specialOf: SpecialOf },
): FieldSchema {
  const options = optionsOf(field);
  const inline = options.flag('inline');
  const name = inline ? '' : (options.text('json_name') ?? field.name);
  return compact({
    name,
    protoName: name === field.name ? undefined : field.name,
    number: context.jsonOnly ? 0 : field.id,
    type: readType(field, context.specialOf),
    inline: inline || undefined,
    required: options.flag('required') || undefined,
    default: options.json('default_json'),
    format: options.text('format'),
    enum: options.texts('enum'),
    listType: options.text('list_type') as 'atomic' | undefined,
    listMapKeys: options.texts('list_map_key'),
    mapType: options.text('map_type') as 'atomic' | undefined,
    patchStrategy: options.text('patch_strategy'),
    patchMergeKey: options.text('patch_merge_key'),
    pointer: options.flag('pointer') || undefined,
    emit: options.flag('emit') || undefined,
    gates: options.texts('gate'),
  }) as FieldSchema;
}

function readType(field: protobuf.Field, specialOf: SpecialOf): TypeRef {
  const name = field.type.replace(/^\./, '');
  let element: TypeRef;
  if (scalars.has(name)) element = { kind: 'scalar', scalar: name as ScalarKind };
  else {
    const special = specialOf(name);
    element = special ? { kind: 'special', special, message: name } : { kind: 'message', message: name };
  }
  if (field instanceof protobuf.MapField) return { kind: 'map', value: element };
  return field.repeated ? { kind: 'list', element } : element;
}
