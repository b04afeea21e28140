import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { errorMessage } from '@pilothouse/base';
import type { ClusterAccess } from '@pilothouse/client';
import type { FileWatcher } from '@pilothouse/host';
import { FlagError } from '@pilothouse/host';
import type { ControllerSettings, SigningPair } from './context.ts';

type SigningSettings = Pick<
  ControllerSettings,
  'rootCa' | 'signing' | 'signers' | 'serviceAccountKey' | 'onFileChange'
>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Signers that may have a pair of their own (--cluster-signing-NAME-cert-file and -key-file), by the flag's name. */
export const signerFlags = {
  'kubelet-serving': 'kubernetes.io/kubelet-serving',
  'kubelet-client': 'kubernetes.io/kube-apiserver-client-kubelet',
  'kube-apiserver-client': 'kubernetes.io/kube-apiserver-client',
  'legacy-unknown': 'kubernetes.io/legacy-unknown',
} as const;

/**
 * Reads what the manager signs and publishes with and follows its files: the members of the result change when they do. Throws FlagError when a
 * file cannot be used at the start, or when pairs are given as upstream refuses them.
 */
export function followSigningFiles(watcher: FileWatcher, text: (flag: string) => string): SigningSettings {
  const listeners = new Set<() => void>();
  const signers: Record<string, SigningPair> = {};
  const settings: Mutable<SigningSettings> = {
    signers,
    onFileChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const follow = (
    flags: readonly string[],
    take: (first: string, second: string) => string | undefined,
  ): void => {
    const files = flags.map(text);
    try {
      watcher.follow({
        what: flags[0] as string,
        files,
        required: true,
        apply([first = '', second = '']) {
          const shown = take(first, second);
          for (const listener of listeners) listener();
          return shown;
        },
      });
    } catch (error) {
      throw new FlagError(
        `Cannot use ${files.map((file, index) => `"${file}" of --${flags[index]}`).join(' with ')}: ${errorMessage(error)}`,
      );
    }
  };
  const pair = (cert: string, key: string): SigningPair => {
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
      throw new Error('the certificate and the key do not belong together');
    return { cert, key };
  };
  if (text('root-ca-file') !== '')
    follow(['root-ca-file'], (pem) => {
      new X509Certificate(pem);
      return (settings.rootCa = pem);
    });
  const common = ['cluster-signing-cert-file', 'cluster-signing-key-file'];
  const hasCommon = common.some((flag) => text(flag) !== '');
  for (const [name, signer] of Object.entries(signerFlags)) {
    const flags = [`cluster-signing-${name}-cert-file`, `cluster-signing-${name}-key-file`];
    const given = flags.filter((flag) => text(flag) !== '');
    if (given.length === 0) continue;
    if (hasCommon)
      throw new FlagError(
        `cannot specify --${given[0]} and other --cluster-signing-*-file flags at the same time`,
      );
    if (given.length < 2) throw new FlagError(`--${flags[0]} and --${flags[1]} must be given together`);
    follow(flags, (cert, key) => (signers[signer] = pair(cert, key)).cert);
  }
  if (common.every((flag) => text(flag) !== ''))
    follow(common, (cert, key) => (settings.signing = pair(cert, key)).cert);
  if (text('service-account-private-key-file') !== '')
    follow(['service-account-private-key-file'], (pem) => {
      createPrivateKey(pem);
      settings.serviceAccountKey = pem;
      return publicKeyPem(pem);
    });
  return settings;
}

/** The public half, SPKI PEM. */
function publicKeyPem(privatePem: string): string {
  return createPublicKey(privatePem).export({ type: 'spki', format: 'pem' }).toString();
}

/** The same cluster without credentials: a certificate would win over the token of a service account. */
export function anonymous(access: ClusterAccess): ClusterAccess {
  const { cert: _cert, key: _key, token: _token, ...rest } = access;
  return rest;
}
