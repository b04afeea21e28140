// Renders TypeScript interfaces of the JSON shape, one file for each group-version.
import type { FieldSchema, TypeRef } from '@pilothouse/apimachinery';

import type { ModelMessage, ProtoModelFile } from './proto-model.ts';
import { header, moduleAlias, moduleName } from './render-schemas.ts';

/** These are written by hand in @pilothouse/apimachinery, because everything uses them. */
const handMade = new Map([
  ['k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta', 'ObjectMeta'],
  ['k8s.io.apimachinery.pkg.apis.meta.v1.OwnerReference', 'OwnerReference'],
  ['k8s.io.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry', 'ManagedFieldsEntry'],
]);

const scalarTypes = {
  string: 'string',
  bool: 'boolean',
  int32: 'number',
  int64: 'number',
  double: 'number',
  bytes: 'string',
} as const;

interface Scope {
  readonly file: ProtoModelFile;
  readonly filesByPackage: ReadonlyMap<string, ProtoModelFile>;
  readonly messages: ReadonlyMap<string, ModelMessage>;
  readonly imports: Map<string, ProtoModelFile>;
  readonly handMade: Set<string>;
}

function messageType(message: string, scope: Scope): string {
  const known = handMade.get(message);
  if (known) {
    scope.handMade.add(known);
    return known;
  }
  const split = message.lastIndexOf('.');
  const pkg = message.slice(0, split);
  const base = message.slice(split + 1);
  if (pkg === scope.file.package) return base;
  const target = scope.filesByPackage.get(pkg);
  if (!target) throw new Error(`Cannot find the file of package "${pkg}"`);
  const alias = moduleAlias(target);
  scope.imports.set(alias, target);
  return `${alias}.${base}`;
}

function specialType(type: Extract<TypeRef, { kind: 'special' }>, scope: Scope): string {
  switch (type.special) {
    case 'Quantity':
    case 'Time':
    case 'MicroTime':
    case 'Duration':
      return 'string';
    case 'IntOrString':
      return 'number | string';
    case 'StringList':
      return 'string[]';
    case 'FieldsV1':
      return 'Record<string, unknown>';
    case 'JSONSchemaPropsOrArray':
      return `${messageType(schemaProps(type.message), scope)} | ${messageType(schemaProps(type.message), scope)}[]`;
    case 'JSONSchemaPropsOrBool':
      return `${messageType(schemaProps(type.message), scope)} | boolean`;
    case 'JSONSchemaPropsOrStringArray':
      return `${messageType(schemaProps(type.message), scope)} | string[]`;
    case 'RawExtension':
    case 'JSON':
    case 'Patch':
      return 'unknown';
  }
}

const schemaProps = (message: string): string =>
  `${message.slice(0, message.lastIndexOf('.'))}.JSONSchemaProps`;

function typeText(type: TypeRef, scope: Scope, values?: readonly string[]): string {
  switch (type.kind) {
    case 'scalar':
      return values ? values.map((value) => quote(value)).join(' | ') : scalarTypes[type.scalar];
    case 'special':
      return specialType(type, scope);
    case 'message':
      return messageType(type.message, scope);
    case 'list': {
      const element = typeText(type.element, scope, values);
      return /[| ]/.test(element) ? `(${element})[]` : `${element}[]`;
    }
    case 'map':
      return `Record<string, ${typeText(type.value, scope, values)}>`;
  }
}

const quote = (text: string): string => `'${text}'`;
const memberName = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name));

/** Fields as JSON shows them: inline messages spread into the parent. */
function jsonFields(message: ModelMessage, scope: Scope): FieldSchema[] {
  return message.fields.flatMap((field) => {
    if (!field.inline || field.type.kind !== 'message') return [field];
    const target = scope.messages.get(field.type.message);
    if (!target) throw new Error(`Cannot find message "${field.type.message}"`);
    return jsonFields(target, scope);
  });
}

function renderInterface(message: ModelMessage, scope: Scope): string {
  const base = message.name.slice(scope.file.package.length + 1);
  const lines: string[] = [];
  if (message.typeMeta) lines.push('  apiVersion?: string;', '  kind?: string;');
  for (const field of jsonFields(message, scope)) {
    const isObjectMeta =
      message.typeMeta &&
      field.name === 'metadata' &&
      field.type.kind === 'message' &&
      field.type.message.endsWith('.ObjectMeta');
    const optional = isObjectMeta || (field.required && !field.pointer) ? '' : '?';
    lines.push(`  ${memberName(field.name)}${optional}: ${typeText(field.type, scope, field.enum)};`);
  }
  if (lines.length === 0) return `export type ${base} = Record<string, never>;`;
  return `export interface ${base} {\n${lines.join('\n')}\n}`;
}

/** Undefined when the file has only hand-made JSON. */
export function renderTypesFile(
  file: ProtoModelFile,
  filesByPackage: ReadonlyMap<string, ProtoModelFile>,
  messages: ReadonlyMap<string, ModelMessage>,
): string | undefined {
  const scope: Scope = { file, filesByPackage, messages, imports: new Map(), handMade: new Set() };
  const plain = file.messages.filter((message) => !message.special && !handMade.has(message.name));
  if (plain.length === 0 || file.version === '') return undefined;
  const bodies = plain.map((message) => renderInterface(message, scope));
  const imports: string[] = [];
  if (scope.handMade.size > 0)
    imports.push(`import type { ${[...scope.handMade].sort().join(', ')} } from '@pilothouse/apimachinery';`);
  for (const [alias, target] of [...scope.imports].sort(([a], [b]) => (a < b ? -1 : 1)))
    imports.push(`import type * as ${alias} from './${moduleName(target)}.ts';`);
  return `${header}\n${imports.length > 0 ? `${imports.join('\n')}\n\n` : ''}${bodies.join('\n\n')}\n`;
}

export function renderTypesIndex(files: readonly ProtoModelFile[]): string {
  const lines = files.map((file) => `export type * as ${moduleAlias(file)} from './${moduleName(file)}.ts';`);
  return `${header}\n${lines.join('\n')}\n`;
}
