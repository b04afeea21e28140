import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { createAuthority, FlagError, issueCertificate } from '@pilothouse/host';
import type { TlsFiles } from './config.ts';
import type { TlsMaterial } from './http-server.ts';

const pollMs = 10_000;
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

/** Tells of a new certificate when its files change. Half-written ones are tried again. */
export class TlsFileWatcher {
  readonly #timer: Timer;
  #seen = '';

  constructor(files: TlsFiles, options: { clock: Clock; logger: Logger; onChange(tls: TlsMaterial): void }) {
    const look = async (): Promise<void> => {
      const times = await Promise.all([files.certFile, files.keyFile].map((file) => stat(file)));
      const seen = times.map(({ mtimeMs, size }) => `${mtimeMs}:${size}`).join();
      if (seen === this.#seen) return;
      const isFirst = this.#seen === '';
      if (!isFirst) options.onChange(await readTlsFiles(files));
      this.#seen = seen;
      if (!isFirst) options.logger.info('Serving a new certificate', { file: files.certFile });
    };
    const attempt = (): void => {
      look().catch((error: unknown) => {
        options.logger.warn('Cannot read the serving certificate; the old one stays', {
          error: errorMessage(error),
        });
      });
    };
    attempt();
    this.#timer = options.clock.setInterval(attempt, pollMs);
  }

  close(): void {
    this.#timer.cancel();
  }
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
