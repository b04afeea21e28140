import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Folder of upstream's programs; `PEERS_DIR` names another. */
export const peers =
  process.env['PEERS_DIR'] ??
  process.env['PEERS'] ??
  path.join(os.homedir(), '.cache', 'pilothouse-peers', 'bin');

export const peer = (name: string): string => path.join(peers, name);

/** Whether there is a stock API server to compare with; says so when there is none. */
export function hasStockServer(part: string): boolean {
  if (existsSync(peer('kube-apiserver'))) return true;
  process.stdout.write(`SKIP  ${part}: no kube-apiserver in ${peers}; set PEERS_DIR\n`);
  return false;
}
