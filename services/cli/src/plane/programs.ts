import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** `<data-dir>/run/programs.json`: processes of a running plane that another program than the plane's own takes over, by name. */
const programsFile = (dataDir: string): string => path.join(dataDir, 'run', 'programs.json');

function readPrograms(dataDir: string): Readonly<Record<string, string>> {
  const file = programsFile(dataDir);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>) : {};
}

/** The `pilothouse` executable that the next start of `name` takes; undefined: the plane's own. */
export const programOf = (dataDir: string, name: string): string | undefined => readPrograms(dataDir)[name];

/** From its next start on, `name` is this `pilothouse` executable: how a plane is upgraded process by process. */
export function setProgram(dataDir: string, name: string, program: string): void {
  const file = programsFile(dataDir);
  writeFileSync(`${file}.tmp`, JSON.stringify({ ...readPrograms(dataDir), [name]: program }), {
    mode: 0o600,
  });
  renameSync(`${file}.tmp`, file);
}

/** A plane that starts anew is what started it. */
export const forgetPrograms = (dataDir: string): void => rmSync(programsFile(dataDir), { force: true });
