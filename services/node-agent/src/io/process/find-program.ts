import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The file that `program` names by the rules of execvp; undefined when there is none that can be run. */
export function findProgram(program: string, searchPath: string, cwd: string): string | undefined {
  if (program.includes('/')) {
    const file = path.resolve(cwd, program);
    return isProgram(file) ? file : undefined;
  }
  return searchPath
    .split(':')
    .filter((each) => each !== '')
    .map((directory) => path.resolve(cwd, directory, program))
    .find(isProgram);
}
