import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { errorMessage } from '@pilothouse/base';
import { damageError } from './sealed-value.ts';
import { StateFile } from './state-file.ts';

/** Set for the process that reads a state on behalf of another: the file. */
const variable = 'PILOTHOUSE_PROBE_STATE';

/** Has a process of its own read all of `file`. Throws BackendError when it does not come to the end. */
export function probe(file: string): void {
  if (!fs.existsSync(file)) return;
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const script = new URL(`./probe-main${extension}`, import.meta.url).pathname;
  const { status, signal, stderr } = spawnSync(process.execPath, [...process.execArgv, script], {
    env: { ...process.env, [variable]: file },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status === 0) return;
  const told = stderr.trim().split('\n').at(-1) ?? '';
  const how = signal === null ? '' : ` with ${signal}`;
  throw damageError(
    file,
    `reading it ends the process${how}${told === '' ? '' : ` (${told.slice(0, 200)})`}`,
  );
}

/** The work of that process: its exit status tells. */
export function readProbed(): void {
  const file = process.env[variable] ?? '';
  try {
    const stored = new StateFile(file, file);
    const { records, revisions } = stored.counts;
    let found = 0;
    for (const _ of stored.records.getRange({})) found++;
    for (const _ of stored.revisions.getRange({})) found++;
    if (found !== records + revisions)
      throw new Error(`${found} of ${records + revisions} entries can be found`);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${errorMessage(error)}\n`);
    process.exit(1);
  }
}
