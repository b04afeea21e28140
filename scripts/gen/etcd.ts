// Generates packages/proto/src/generated from proto/etcd: one TypeScript module per protobuf package, with plain interfaces
// and straight-line codecs. protobufjs parses the .proto files; nothing of it is needed at run time.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const sourceDirectory = path.join(root, 'proto', 'etcd');
const targetDirectory = path.join(root, 'packages', 'proto', 'src', 'generated');

const camel = (name: string): string =>
  name.replace(/_([a-zA-Z])/g, (_, letter: string) => letter.toUpperCase());

/** `etcdserverpb.Compare.CompareResult` → package and the name inside its module, `Compare_CompareResult`. */
function locate(object: protobuf.ReflectionObject): { module: string; local: string } {
  const names: string[] = [];
  let current: protobuf.ReflectionObject | null = object;
  while (current instanceof protobuf.Type || current instanceof protobuf.Enum) {
    names.unshift(current.name);
    current = current.parent;
  }
  return { module: (current?.fullName ?? '').replace(/^\./, ''), local: names.join('_') };
}

interface Kind {
  type: string;
  zero: string;
  kind: string;
  wire: number;
  read: string;
  write: (value: string) => string;
  isZero: (value: string) => string;
}

function kindOf(field: protobuf.Field, reference: (object: protobuf.ReflectionObject) => string): Kind {
  const target = field.resolvedType;
  const isId = field.getOption('jstype') === 'JS_STRING';
  const simple = (
    kind: string,
    type: string,
    zero: string,
    wire: number,
    method: string,
    write = method,
  ): Kind => ({
    kind,
    type,
    zero,
    wire,
    read: `reader.${method}()`,
    write: (value) => `writer.${write}(${value})`,
    isZero: (value) =>
      type === 'Uint8Array'
        ? `${value}.length === 0`
        : type === 'boolean'
          ? `!${value}`
          : `${value} === ${zero}`,
  });
  if (target instanceof protobuf.Enum)
    return { ...simple('enum', reference(target), '0', 0, 'int32', 'int64') };
  if (target instanceof protobuf.Type) {
    const name = reference(target);
    return {
      kind: 'message',
      type: name,
      zero: 'undefined',
      wire: 2,
      read: `${name}.read(reader, reader.elementEnd())`,
      write: (value) => `${name}.write(${value}, writer)`,
      isZero: () => 'false',
    };
  }
  switch (field.type) {
    case 'bytes':
      return simple('bytes', 'Uint8Array', 'empty', 2, 'bytes');
    case 'string':
      return simple('string', 'string', "''", 2, 'string');
    case 'bool':
      return simple('bool', 'boolean', 'false', 0, 'bool');
    case 'uint32':
      return simple('number', 'number', '0', 0, 'uint32');
    case 'int64':
      return isId ? simple('id', 'bigint', '0n', 0, 'bigint64') : simple('int64', 'number', '0', 0, 'int64');
    case 'uint64':
      return isId
        ? simple('id', 'bigint', '0n', 0, 'ubigint64', 'bigint64')
        : simple('int64', 'number', '0', 0, 'uint64', 'int64');
    default:
      throw new Error(`Field type ${field.type} is not supported by this generator`);
  }
}

function emitMessage(type: protobuf.Type, reference: (object: protobuf.ReflectionObject) => string): string {
  const name = locate(type).local;
  const fields = type.fieldsArray.toSorted((a, b) => a.id - b.id);
  const lines: string[] = [];
  const facts = fields.map((field) => {
    const kind = kindOf(field, reference);
    const inOneof = field.partOf !== null;
    const optional = !field.repeated && (inOneof || kind.kind === 'message');
    return { field, kind, property: camel(field.name), inOneof, optional };
  });
  lines.push(`export interface ${name} {`);
  for (const { field, kind, property, optional } of facts) {
    lines.push(`  ${property}: ${kind.type}${field.repeated ? '[]' : ''}${optional ? ' | undefined' : ''};`);
  }
  lines.push('}');
  lines.push(`export const ${name}: MessageCodec<${name}> = {`);
  lines.push(`  name: '${type.fullName.replace(/^\./, '')}',`);
  lines.push('  fields: [');
  for (const { field, kind, property, inOneof } of facts) {
    const extra =
      kind.kind === 'message'
        ? `, message: () => ${kind.type} as MessageCodec<never>`
        : kind.kind === 'enum'
          ? `, values: ${kind.type}`
          : '';
    lines.push(
      `    { name: '${field.name}', property: '${property}', kind: '${kind.kind}', repeated: ${field.repeated}, inOneof: ${inOneof}${extra} },`,
    );
  }
  lines.push('  ],');
  if (facts.length === 0) lines.push('  write() {},');
  else {
    lines.push('  write(message, writer) {');
    for (const { field, kind, property, optional } of facts) {
      const tag = (field.id << 3) | kind.wire;
      const packed = field.repeated && kind.wire === 0;
      const one = (value: string): string =>
        kind.kind === 'message'
          ? `writer.uint32(${tag}); if (${value} instanceof Uint8Array) writer.bytes(${value}); else { const mark = writer.open(); ${kind.write(value)}; writer.close(mark); }`
          : `writer.uint32(${tag}); ${kind.write(value)};`;
      lines.push(`    const ${property} = message.${property};`);
      if (packed) {
        lines.push(`    if (${property} !== undefined && ${property}.length > 0) {`);
        lines.push(`      writer.uint32(${(field.id << 3) | 2}); const mark = writer.open();`);
        lines.push(`      for (const item of ${property}) ${kind.write('item')};`);
        lines.push('      writer.close(mark);\n    }');
      } else if (field.repeated) {
        lines.push(`    if (${property} !== undefined) for (const item of ${property}) { ${one('item')} }`);
      } else if (optional) {
        lines.push(`    if (${property} !== undefined) { ${one(property)} }`);
      } else {
        lines.push(`    if (${property} !== undefined && !(${kind.isZero(property)})) { ${one(property)} }`);
      }
    }
    lines.push('  },');
  }
  lines.push(`  read(reader, end) {`);
  lines.push(`    const message: ${name} = {`);
  for (const { field, kind, property, optional } of facts) {
    lines.push(`      ${property}: ${field.repeated ? '[]' : optional ? 'undefined' : kind.zero},`);
  }
  lines.push('    };');
  lines.push('    while (reader.position < end) {');
  lines.push('      const tag = reader.uint32();');
  lines.push('      switch (tag >>> 3) {');
  for (const { field, kind, property } of facts) {
    lines.push(`        case ${field.id}:`);
    if (field.repeated && kind.wire === 0) {
      lines.push('          if ((tag & 7) === 2) {');
      lines.push('            const stop = reader.elementEnd();');
      lines.push(`            while (reader.position < stop) message.${property}.push(${kind.read});`);
      lines.push(`          } else message.${property}.push(${kind.read});`);
    } else if (field.repeated) lines.push(`          message.${property}.push(${kind.read});`);
    else lines.push(`          message.${property} = ${kind.read};`);
    lines.push('          break;');
  }
  lines.push(
    '        default:',
    '          reader.skip(tag & 7);',
    '      }',
    '    }',
    '    return message;',
    '  },',
    '};',
  );
  return lines.join('\n');
}

/** Module name → TypeScript text, unformatted. */
export function etcdModules(): Map<string, string> {
  const schema = new protobuf.Root();
  schema.resolvePath = (_origin, target) => path.join(sourceDirectory, path.basename(target));
  const files = fs
    .readdirSync(sourceDirectory)
    .filter((name) => name.endsWith('.proto'))
    .sort();
  schema.loadSync(files, { keepCase: true });
  schema.resolveAll();
  const bodies = new Map<string, string[]>();
  const imports = new Map<string, Map<string, Set<string>>>();

  const visit = (namespace: protobuf.NamespaceBase): void => {
    for (const object of namespace.nestedArray) {
      const fromModule = locate(namespace instanceof protobuf.Type ? namespace : object).module;
      const reference = (target: protobuf.ReflectionObject): string => {
        const { module, local } = locate(target);
        if (module !== fromModule) {
          const used = imports.get(fromModule) ?? new Map<string, Set<string>>();
          imports.set(fromModule, used);
          used.set(module, (used.get(module) ?? new Set()).add(local));
        }
        return local;
      };
      const body = bodies.get(fromModule) ?? [];
      if (object instanceof protobuf.Enum) {
        bodies.set(fromModule, body);
        const name = locate(object).local;
        const values = Object.entries(object.values).map(([key, value]) => `${key}: ${value}`);
        body.push(
          `export const ${name} = { ${values.join(', ')} } as const;\n/** Open: a newer peer may send a number without a name. */\nexport type ${name} = number;`,
        );
      } else if (object instanceof protobuf.Type) {
        bodies.set(fromModule, body);
        body.push(emitMessage(object, reference));
        visit(object);
      } else if (object instanceof protobuf.Service) {
        const module = namespace.fullName.replace(/^\./, '');
        const target = bodies.get(module) ?? [];
        bodies.set(module, target);
        const serviceReference = (type: protobuf.ReflectionObject): string => locate(type).local;
        const methods = object.methodsArray.map((method) => {
          const request = serviceReference(method.resolvedRequestType as protobuf.Type);
          const response = serviceReference(method.resolvedResponseType as protobuf.Type);
          const full = `${module}.${object.name}`;
          return [
            `  ${method.name}: {`,
            `    path: '/${full}/${method.name}', service: '${full}', method: '${method.name}',`,
            `    request: ${request}, response: ${response}, requestStream: ${method.requestStream === true}, responseStream: ${method.responseStream === true},`,
            `  } as MethodInfo<${request}, ${response}>,`,
          ].join('\n');
        });
        target.push(`export const ${object.name}Service = {\n${methods.join('\n')}\n};`);
      } else if (object instanceof protobuf.Namespace) visit(object);
    }
  };
  visit(schema);

  const modules = new Map<string, string>();
  for (const [module, body] of bodies) {
    const lines = ['// Generated by scripts/gen/etcd.ts from proto/etcd. Do not edit.'];
    const text = body.sort((a, b) => rank(a) - rank(b)).join('\n\n');
    if (text.includes('MethodInfo<'))
      lines.push("import type { MessageCodec, MethodInfo } from '../wire.ts';");
    else lines.push("import type { MessageCodec } from '../wire.ts';");
    for (const [from, names] of imports.get(module) ?? []) {
      lines.push(`import { ${[...names].sort().join(', ')} } from './${fileName(from)}';`);
    }
    if (/: empty,/.test(text)) lines.push('\nconst empty = new Uint8Array(0);');
    modules.set(fileName(module), `${lines.join('\n')}\n\n${text}\n`);
  }
  return modules;
}

const fileName = (module: string): string => `${module.replaceAll('.', '-')}.ts`;
/** Enums before the messages that list them, services last. */
const rank = (text: string): number =>
  text.includes('as const;') ? 0 : /^export const \w+Service = /.test(text) ? 2 : 1;

/** Writes packages/proto/src/generated. Returns the files written, absolute. */
export async function generateEtcd(): Promise<string[]> {
  const prettier = await import('prettier');
  fs.mkdirSync(targetDirectory, { recursive: true });
  const written: string[] = [];
  for (const [name, text] of etcdModules()) {
    const file = path.join(targetDirectory, name);
    const options = (await prettier.resolveConfig(file)) ?? {};
    fs.writeFileSync(file, await prettier.format(text, { ...options, parser: 'typescript' }));
    written.push(file);
  }
  return written;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generateEtcd();
