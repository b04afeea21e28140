import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConsoleError } from '../errors.ts';

const home = fileURLToPath(new URL('../../', import.meta.url));

/** Where the built page is, and what it is built from where the sources are there. */
export const assetsDirectory: string = path.join(home, 'dist', 'web');
const sourceDirectory = path.join(home, 'web');
const buildScript = path.join(sourceDirectory, 'build.mjs');

export interface Asset {
  readonly body: Buffer;
  readonly type: string;
  /** Its name changes with its content. */
  readonly immutable: boolean;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

function newest(directory: string): number {
  let latest = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const file = path.join(directory, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(file) : statSync(file).mtimeMs);
  }
  return latest;
}

/**
 * The page by path, from memory. Builds it first when it is missing or older than its sources, which takes under a second; an image has it built
 * and no sources. Throws ConsoleError when neither is there.
 */
export function loadAssets(): Map<string, Asset> {
  const index = path.join(assetsDirectory, 'index.html');
  const isBuilt = existsSync(index);
  if (existsSync(buildScript) && (!isBuilt || statSync(index).mtimeMs < newest(sourceDirectory))) {
    const built = spawnSync(process.execPath, [buildScript], { encoding: 'utf8' });
    if (built.status !== 0)
      throw new ConsoleError(
        500,
        `The console's page cannot be built: ${built.stderr.trim() || built.error?.message}`,
      );
  } else if (!isBuilt)
    throw new ConsoleError(500, 'The console has no page: build it with npm run build:console');
  const assets = new Map<string, Asset>();
  for (const name of readdirSync(assetsDirectory)) {
    const type = types[path.extname(name)];
    if (type === undefined) continue;
    const asset = {
      body: readFileSync(path.join(assetsDirectory, name)),
      type,
      immutable: /-[A-Z0-9]{8}\.\w+$/.test(name),
    };
    assets.set(`/${name}`, asset);
    if (name === 'index.html') assets.set('/', asset);
  }
  return assets;
}
