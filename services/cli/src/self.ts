import { fileURLToPath } from 'node:url';

/** How to start this program again: the same Node with the same options (source or compiled) and the same main module. */
export function pilothouseCommand(): string[] {
  const main = new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url);
  return [process.execPath, ...process.execArgv, fileURLToPath(main)];
}
