import { readFileSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import type { TlsPolicy } from './tls-policy.ts';
import { FileWatcher } from '../files/file-watcher.ts';

/** PEM files of a TLS server; `caFile` has the authorities of its clients. */
export interface ServedCertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile?: string;
  /** Default: {@link serverTlsPolicy}. */
  readonly policy?: TlsPolicy;
}

/** What every server agrees to: TLS 1.2 and later, forward secrecy, authenticated encryption. */
export const serverTlsPolicy = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
} as const satisfies SecureContextOptions;

/** Throws when a file cannot be read or key and certificate do not belong together. */
export function readServedCertificate(files: ServedCertificateFiles): SecureContextOptions {
  const options = {
    ...(files.policy ?? serverTlsPolicy),
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    ...(files.caFile === undefined ? {} : { ca: readFileSync(files.caFile) }),
  };
  createSecureContext(options);
  return options;
}

/**
 * Gives a server the files' new content soon after a change ({@link filePollMs}); open connections keep what they have. Files that are half
 * written are tried again, the old certificate serves meanwhile. The returned function ends it, and the watcher where none was given.
 */
export function followServedCertificate(
  server: { setSecureContext(options: SecureContextOptions): void },
  files: ServedCertificateFiles,
  given?: FileWatcher,
): () => void {
  const watcher = given ?? new FileWatcher();
  const ends = [
    watcher.follow({
      what: 'tls-cert-file',
      files: [files.certFile, files.keyFile, ...(files.caFile === undefined ? [] : [files.caFile])],
      apply([cert, key, ca]) {
        const options = {
          ...(files.policy ?? serverTlsPolicy),
          cert,
          key,
          ...(ca === undefined ? {} : { ca }),
        };
        createSecureContext(options);
        server.setSecureContext(options);
        return cert;
      },
    }),
    ...(files.caFile === undefined
      ? []
      : [watcher.follow({ what: 'client-ca-file', files: [files.caFile], apply: ([ca]) => ca })]),
  ];
  return () => {
    for (const end of ends) end();
    if (given === undefined) watcher.close();
  };
}
