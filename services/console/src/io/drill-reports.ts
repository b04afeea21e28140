import { lstat, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { ConsoleError } from '../errors.ts';
import { limits } from '../limits.ts';

export interface DrillReport {
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly modifiedMs: number;
}

const isReportName = (name: string): boolean => /^[\w][\w.-]*\.(html|json)$/.test(name);

/** Reports of `pilothouse drill` in a directory, the newest first; none when there is no such directory yet. */
export async function listReports(directory: string): Promise<DrillReport[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return [];
    throw error;
  }
  const found: DrillReport[] = [];
  for (const name of names.filter(isReportName)) {
    const file = await lstat(path.join(directory, name));
    if (file.isFile()) found.push({ name, bytes: file.size, modifiedMs: file.mtimeMs });
  }
  return found.sort((a, b) => b.modifiedMs - a.modifiedMs).slice(0, limits.reportsMax);
}

/** A report's content. Only plain files of the directory itself; throws ConsoleError 404 for everything else. */
export async function readReport(directory: string, name: string): Promise<{ type: string; body: Buffer }> {
  const missing = new ConsoleError(404, `There is no drill report ${JSON.stringify(name)}`);
  if (!isReportName(name)) throw missing;
  const file = path.join(directory, name);
  const found = await lstat(file).catch(() => undefined);
  if (found === undefined || !found.isFile() || found.size > limits.reportBytesMax) throw missing;
  return {
    type: name.endsWith('.html') ? 'text/html; charset=utf-8' : 'application/json',
    body: await readFile(file),
  };
}
