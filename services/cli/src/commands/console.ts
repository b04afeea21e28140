import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { runComponent } from '@pilothouse/local';
import { CommandError } from '../errors.ts';
import { consoleArguments, consoleLinkPath } from '../plane/layout.ts';
import { isAlive, readState } from '../plane/state-file.ts';
import { defaultDataDirectory } from './shared.ts';

const isFlag = (argument: string, name: string): boolean => new RegExp(`^--?${name}(=|$)`).test(argument);

/**
 * `pilothouse console`: with --kubeconfig or --server for any cluster; without, for the plane in --data-dir, with its store and drill reports. A
 * plane that was started with a console has one already: its link is printed.
 */
export async function openConsole(argv: readonly string[]): Promise<void> {
  if (argv.some((each) => isFlag(each, 'kubeconfig') || isFlag(each, 'server')))
    return runComponent('console', argv, process.env);
  const { dataDir, rest } = takeDataDirectory(argv);
  const state = readState(dataDir);
  if (!state)
    throw new CommandError(
      `No plane in "${dataDir}": name one with --data-dir, or a cluster with --kubeconfig FILE or --server URL`,
    );
  const running = state.processes.find((each) => each.component === 'console' && isAlive(each.pid));
  if (running !== undefined && rest.length === 0 && existsSync(consoleLinkPath(dataDir))) {
    process.stdout.write(
      `The plane's console, for one login: ${readFileSync(consoleLinkPath(dataDir), 'utf8').trim()}\n`,
    );
    return;
  }
  const stores = state.processes.filter((each) => each.component === 'store');
  const own = consoleArguments(
    dataDir,
    Number(new URL(state.server).port),
    stores.map((each) => `https://${each.address}`),
  );
  const name = (argument: string): string => (argument.split('=')[0] as string).replace(/^--?/, '');
  const given = new Set(rest.map(name));
  await runComponent('console', [...own.filter((each) => !given.has(name(each))), ...rest], process.env);
}

function takeDataDirectory(argv: readonly string[]): { dataDir: string; rest: string[] } {
  let dataDir = defaultDataDirectory();
  const rest: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const match = /^--?data-dir(?:=(.*))?$/s.exec(argv[index] as string);
    if (!match) rest.push(argv[index] as string);
    else dataDir = match[1] ?? argv[++index] ?? '';
  }
  if (dataDir === '') throw new CommandError('Flag --data-dir needs a value');
  return { dataDir: path.resolve(dataDir), rest };
}
