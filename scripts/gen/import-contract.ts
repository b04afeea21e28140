// Writes proto/k8s from the recorded API contract (run by hand, where ../shared/contract exists, when Kubernetes moves on).
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const contractDir = join(root, '../shared/contract');
const outDir = join(root, 'proto/k8s');

interface ContractField {
  json: string | null;
  proto?: string;
  num: number | null;
  type: string;
  label?: 'repeated';
  inline?: boolean;
  special?: string;
  required?: boolean;
  default?: unknown;
  format?: string;
  enum?: string[];
  known?: string[];
  listType?: string;
  listMapKeys?: string[];
  mapType?: string;
  patchStrategy?: string;
  patchMergeKey?: string;
  ptr?: boolean;
  emit?: boolean;
  gates?: string[];
}

interface ContractType {
  proto: string | null;
  openapi: string | null;
  gvk?: [string, string, string][] | '*';
  typeMeta?: boolean;
  special?: string;
  mapType?: string;
  unions?: unknown;
  unusedNums?: number[];
  openapiType?: string;
  format?: string;
  oneOf?: string[];
  fields: ContractField[];
}

interface ContractFile {
  group?: string;
  version?: string;
  protoPackage?: string;
  use: string;
  allKindsGroupVersions?: [string, string][];
  types: Record<string, ContractType>;
}

/** One .proto to write: all messages of one protobuf package. */
interface ProtoFile {
  name: string;
  package: string;
  options: Record<string, string>;
  types: { name: string; type: ContractType }[];
}

const metaPackage = 'k8s.io.apimachinery.pkg.apis.meta.v1';
const anyMessage = 'k8s.io.apimachinery.pkg.runtime.RawExtension';

/** Files of the packages that meta.json spreads over. */
const sharedFiles: Record<string, { name: string; group: string; version: string }> = {
  [metaPackage]: { name: 'meta_v1', group: 'meta.k8s.io', version: 'v1' },
  'k8s.io.apimachinery.pkg.apis.meta.v1beta1': {
    name: 'meta_v1beta1',
    group: 'meta.k8s.io',
    version: 'v1beta1',
  },
  'k8s.io.apimachinery.pkg.runtime': { name: 'runtime', group: '', version: '' },
  'k8s.io.apimachinery.pkg.api.resource': { name: 'resource', group: '', version: '' },
  'k8s.io.apimachinery.pkg.util.intstr': { name: 'intstr', group: '', version: '' },
  'k8s.io.apimachinery.pkg.version': { name: 'version', group: '', version: '' },
};

/**
 * Messages whose JSON members come in another order than their protobuf numbers (Go's declaration order, observed in answers of a
 * stock server): message → JSON names. A .proto lists the fields of a message in JSON order.
 */
const jsonOrder = JSON.parse(readFileSync(join(outDir, 'json-order.json'), 'utf8')) as Record<
  string,
  string[]
>;

function inJsonOrder(message: string, fields: readonly ContractField[]): ContractField[] {
  const order = jsonOrder[message];
  if (!order) return [...fields];
  const position = (field: ContractField): number => {
    const index = order.indexOf(field.json ?? '');
    return index < 0 ? order.length : index;
  };
  // Inline fields have no JSON name of their own and stay in front.
  return [
    ...fields.filter((field) => field.inline),
    ...fields.filter((field) => !field.inline).sort((a, b) => position(a) - position(b)),
  ];
}

const quote = (text: string): string => JSON.stringify(text);
const packageOf = (message: string): string => message.slice(0, message.lastIndexOf('.'));
const baseOf = (message: string): string => message.slice(message.lastIndexOf('.') + 1);

/** Full message name of a contract type, also for those without a protobuf form. */
function messageName(key: string, type: ContractType): string {
  if (type.proto) return type.proto;
  return key === 'version.Info' ? 'k8s.io.apimachinery.pkg.version.Info' : `${metaPackage}.${key}`;
}

function readContract(): Map<string, ProtoFile> {
  const files = new Map<string, ProtoFile>();
  for (const fileName of readdirSync(join(contractDir, 'types')).sort()) {
    const file = JSON.parse(readFileSync(join(contractDir, 'types', fileName), 'utf8')) as ContractFile;
    for (const [key, type] of Object.entries(file.types)) {
      const message = messageName(key, type);
      const pkg = packageOf(message);
      let target = files.get(pkg);
      if (!target) {
        const shared = sharedFiles[pkg];
        const options: Record<string, string> = {
          group: shared?.group ?? file.group ?? '',
          version: shared?.version ?? file.version ?? '',
          use: file.use,
        };
        if (pkg === metaPackage)
          options['all_kinds_group_versions'] = JSON.stringify(file.allKindsGroupVersions);
        target = {
          name: shared?.name ?? fileName.replace(/\.json$/, ''),
          package: pkg,
          options,
          types: [],
        };
        files.set(pkg, target);
      }
      target.types.push({
        name: baseOf(message),
        type: { ...type, fields: inJsonOrder(message, type.fields) },
      });
    }
  }
  return files;
}

function option(name: string, value: string | boolean): string {
  return `(schema.${name}) = ${typeof value === 'string' ? quote(value) : String(value)}`;
}

function messageOptions(type: ContractType): string[] {
  const out: string[] = [];
  if (type.openapi) out.push(option('openapi', type.openapi));
  if (type.gvk === '*') out.push(option('gvk', '*'));
  else for (const gvk of type.gvk ?? []) out.push(option('gvk', gvk.join('/')));
  if (type.typeMeta) out.push(option('type_meta', true));
  if (type.special) out.push(option('special', type.special));
  if (type.mapType) out.push(option('map_type', type.mapType));
  if (type.unions) out.push(option('unions', JSON.stringify(type.unions)));
  if (type.openapiType) out.push(option('openapi_type', type.openapiType));
  if (type.format) out.push(option('openapi_format', type.format));
  for (const one of type.oneOf ?? []) out.push(option('one_of', one));
  if (!type.proto) out.push(option('json_only', true));
  return out;
}

function fieldOptions(field: ContractField, protoName: string): string[] {
  const out: string[] = [];
  if (field.json !== null && field.json !== protoName) out.push(`json_name = ${quote(field.json)}`);
  if (field.inline) out.push(option('inline', true));
  if (field.required) out.push(option('required', true));
  if (field.default !== undefined) out.push(option('default_json', JSON.stringify(field.default)));
  if (field.format) out.push(option('format', field.format));
  for (const value of field.enum ?? []) out.push(option('enum', value));
  for (const value of field.known ?? []) out.push(option('known', value));
  if (field.listType) out.push(option('list_type', field.listType));
  for (const key of field.listMapKeys ?? []) out.push(option('list_map_key', key));
  if (field.mapType) out.push(option('map_type', field.mapType));
  if (field.patchStrategy) out.push(option('patch_strategy', field.patchStrategy));
  if (field.patchMergeKey) out.push(option('patch_merge_key', field.patchMergeKey));
  if (field.ptr) out.push(option('pointer', true));
  if (field.emit) out.push(option('emit', true));
  for (const gate of field.gates ?? []) out.push(option('gate', gate));
  return out;
}

function protoType(type: string): string {
  const map = /^map<string,(.*)>$/.exec(type);
  if (map) return `map<string, ${protoType(map[1] as string)}>`;
  if (type === 'any') return `.${anyMessage}`;
  return type.includes('.') ? `.${type}` : type;
}

function referencedPackages(file: ProtoFile): Set<string> {
  const out = new Set<string>();
  for (const { type } of file.types) {
    for (const field of type.fields) {
      const name = /\.([\w.]+)/.exec(protoType(field.type));
      if (name) out.add(packageOf(name[1] as string));
    }
  }
  out.delete(file.package);
  return out;
}

function render(file: ProtoFile, files: Map<string, ProtoFile>): string {
  const lines = [
    `// ${file.options['group'] || file.name}${file.options['version'] ? ` ${file.options['version']}` : ''} of Kubernetes v1.36.3. Written by scripts/gen/import-contract.ts.`,
    'syntax = "proto2";',
    '',
    `package ${file.package};`,
    '',
    'import "options.proto";',
  ];
  const imports = [...referencedPackages(file)].map((pkg) => {
    const target = files.get(pkg);
    if (!target) throw new Error(`Cannot find the file of package "${pkg}" used by "${file.package}"`);
    return `import "${target.name}.proto";`;
  });
  lines.push(...imports.sort(), '');
  for (const [name, value] of Object.entries(file.options)) lines.push(`option ${option(name, value)};`);
  for (const { name, type } of file.types) {
    lines.push('', `message ${name} {`);
    for (const text of messageOptions(type)) lines.push(`  option ${text};`);
    if (type.unusedNums?.length) lines.push(`  reserved ${type.unusedNums.join(', ')};`);
    type.fields.forEach((field, index) => {
      const protoName = field.proto ?? field.json ?? '';
      const isMap = field.type.startsWith('map<');
      const label = isMap ? '' : field.label === 'repeated' ? 'repeated ' : 'optional ';
      const options = fieldOptions(field, protoName);
      const suffix = options.length > 0 ? ` [${options.join(', ')}]` : '';
      const number = type.proto ? field.num : index + 1;
      lines.push(`  ${label}${protoType(field.type)} ${protoName} = ${String(number)}${suffix};`);
    });
    lines.push('}');
  }
  return `${lines.join('\n')}\n`;
}

/** JSON with one line for each element of the long lists, so that a change reads as a short diff. */
function jsonByLine(value: unknown, depth = 0): string {
  const flat = JSON.stringify(value);
  if (depth >= 2 || flat.length < 100 || value === null || typeof value !== 'object') return flat;
  const pad = ' '.repeat(depth + 1);
  const parts = Array.isArray(value)
    ? value.map((item) => pad + jsonByLine(item, depth + 1))
    : Object.entries(value).map(
        ([key, item]) => `${pad}${JSON.stringify(key)}: ${jsonByLine(item, depth + 1)}`,
      );
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${parts.join(',\n')}\n${' '.repeat(depth)}${close}`;
}

function main(): void {
  mkdirSync(outDir, { recursive: true });
  for (const name of readdirSync(outDir)) {
    if (name !== 'options.proto' && name !== 'json-order.json') rmSync(join(outDir, name));
  }
  const files = readContract();
  for (const file of files.values()) writeFileSync(join(outDir, `${file.name}.proto`), render(file, files));
  for (const name of ['resources', 'operations', 'featuregates']) {
    const data: unknown = JSON.parse(readFileSync(join(contractDir, `${name}.json`), 'utf8'));
    writeFileSync(join(outDir, `${name}.json`), `${jsonByLine(data)}\n`);
  }
  process.stdout.write(`Wrote ${String(files.size)} proto files to proto/k8s.\n`);
}

main();
