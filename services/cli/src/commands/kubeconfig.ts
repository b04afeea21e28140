import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseFlags } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { kubeconfigPath } from '../plane/layout.ts';
import { defaultDataDirectory, planeFlags } from './shared.ts';

/** `pilothouse kubeconfig`: the administrator's kubeconfig on stdout. */
export function kubeconfig(argv: readonly string[]): void {
  const { values } = parseFlags(planeFlags, argv);
  const dataDir = path.resolve((values['data-dir'] as string) || defaultDataDirectory());
  const file = kubeconfigPath(dataDir, 'admin');
  try {
    process.stdout.write(readFileSync(file, 'utf8'));
  } catch {
    throw new CommandError(
      `No kubeconfig in "${dataDir}"; start a plane with: pilothouse up --data-dir ${dataDir}`,
    );
  }
}
