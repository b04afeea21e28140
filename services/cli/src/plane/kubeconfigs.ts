import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Pki } from '@pilothouse/host';
import { renderKubeconfig } from '@pilothouse/host';

/**
 * Writes `<directory>/<who>.yaml` (mode 0600) for the administrator, the scheduler, the controller manager and each node.
 * A file that already says the same is left alone. `serverOf` gives the address that a client of that name uses.
 */
export function writeKubeconfigs(directory: string, pki: Pki, serverOf: (who: string) => string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const write = (who: string, entry: { certPem: string; keyPem: string }): void => {
    const text = renderKubeconfig({
      server: serverOf(who),
      ca: pki.ca.certPem,
      cert: entry.certPem,
      key: entry.keyPem,
      user: who,
    });
    const file = path.join(directory, `${who}.yaml`);
    if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text, { mode: 0o600 });
  };
  write('admin', pki.admin);
  write('scheduler', pki.scheduler);
  write('controller-manager', pki.controllerManager);
  for (const [name, entry] of pki.nodes) write(name, entry);
}
