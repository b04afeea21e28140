import { createPublicKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { EtcdTls } from '@pilothouse/etcd-client';
import type { FileWatcher, Revocations, SignedRevocationReader } from '@pilothouse/host';
import { FlagError, loadSignedRevocationReader, noRevocations } from '@pilothouse/host';
import type { Authentication } from './authentication/config.ts';
import type { TlsFiles } from './config.ts';
import type { FlagValues } from './flag-values.ts';
import { given } from './flag-values.ts';
import type { TlsMaterial } from './http-server.ts';
import type { KubeletClientConfig } from './node/node-dialer.ts';
import type { ApiServer } from './server.ts';
import type { SniFiles } from './sni-certificates.ts';
import { parseSniFiles } from './sni-certificates.ts';

const cutAfterMs = 1000;

/** Names of the files behind the credentials of a server, to follow them. What they held at the start is in the configuration. */
export interface CredentialFiles {
  readonly clientCa?: string;
  /** --client-crl-file. */
  readonly clientCrl?: string;
  readonly requestHeaderCa?: string;
  readonly store: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly kubelet: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly proxy: { readonly cert?: string; readonly key?: string };
  readonly serviceAccountKeys: readonly string[];
  readonly serviceAccountSigningKey?: string;
  readonly sni: readonly SniFiles[];
}

/** Throws FlagError. */
export function credentialFilesOf(values: FlagValues): CredentialFiles {
  const name = <K extends string>(key: K, flag: string): { [key in K]?: string } =>
    given(key, values.optional(flag));
  if (values.optional('client-crl-file') !== undefined && values.optional('client-ca-file') === undefined)
    throw new FlagError('--client-crl-file needs --client-ca-file');
  return {
    ...name('clientCa', 'client-ca-file'),
    ...name('clientCrl', 'client-crl-file'),
    ...name('requestHeaderCa', 'requestheader-client-ca-file'),
    store: { ...name('ca', 'etcd-cafile'), ...name('cert', 'etcd-certfile'), ...name('key', 'etcd-keyfile') },
    kubelet: {
      ...name('ca', 'kubelet-certificate-authority'),
      ...name('cert', 'kubelet-client-certificate'),
      ...name('key', 'kubelet-client-key'),
    },
    proxy: { ...name('cert', 'proxy-client-cert-file'), ...name('key', 'proxy-client-key-file') },
    serviceAccountKeys: values.list('service-account-key-file'),
    ...name('serviceAccountSigningKey', 'service-account-signing-key-file'),
    sni: values.list('tls-sni-cert-key').map(parseSniFiles),
  };
}

/** What takes renewed credentials. */
export interface CredentialUsers {
  readonly authentication: Pick<Authentication, 'renew'>;
  readonly dialer: { renew(kubelet: KubeletClientConfig): void };
  readonly aggregator: { renew(certificate: TlsMaterial): void };
  readonly server: Pick<ApiServer, 'setTls' | 'setSni' | 'cut'>;
  /** Called after an authority of clients or front proxies changed. */
  authoritiesChanged(authorities: { clientCa?: string; requestHeaderCa?: string }): void;
}

/**
 * Reads what is not read with the flags, before anything is opened: revocation lists and certificates by name. Gives the reader of the former,
 * where there is one. Throws FlagError.
 */
export async function checkCredentials(files: CredentialFiles): Promise<SignedRevocationReader | undefined> {
  const refuse = (names: readonly string[], flag: string, error: unknown): never => {
    throw new FlagError(
      `Cannot use ${names.map((file) => `"${file}"`).join(' with ')} for --${flag}: ${errorMessage(error)}`,
    );
  };
  const pairs: readonly (readonly [flag: string, cert: string | undefined, key: string | undefined])[] = [
    ...files.sni.map(({ certFile, keyFile }) => ['tls-sni-cert-key', certFile, keyFile] as const),
    ['etcd-certfile', files.store.cert, files.store.key],
    ['kubelet-client-certificate', files.kubelet.cert, files.kubelet.key],
    ['proxy-client-cert-file', files.proxy.cert, files.proxy.key],
  ];
  for (const [flag, cert, key] of pairs) {
    if (cert === undefined || key === undefined) continue;
    try {
      createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) });
    } catch (error) {
      refuse([cert, key], flag, error);
    }
  }
  const { clientCa, clientCrl } = files;
  if (clientCa === undefined || clientCrl === undefined) return undefined;
  const read = await loadSignedRevocationReader();
  try {
    read(readFileSync(clientCrl, 'utf8'), readFileSync(clientCa, 'utf8'));
  } catch (error) {
    refuse([clientCrl], 'client-crl-file', error);
  }
  return read;
}

/** Follows the store's files; new connections use `store.tls`. Apart from the others, since a server first waits for its store. */
export function followStoreFiles(
  files: CredentialFiles['store'],
  watcher: FileWatcher,
  store: { tls: EtcdTls | undefined },
): void {
  const { ca, cert, key } = files;
  const named = [ca, cert, key].filter((file) => file !== undefined);
  if (named.length === 0) return;
  watcher.follow({
    what: 'etcd-cafile',
    files: named,
    apply(texts) {
      const left = [...texts];
      const next = () => left.shift();
      const tls = {
        ...(ca === undefined ? {} : given('ca', next())),
        ...(cert === undefined ? {} : given('cert', next())),
        ...(key === undefined ? {} : given('key', next())),
      };
      createSecureContext(tls);
      store.tls = tls;
      return `${tls.ca ?? ''}${tls.cert ?? ''}`;
    },
  });
}

/**
 * Follows the files of all credentials and hands new content to who uses it. Open connections stay as they are, but those of revoked clients.
 * `readRevocations` is needed where there is a revocation list.
 */
export function followCredentials(
  files: CredentialFiles,
  users: CredentialUsers,
  ports: {
    readonly watcher: FileWatcher;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly tls: TlsFiles | undefined;
    readonly readRevocations: SignedRevocationReader | undefined;
  },
): void {
  const { watcher, clock, logger } = ports;
  const { authentication, server } = users;
  if (ports.tls !== undefined)
    watcher.follow({
      what: 'tls-cert-file',
      files: [ports.tls.certFile, ports.tls.keyFile],
      apply([certPem = '', keyPem = '']) {
        createSecureContext({ cert: certPem, key: keyPem });
        server.setTls({ certPem, keyPem });
        return certPem;
      },
    });
  for (const [index, { certFile, keyFile, names }] of files.sni.entries())
    watcher.follow({
      required: true,
      what: `tls-sni-cert-key-${index}`,
      files: [certFile, keyFile],
      apply([certPem = '', keyPem = '']) {
        server.setSni(index, names, { certPem, keyPem });
        return certPem;
      },
    });
  const authorities: { clientCa?: string; requestHeaderCa?: string } = {};
  const { clientCa, clientCrl, requestHeaderCa } = files;
  if (clientCa !== undefined)
    watcher.follow({
      required: true,
      what: 'client-ca-file',
      files: clientCrl === undefined ? [clientCa] : [clientCa, clientCrl],
      apply([caPem = '', crlPem]) {
        const revocations =
          crlPem === undefined ? undefined : (ports.readRevocations?.(crlPem, caPem) ?? noRevocations);
        authentication.renew({ clientCa: { pem: caPem, revocations } });
        if (revocations?.staleAtMs !== undefined && revocations.staleAtMs < clock.now())
          logger.warn('The revocation list is older than it should be; it stays in force', {
            file: clientCrl,
            nextUpdate: new Date(revocations.staleAtMs).toISOString(),
          });
        if (revocations !== undefined && revocations.count > 0) cutRevoked(server, revocations, clock);
        if (authorities.clientCa !== caPem)
          users.authoritiesChanged(Object.assign(authorities, { clientCa: caPem }));
        return caPem;
      },
    });
  if (clientCrl !== undefined)
    watcher.follow({ what: 'client-crl-file', files: [clientCrl], apply: ([crlPem]) => crlPem });
  if (requestHeaderCa !== undefined)
    watcher.follow({
      what: 'requestheader-client-ca-file',
      files: [requestHeaderCa],
      apply([caPem = '']) {
        authentication.renew({ requestHeaderCa: caPem });
        users.authoritiesChanged(Object.assign(authorities, { requestHeaderCa: caPem }));
        return caPem;
      },
    });
  followServiceAccountKeys(files, authentication, watcher);
  const { kubelet, proxy } = files;
  if (kubelet.cert !== undefined && kubelet.key !== undefined)
    watcher.follow({
      what: 'kubelet-client-certificate',
      files: [kubelet.cert, kubelet.key, ...(kubelet.ca === undefined ? [] : [kubelet.ca])],
      apply([certPem = '', keyPem = '', caPem]) {
        createSecureContext({ cert: certPem, key: keyPem, ...(caPem === undefined ? {} : { ca: caPem }) });
        users.dialer.renew({ certPem, keyPem, ...given('caPem', caPem) });
        return `${certPem}${caPem ?? ''}`;
      },
    });
  if (proxy.cert !== undefined && proxy.key !== undefined)
    watcher.follow({
      what: 'proxy-client-cert-file',
      files: [proxy.cert, proxy.key],
      apply([certPem = '', keyPem = '']) {
        createSecureContext({ cert: certPem, key: keyPem });
        users.aggregator.renew({ certPem, keyPem });
        return certPem;
      },
    });
}

/**
 * Requests of revoked clients are refused at once. What is open already (watches, exec) was let in before and would go on: its connections end,
 * after the time in which a refusal that is on its way arrives.
 */
function cutRevoked(server: Pick<ApiServer, 'cut'>, revocations: Revocations, clock: Clock): void {
  clock.setTimeout(() => server.cut((der) => revocations.has(new X509Certificate(der))), cutAfterMs);
}

/** Signing follows too, which upstream's file of that flag does not: servers may take a new key without a restart. */
function followServiceAccountKeys(
  files: CredentialFiles,
  authentication: Pick<Authentication, 'renew'>,
  watcher: FileWatcher,
): void {
  const { serviceAccountKeys, serviceAccountSigningKey: signing } = files;
  if (serviceAccountKeys.length > 0)
    watcher.follow({
      what: 'service-account-key-file',
      files: serviceAccountKeys,
      apply(texts) {
        authentication.renew({ serviceAccountKeys: texts });
        return texts.join('');
      },
    });
  if (signing !== undefined)
    watcher.follow({
      what: 'service-account-signing-key-file',
      files: [signing],
      apply([pem = '']) {
        authentication.renew({
          serviceAccountSigningKey: pem,
          ...(serviceAccountKeys.length === 0 ? { serviceAccountKeys: [pem] } : {}),
        });
        return createPublicKey(pem).export({ type: 'spki', format: 'pem' }).toString();
      },
    });
}
