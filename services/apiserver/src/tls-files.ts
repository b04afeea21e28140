import { readFile, stat } from 'node:fs/promises';
import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { createAuthority, issueCertificate } from '@pilothouse/host';
import type { TlsFiles } from './config.ts';
import type { TlsMaterial } from './http-server.ts';

const pollMs = 10_000;
const selfSignedLifeMs = 365 * 24 * 3_600_000;

export async function readTlsFiles(files: TlsFiles): Promise<TlsMaterial> {
  const [certPem, keyPem] = await Promise.all([
    readFile(files.certFile, 'utf8'),
    readFile(files.keyFile, 'utf8'),
  ]);
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
