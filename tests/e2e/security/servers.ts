import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { ensurePki, renderKubeconfig } from '@pilothouse/host';
import { repository } from '../tools.ts';

/** The stock programs; `PEERS` names their folder. */
export const peers = process.env['PEERS'] ?? path.join(os.homedir(), '.cache', 'pilothouse-peers', 'bin');

export type ServerKind = 'stock' | 'ours';

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface AskOptions {
  readonly method?: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** False: without a client certificate. Default: as the administrator. */
  readonly asAdmin?: boolean;
}

/** One API server as a process, with the PKI of the directory. */
export interface ApiServerProcess {
  readonly kind: ServerKind;
  readonly port: number;
  readonly url: string;
  readonly kubeconfig: string;
  readonly logFile: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  ask(target: string, options?: AskOptions): Promise<Answer>;
  log(): string;
  stop(): Promise<void>;
}

/** Starts one; resolves at once, `/readyz` tells when it is there. */
export async function startServer(
  kind: ServerKind,
  options: {
    directory: string;
    port: number;
    etcd: string;
    args?: readonly string[];
    /** False: without keys for tokens. */
    ownKeys?: boolean;
  },
): Promise<ApiServerProcess> {
  const { directory, port } = options;
  const pki = await ensurePki(path.join(directory, 'pki'), { serviceAddress: '10.0.0.1' });
  const file = (name: string): string => path.join(directory, 'pki', name);
  const url = `https://127.0.0.1:${port}`;
  const name = `${kind}-${port}`;
  const kubeconfig = path.join(directory, `${name}.yaml`);
  const { certPem, keyPem } = pki.admin;
  writeFileSync(
    kubeconfig,
    renderKubeconfig({ server: url, ca: pki.ca.certPem, user: 'admin', cert: certPem, key: keyPem }),
    { mode: 0o600 },
  );
  const flags = [
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=192.0.2.1',
    `--etcd-servers=${options.etcd}`,
    `--client-ca-file=${file('ca.crt')}`,
    `--tls-cert-file=${file('apiserver.crt')}`,
    `--tls-private-key-file=${file('apiserver.key')}`,
    ...(options.ownKeys === false
      ? []
      : [
          `--service-account-key-file=${file('sa.pub')}`,
          `--service-account-signing-key-file=${file('sa.key')}`,
        ]),
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    '--authorization-mode=Node,RBAC',
    '--service-cluster-ip-range=10.0.0.0/16',
    '--endpoint-reconciler-type=none',
    ...(options.args ?? []),
  ];
  const logFile = path.join(directory, `${name}.log`);
  const log = openSync(logFile, 'a');
  const stdio: ['ignore', number, number] = ['ignore', log, log];
  const child: ChildProcess =
    kind === 'stock'
      ? spawn(path.join(peers, 'kube-apiserver'), flags, { stdio })
      : spawn(
          process.execPath,
          [path.join(repository, 'services', 'cli', 'bin', 'pilothouse'), 'apiserver', ...flags],
          { stdio },
        );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    kind,
    port,
    url,
    kubeconfig,
    logFile,
    ca: pki.ca.certPem,
    cert: certPem,
    key: keyPem,
    ask: (target, ask = {}) =>
      askOver(
        { port, ca: pki.ca.certPem, ...(ask.asAdmin === false ? {} : { cert: certPem, key: keyPem }) },
        target,
        ask,
      ),
    log: () => readFileSync(logFile, 'utf8'),
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function askOver(
  connection: { port: number; ca: string; cert?: string; key?: string },
  target: string,
  options: AskOptions,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        path: target,
        method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
        agent: false,
        timeout: 20_000,
        headers: {
          ...(options.body === undefined
            ? {}
            : { 'content-type': options.contentType ?? 'application/json' }),
          ...options.headers,
        },
        ...connection,
      },
      (incoming) => {
        const pieces: Buffer[] = [];
        incoming.on('data', (piece: Buffer) => pieces.push(piece));
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            body: Buffer.concat(pieces).toString(),
            headers: incoming.headers,
          }),
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.on('timeout', () => outgoing.destroy(new Error(`No answer from ${target}`)));
    outgoing.end(options.body);
  });
}

/** Throws unless the status is wanted. */
export function expectStatus(answer: Answer, ...wanted: readonly number[]): Answer {
  if (!wanted.includes(answer.status)) {
    throw new Error(`status ${answer.status}, wanted ${wanted.join(' or ')}: ${answer.body.slice(0, 600)}`);
  }
  return answer;
}
