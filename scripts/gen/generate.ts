// `npm run gen`: writes all generated code; `--check` writes nothing and fails when a file is not fresh.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { readProtoModel } from './proto-model.ts';
import { renderDiscovery } from './render-discovery.ts';
import { moduleName, renderSchemaFile, renderSchemaIndex } from './render-schemas.ts';
import { renderTypesFile, renderTypesIndex } from './render-types.ts';

const root = join(import.meta.dirname, '../..');
const protoDir = join(root, 'proto/k8s');
const outDir = join(root, 'packages/api/src/generated');

function renderKubernetes(): Map<string, string> {
  const files = readProtoModel(protoDir);
  const filesByPackage = new Map(files.map((file) => [file.package, file]));
  const messages = new Map(files.flatMap((file) => file.messages.map((message) => [message.name, message])));
  const out = new Map<string, string>();
  const typed: typeof files = [];
  for (const file of files) {
    out.set(join(outDir, 'schemas', `${moduleName(file)}.ts`), renderSchemaFile(file));
    const types = renderTypesFile(file, filesByPackage, messages);
    if (types === undefined) continue;
    typed.push(file);
    out.set(join(outDir, 'types', `${moduleName(file)}.ts`), types);
  }
  out.set(join(outDir, 'schemas/index.ts'), renderSchemaIndex(files));
  out.set(join(outDir, 'types/index.ts'), renderTypesIndex(typed));
  for (const [name, text] of renderDiscovery(protoDir)) out.set(join(outDir, name), text);
  return out;
}

/** Files below a folder; none when it does not exist. */
function filesBelow(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Paths whose content on disk differs from what would be written, and leftovers. */
function staleFiles(wanted: ReadonlyMap<string, string>): string[] {
  const stale = [...wanted].filter(
    ([path, text]) => !existsSync(path) || readFileSync(path, 'utf8') !== text,
  );
  const extra = filesBelow(outDir).filter((path) => !wanted.has(path));
  return [...stale.map(([path]) => path), ...extra];
}

async function main(): Promise<void> {
  const check = process.argv.includes('--check');
  const wanted = renderKubernetes();
  const stale = staleFiles(wanted);
  if (check) {
    for (const path of stale) process.stderr.write(`Not fresh: ${relative(root, path)}; run npm run gen.\n`);
    if (stale.length > 0) process.exitCode = 1;
  } else {
    for (const path of stale) {
      const text = wanted.get(path);
      if (text === undefined) rmSync(path);
      else {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text);
      }
    }
    process.stdout.write(`Generated ${String(wanted.size)} files, ${String(stale.length)} changed.\n`);
  }
  await etcdCode(check);
}

/** The etcd generator only writes; to check, its output is compared with what was there, which is then put back. */
async function etcdCode(check: boolean): Promise<void> {
  const { generateEtcd } = await import('./etcd.ts');
  const dir = join(root, 'packages/proto/src/generated');
  const before = new Map(filesBelow(dir).map((path) => [path, readFileSync(path, 'utf8')]));
  const written = await generateEtcd();
  if (!check) return;
  for (const path of written) {
    const text = before.get(path);
    if (text === readFileSync(path, 'utf8')) continue;
    process.stderr.write(`Not fresh: ${relative(root, path)}; run npm run gen.\n`);
    process.exitCode = 1;
    if (text === undefined) rmSync(path);
    else writeFileSync(path, text);
  }
}

await main();
