import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensurePki, renderKubeconfig, type Pki } from '@pilothouse/host';

/** First address of the services of these servers, which stands in their certificate. */
export const pkiOf = (directory: string): Promise<Pki> =>
  ensurePki(path.join(directory, 'pki'), { serviceAddress: '10.0.0.1' });

/** Flags of an API server that a stock one and ours both take, with the certificates of the directory. */
export function apiServerFlags(
  pki: Pki,
  options: {
    readonly port: number;
    readonly etcd: string;
    /** False: without keys for tokens. */
    readonly ownKeys?: boolean;
  },
): string[] {
  const { serviceAccount, apiServer, ca } = pki;
  return [
    `--secure-port=${options.port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=192.0.2.1',
    `--etcd-servers=${options.etcd}`,
    `--client-ca-file=${ca.certFile}`,
    `--tls-cert-file=${apiServer.certFile}`,
    `--tls-private-key-file=${apiServer.keyFile}`,
    ...(options.ownKeys === false
      ? []
      : [
          `--service-account-key-file=${serviceAccount.publicFile}`,
          `--service-account-signing-key-file=${serviceAccount.privateFile}`,
        ]),
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    '--authorization-mode=Node,RBAC',
    '--service-cluster-ip-range=10.0.0.0/16',
    '--endpoint-reconciler-type=none',
  ];
}

/** Writes `<name>.yaml` with a client certificate of the PKI; answers its path. */
export function writeKubeconfig(
  directory: string,
  name: string,
  server: string,
  pki: Pki,
  entry: { readonly certPem: string; readonly keyPem: string },
): string {
  const file = path.join(directory, `${name}.yaml`);
  const text = renderKubeconfig({
    server,
    ca: pki.ca.certPem,
    user: name,
    cert: entry.certPem,
    key: entry.keyPem,
  });
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

/** A program whose output goes to `<name>.log` of the directory. */
export interface LoggedProgram {
  readonly logFile: string;
  log(): string;
  /** SIGKILL; resolves when it is gone. */
  stop(): Promise<void>;
}

export function startLogged(
  directory: string,
  name: string,
  program: string,
  args: readonly string[],
): LoggedProgram {
  const logFile = path.join(directory, `${name}.log`);
  const log = openSync(logFile, 'a');
  const child = spawn(program, [...args], { stdio: ['ignore', log, log] });
  closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return {
    logFile,
    log: () => readFileSync(logFile, 'utf8'),
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
