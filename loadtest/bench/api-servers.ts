import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Pki } from '@pilothouse/host';
import { ApiClient } from './api-client.ts';
import type { Side } from './measure.ts';
import { pilothouse, storeProgram } from './programs.ts';
import { freePorts, ServerProcess } from './server-process.ts';

/** One API server with a store of one member, everything over TLS with client certificates. */
export interface ApiSide {
  readonly side: Side;
  /** `https://HOST:PORT` of the API server. */
  readonly url: string;
  readonly store: ServerProcess;
  readonly server: ServerProcess;
  /** `streamWindowBytes`: for watchers that stall. */
  connect(connections: number, streamWindowBytes?: number): Promise<ApiClient>;
  stop(): Promise<void>;
}

/** `upstream`: programs to use instead of ours. The flags are the same for both. */
export async function startApiSide(
  side: Side,
  pki: Pki,
  directory: string,
  upstream: { readonly etcd: string; readonly kubeApiserver: string } | undefined,
  nodeArguments: readonly string[] = [],
): Promise<ApiSide> {
  const home = path.join(directory, `${side}-api`);
  mkdirSync(home, { recursive: true });
  const [client, peer, secure] = (await freePorts(3)) as [number, number, number];
  const file = (name: string): string => path.join(pki.directory, name);
  const storeUrl = `https://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const store = new ServerProcess(
    `${side}-store`,
    upstream?.etcd ?? storeProgram,
    [
      '--name=m0',
      `--data-dir=${path.join(home, 'data')}`,
      `--listen-client-urls=${storeUrl}`,
      `--advertise-client-urls=${storeUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=m0=${peerUrl}`,
      `--cert-file=${file('etcd/server.crt')}`,
      `--key-file=${file('etcd/server.key')}`,
      `--trusted-ca-file=${file('etcd/ca.crt')}`,
      '--client-cert-auth',
      '--log-level=warn',
    ],
    home,
  );
  const serverArguments = [
    `--secure-port=${secure}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=192.0.2.1',
    `--etcd-servers=${storeUrl}`,
    `--etcd-cafile=${file('etcd/ca.crt')}`,
    `--etcd-certfile=${file('apiserver-etcd-client.crt')}`,
    `--etcd-keyfile=${file('apiserver-etcd-client.key')}`,
    `--client-ca-file=${file('ca.crt')}`,
    `--tls-cert-file=${file('apiserver.crt')}`,
    `--tls-private-key-file=${file('apiserver.key')}`,
    `--service-account-key-file=${file('sa.pub')}`,
    `--service-account-signing-key-file=${file('sa.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--service-cluster-ip-range=10.0.0.0/16',
  ];
  const server =
    upstream === undefined
      ? new ServerProcess(
          `${side}-apiserver`,
          process.execPath,
          [...nodeArguments, pilothouse, 'apiserver', ...serverArguments],
          home,
        )
      : new ServerProcess(`${side}-apiserver`, upstream.kubeApiserver, serverArguments, home);
  const connect = (connections: number, streamWindowBytes?: number): Promise<ApiClient> =>
    ApiClient.connect({
      port: secure,
      ca: pki.ca.certPem,
      cert: pki.admin.certPem,
      key: pki.admin.keyPem,
      connections,
      ...(streamWindowBytes === undefined ? {} : { streamWindowBytes }),
    });
  const stop = async (): Promise<void> => {
    await server.stop();
    await store.stop();
  };
  try {
    await server.waitUntil(async () => {
      const probe = await connect(1);
      try {
        return (await probe.call('GET', '/readyz')).status === 200;
      } finally {
        probe.close();
      }
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { side, url: `https://127.0.0.1:${secure}`, store, server, connect, stop };
}
