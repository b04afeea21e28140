import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Clock } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { createAuthority, FlagError, issueCertificate } from '@pilothouse/host';
import type { TlsFiles } from './config.ts';
import type { TlsMaterial } from './http-server.ts';

const selfSignedLifeMs = 365 * 24 * 3_600_000;

/** Throws FlagError for files that cannot be read or do not belong together. */
export async function readTlsFiles(files: TlsFiles): Promise<TlsMaterial> {
  const read = (flag: string, file: string): Promise<string> =>
    readFile(file, 'utf8').catch((error: unknown) => {
      throw new FlagError(`Cannot read "${file}" of --${flag}: ${errorMessage(error)}`);
    });
  const [certPem, keyPem] = await Promise.all([
    read('tls-cert-file', files.certFile),
    read('tls-private-key-file', files.keyFile),
  ]);
  try {
    createSecureContext({ cert: certPem, key: keyPem });
  } catch (error) {
    throw new FlagError(
      `Cannot use "${files.certFile}" of --tls-cert-file with "${files.keyFile}" of --tls-private-key-file: ${errorMessage(error)}; want a certificate and its key, both PEM`,
    );
  }
  return { certPem, keyPem };
}

/** A certificate of an authority that lives only now: for a server that was given none. */
export async function selfSignedTls(clock: Clock, hosts: readonly string[]): Promise<TlsMaterial> {
  const notBefore = clock.now() - 300_000;
  const notAfter = clock.now() + selfSignedLifeMs;
  const authority = await createAuthority('apiserver-self-signed', notBefore, notAfter);
  return issueCertificate(authority, {
    commonName: 'apiserver',
    hosts,
    usage: 'server',
    notBefore,
    notAfter,
  });
}
