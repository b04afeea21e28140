import { readFileSync, statSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import type { Clock } from '@pilothouse/base';
import { nodeClock } from '../node-clock.ts';

/** PEM files of a TLS server; `caFile` has the authorities of its clients. */
export interface ServedCertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile?: string;
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

const pollMs = 10_000;

/** Throws when a file cannot be read or key and certificate do not belong together. */
export function readServedCertificate(files: ServedCertificateFiles): SecureContextOptions {
  const options = {
    ...serverTlsPolicy,
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    ...(files.caFile === undefined ? {} : { ca: readFileSync(files.caFile) }),
  };
  createSecureContext(options);
  return options;
}

/**
 * Gives a server the files' new content within 10 s of a change; open connections keep what they have. Files that are half written are
 * tried again, the old certificate serves meanwhile. The returned function ends it.
 */
export function followServedCertificate(
  server: { setSecureContext(options: SecureContextOptions): void },
  files: ServedCertificateFiles,
  clock: Clock = nodeClock,
): () => void {
  const stamp = (): string =>
    [files.certFile, files.keyFile, ...(files.caFile === undefined ? [] : [files.caFile])]
      .map((file) => {
        const { mtimeMs, size, ino } = statSync(file);
        return `${mtimeMs}:${size}:${ino}`;
      })
      .join();
  let seen = stamp();
  const timer = clock.setInterval(() => {
    try {
      const now = stamp();
      if (now === seen) return;
      server.setSecureContext(readServedCertificate(files));
      seen = now;
    } catch {
      // Between two files of a renewal, or gone for a moment: the next look finds both.
    }
  }, pollMs);
  return () => timer.cancel();
}
