import { request } from 'node:https';
import path from 'node:path';
import { apiServerFlags, pkiOf, startLogged, writeKubeconfig } from '../stock/api-server.ts';
import { peer } from '../stock/programs.ts';
import { repository } from '../tools.ts';

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
  const pki = await pkiOf(directory);
  const url = `https://127.0.0.1:${port}`;
  const name = `${kind}-${port}`;
  const { certPem, keyPem } = pki.admin;
  const kubeconfig = writeKubeconfig(directory, name, url, pki, pki.admin);
  const flags = [...apiServerFlags(pki, options), ...(options.args ?? [])];
  const started =
    kind === 'stock'
      ? startLogged(directory, name, peer('kube-apiserver'), flags)
      : startLogged(directory, name, process.execPath, [
          path.join(repository, 'services', 'cli', 'bin', 'pilothouse'),
          'apiserver',
          ...flags,
        ]);
  return {
    kind,
    port,
    url,
    kubeconfig,
    logFile: started.logFile,
    ca: pki.ca.certPem,
    cert: certPem,
    key: keyPem,
    ask: (target, ask = {}) =>
      askOver(
        { port, ca: pki.ca.certPem, ...(ask.asAdmin === false ? {} : { cert: certPem, key: keyPem }) },
        target,
        ask,
      ),
    log: () => started.log(),
    stop: () => started.stop(),
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
