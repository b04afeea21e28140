import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Pki } from '@pilothouse/host';
import { run } from '../checks.ts';
import { repository } from '../tools.ts';

export { freePorts, pause } from '../../../loadtest/bench/server-process.ts';

export const pilothouse = path.join(repository, 'services', 'cli', 'bin', 'pilothouse');
export const storeProgram = path.join(repository, 'services', 'store', 'bin', 'etcd');

/** An API server with the certificates of the PKI, without a store. */
export const apiServerCommand = (pki: Pki, port: number): string[] => [
  pilothouse,
  'apiserver',
  '--bind-address=127.0.0.1',
  `--secure-port=${port}`,
  `--client-ca-file=${pki.ca.certFile}`,
  `--tls-cert-file=${pki.apiServer.certFile}`,
  `--tls-private-key-file=${pki.apiServer.keyFile}`,
  `--service-account-key-file=${pki.serviceAccount.publicFile}`,
  `--service-account-signing-key-file=${pki.serviceAccount.privateFile}`,
  '--service-account-issuer=https://kubernetes.default.svc',
];

/** A process that is expected to go on running. */
export interface Started {
  readonly pid: number;
  output(): string;
  /** The exit status; undefined while it runs. */
  exitCode(): number | undefined;
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Directories, mounts, ports and processes of one run; `release` takes all of them away. */
export class Scratch {
  readonly directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-bad-start-'));
  readonly #mounts: string[] = [];
  readonly #servers: net.Server[] = [];
  readonly #processes: ChildProcess[] = [];

  path(name: string): string {
    return path.join(this.directory, name);
  }

  /** Mounts a tmpfs; false when this user may not. */
  async mount(target: string, options: string): Promise<boolean> {
    const result = await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', target]);
    if (result.code !== 0) return false;
    this.#mounts.push(target);
    return true;
  }

  /** Holds a port; 0 takes any free one. */
  async occupy(port = 0): Promise<number> {
    const server = net.createServer((socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    this.#servers.push(server);
    return (server.address() as net.AddressInfo).port;
  }

  start(args: readonly string[]): Started {
    const child = spawn(process.execPath, [...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: this.directory,
    });
    this.#processes.push(child);
    let output = '';
    child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (output += piece.toString()));
    const exitCode = (): number | undefined =>
      child.exitCode ?? (child.signalCode === null ? undefined : 128);
    return {
      pid: child.pid ?? 0,
      output: () => output,
      exitCode,
      end: (signal) =>
        new Promise((resolve) => {
          if (exitCode() !== undefined) return resolve();
          child.once('exit', () => resolve());
          child.kill(signal);
        }),
    };
  }

  async release(): Promise<void> {
    for (const child of this.#processes) child.kill('SIGKILL');
    for (const server of this.#servers) server.close();
    for (const target of this.#mounts) await run('umount', [target]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
