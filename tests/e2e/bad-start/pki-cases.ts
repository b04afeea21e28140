import path from 'node:path';
import type { Pki } from '@pilothouse/host';
import { ensurePki, nodeClock } from '@pilothouse/host';
import type { Checks } from '../checks.ts';
import { apiServerCommand, freePorts, pause, pilothouse, type Scratch, type Started } from './scratch.ts';

const withinMs = 45_000;
const yearMs = 365 * 86_400_000;

/** Certificates and addresses of another cluster, or of another year: each process says which, and why it waits. */
export async function pkiCases(checks: Checks, scratch: Scratch): Promise<void> {
  const ours = await ensurePki(scratch.path('pki-ours'));
  const theirs = await ensurePki(scratch.path('pki-theirs'));
  const old = await ensurePki(scratch.path('pki-old'), {
    clock: { ...nodeClock, now: () => nodeClock.now() - 1.2 * yearMs },
  });
  const [client, peer, otherClient, otherPeer, nobody, api] = (await freePorts(6)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];

  const says = (name: string, starts: readonly (() => Started)[], wanted: readonly RegExp[]) =>
    checks.check(name, async () => {
      const started = starts.map((start) => start());
      try {
        const text = (): string => started.map((each) => each.output()).join('\n');
        for (let waitedMs = 0; !wanted.every((each) => each.test(text())); waitedMs += 200) {
          if (waitedMs > withinMs) throw new Error(`It does not say ${wanted.join(' and ')}\n${text()}`);
          await pause(200);
        }
      } finally {
        for (const each of started) await each.end('SIGKILL');
      }
    });

  await says(
    'store: a certificate that has expired',
    [member(scratch, 'old', old, client, peer)],
    [
      /the certificate of --cert-file expired on \d{4}-/,
      /the certificate of --peer-cert-file expired on \d{4}-/,
    ],
  );
  await says(
    'store: a peer address where nobody is',
    [member(scratch, 'alone', ours, client, peer, `absent=https://127.0.0.1:${nobody}`)],
    [/cannot reach peer/, new RegExp(`127\\.0\\.0\\.1:${nobody}`), /ECONNREFUSED/],
  );
  await says(
    'store: a peer with the certificates of another cluster',
    [
      member(scratch, 'mine', ours, client, peer, `other=https://127.0.0.1:${otherPeer}`),
      member(scratch, 'other', theirs, otherClient, otherPeer, `mine=https://127.0.0.1:${peer}`),
    ],
    [/cannot reach peer.*its certificate is from an authority that is not trusted here/],
  );

  const apiServer = (pki: Pki, storePki: Pki) => (): Started =>
    scratch.start([
      ...apiServerCommand(pki, api),
      `--etcd-servers=https://127.0.0.1:${client}`,
      `--etcd-cafile=${path.join(storePki.directory, 'etcd', 'ca.crt')}`,
      `--etcd-certfile=${storePki.apiServerStoreClient.certFile}`,
      `--etcd-keyfile=${storePki.apiServerStoreClient.keyFile}`,
    ]);
  await says(
    'API server: a certificate that has expired',
    [apiServer(old, ours)],
    [/The certificate of --tls-cert-file expired on \d{4}-/],
  );
  await says(
    'API server: the store of another cluster',
    [member(scratch, 'foreign', theirs, client, peer), apiServer(ours, ours)],
    [/its certificate is from an authority that is not trusted here.*Waiting for the store/],
  );
}

/** A member with TLS on both ports; `other` is a second one, as `name=url`. */
function member(
  scratch: Scratch,
  name: string,
  pki: Pki,
  client: number,
  peer: number,
  other?: string,
): () => Started {
  const etcd = (file: string): string => path.join(pki.directory, 'etcd', file);
  const [clientUrl, peerUrl] = [`https://127.0.0.1:${client}`, `https://127.0.0.1:${peer}`];
  return () =>
    scratch.start([
      pilothouse,
      'store',
      `--name=${name}`,
      `--data-dir=${scratch.path(`store-${name}`)}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=${[`${name}=${peerUrl}`, ...(other === undefined ? [] : [other])].join()}`,
      `--cert-file=${etcd('server.crt')}`,
      `--key-file=${etcd('server.key')}`,
      `--trusted-ca-file=${etcd('ca.crt')}`,
      '--client-cert-auth',
      `--peer-cert-file=${etcd('peer.crt')}`,
      `--peer-key-file=${etcd('peer.key')}`,
      `--peer-trusted-ca-file=${etcd('ca.crt')}`,
      '--peer-client-cert-auth',
    ]);
}
