import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Pki } from '@pilothouse/host';
import { loadKubeconfig } from '@pilothouse/client';
import { renderKubeconfig, writeSecretFile } from '@pilothouse/host';

/**
 * Writes `<directory>/<who>.yaml` (mode 0600) for the administrator, the scheduler, the controller manager and each node.
 * Readers see the old file or the new one. A file that already says the same is left alone. `serverOf` gives the address that a client of that name uses.
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
    if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeSecretFile(file, text);
  };
  write('admin', pki.admin);
  write('scheduler', pki.scheduler);
  write('controller-manager', pki.controllerManager);
  for (const [name, entry] of pki.nodes) write(name, entry);
}

/** Addresses in the kubeconfigs of a directory, by whose they are. */
export function kubeconfigServers(directory: string): Map<string, string> {
  const names = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.yaml')) : [];
  return new Map(
    names.map((name) => [name.slice(0, -'.yaml'.length), loadKubeconfig(path.join(directory, name)).server]),
  );
}
