import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import type { Pki } from '@pilothouse/host';
import { ensurePki, renderKubeconfig } from '@pilothouse/host';
import { repository } from '../tools.ts';

const program = path.join(repository, 'services', 'apiserver', 'bin', 'kube-apiserver');

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** The body, when it is JSON. */
  readonly body: Record<string, unknown> & { message?: string };
}

export interface Ask {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly cert?: { readonly certPem: string; readonly keyPem: string };
  readonly body?: unknown;
  /** Connections that are kept; default: a new one. */
  readonly agent?: https.Agent;
}

/** One API server with objects in memory, its certificates and its log. */
export interface AuthServer {
  readonly directory: string;
  readonly port: number;
  readonly pki: Pki;
  readonly issuer: string;
  pid(): number;
  /** What it wrote so far. */
  log(): string;
  ask(path: string, options?: Ask): Promise<Answer>;
  /** As kubernetes-admin. */
  admin(path: string, options?: Omit<Ask, 'cert'>): Promise<Answer>;
  /** A kubeconfig file: of the admin without a token. */
  kubeconfig(name: string, token?: string): string;
  /** Ends the process and starts it again, with other flags. */
  restart(flags: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export const issuer = 'https://kubernetes.default.svc.cluster.local';
export const staticToken = 'static-token-of-alice';

/** A directory with certificates, before anything runs. */
export async function prepareServer(): Promise<{ directory: string; pki: Pki }> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-auth-'));
  const pki = await ensurePki(path.join(directory, 'pki'), { hosts: ['127.0.0.1', 'localhost'] });
  return { directory, pki };
}

export async function startServer(
  prepared: { directory: string; pki: Pki },
  port: number,
  flags: readonly string[],
): Promise<AuthServer> {
  const { directory, pki } = prepared;
  const tokens = path.join(directory, 'tokens.csv');
  writeFileSync(tokens, `${staticToken},alice,alice-uid,"readers"\n`);
  mkdirSync(path.join(directory, 'kubeconfig'), { recursive: true });
  const pkiFile = (name: string): string => path.join(pki.directory, name);
  let output = '';
  let child: ChildProcess = spawn('true');
  const launch = async (more: readonly string[]): Promise<void> => {
    child = spawn(
      process.execPath,
      [
        program,
        `--secure-port=${port}`,
        '--bind-address=127.0.0.1',
        `--tls-cert-file=${pki.apiServer.certFile}`,
        `--tls-private-key-file=${pki.apiServer.keyFile}`,
        `--client-ca-file=${pkiFile('ca.crt')}`,
        `--requestheader-client-ca-file=${pkiFile('front-proxy-ca.crt')}`,
        '--requestheader-allowed-names=front-proxy-client',
        '--requestheader-username-headers=X-Remote-User',
        '--requestheader-group-headers=X-Remote-Group',
        '--requestheader-uid-headers=X-Remote-Uid',
        '--requestheader-extra-headers-prefix=X-Remote-Extra-',
        `--service-account-issuer=${issuer}`,
        `--service-account-signing-key-file=${pki.serviceAccount.privateFile}`,
        `--service-account-key-file=${pki.serviceAccount.publicFile}`,
        `--token-auth-file=${tokens}`,
        '--enable-bootstrap-token-auth',
        ...more,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    // Unexpected: the checks that follow fail for this reason.
    child.once('exit', (code) => {
      if (code !== null) process.stdout.write(`The API server ended\n${output.slice(-3000)}\n`);
    });
    child.stdout?.on('data', (piece: Buffer) => (output += piece.toString()));
    child.stderr?.on('data', (piece: Buffer) => (output += piece.toString()));
    for (let attempt = 0; ; attempt++) {
      if (child.exitCode !== null) throw new Error(`The API server ended\n${output.slice(-3000)}`);
      const ready = await ask('/readyz', { cert: pki.admin }).catch(() => undefined);
      if (ready?.status === 200) return;
      if (attempt > 300) throw new Error(`The API server is not ready\n${output.slice(-3000)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  const end = (): Promise<void> =>
    new Promise((resolve) => {
      if (child.exitCode !== null) return resolve();
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    });
  const ask = (target: string, options: Ask = {}): Promise<Answer> =>
    send(`https://127.0.0.1:${port}${target}`, pki.ca.certPem, options);
  await launch(flags);
  return {
    directory,
    port,
    pki,
    issuer,
    pid: () => child.pid ?? 0,
    log: () => output,
    ask,
    admin: (target, options = {}) => ask(target, { ...options, cert: pki.admin }),
    kubeconfig(name, token) {
      const file = path.join(directory, 'kubeconfig', `${name}.yaml`);
      const server = `https://127.0.0.1:${port}`;
      const identity = token === undefined ? { cert: pki.admin.certPem, key: pki.admin.keyPem } : { token };
      writeFileSync(file, renderKubeconfig({ server, ca: pki.ca.certPem, user: name, ...identity }));
      return file;
    },
    async restart(more) {
      await end();
      output = '';
      await launch(more);
    },
    async close() {
      await end();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** One request over a connection of its own. */
export function send(url: string, caPem: string, options: Ask = {}): Promise<Answer> {
  const { method = 'GET', token, headers = {}, cert, body, agent = false } = options;
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = https.request(
      url,
      {
        method,
        ca: caPem,
        agent,
        ...(cert === undefined ? {} : { cert: cert.certPem, key: cert.keyPem }),
        headers: {
          accept: 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(text === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
      },
      (response: IncomingMessage) => {
        let got = '';
        response.on('data', (piece: Buffer) => (got += piece.toString()));
        response.on('end', () => {
          let parsed: Answer['body'] = {};
          try {
            parsed = JSON.parse(got) as Answer['body'];
          } catch {
            // Some answers are plain text.
          }
          resolve({ status: response.statusCode ?? 0, text: got, body: parsed });
        });
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}

/** Throws unless the status, and a part of the answer, are as wanted. */
export function expectAnswer(answer: Answer, status: number, pattern?: RegExp): void {
  if (answer.status !== status || (pattern !== undefined && !pattern.test(answer.text)))
    throw new Error(`wanted ${status} ${String(pattern ?? '')}, got ${answer.status} ${answer.text}`);
}
