import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const skipped = new Set(['node_modules', 'dist', '.git', 'data']);

/** Files below the given folders whose path matches, relative to the root, sorted. */
export function globSync(folders: readonly string[], pattern: RegExp): string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      if (skipped.has(entry.name)) continue;
      const name = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(name);
      else if (pattern.test(name)) found.push(name);
    }
  };
  for (const folder of folders) walk(folder);
  return found.sort();
}
