import fs from 'node:fs';
import { errorCode, errorMessage } from '@pilothouse/base';
import type { TlsFiles } from '../../config.ts';
import { StartupError } from '../bootstrap.ts';
import type { ListenUrl } from './listener.ts';

/** What a TLS server takes, read from the files of a flag group. Throws StartupError with the file and `flag`. */
export function serverTls(
  files: TlsFiles,
  flag: string,
): {
  cert: Buffer;
  key: Buffer;
  ca?: Buffer;
  requestCert: boolean;
  rejectUnauthorized: boolean;
  minVersion: 'TLSv1.2';
} {
  const read = (file: string, what: string): Buffer => {
    try {
      return fs.readFileSync(file);
    } catch (error) {
      throw new StartupError(`Cannot read ${what} "${file}" for --${flag}: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  };
  const wantsClientCert = files.clientCertAuth || files.trustedCaFile !== '';
  return {
    cert: read(files.certFile, 'the certificate'),
    key: read(files.keyFile, 'the key'),
    ...(files.trustedCaFile === '' ? {} : { ca: read(files.trustedCaFile, 'the authority') }),
    requestCert: wantsClientCert,
    rejectUnauthorized: wantsClientCert,
    minVersion: 'TLSv1.2',
  };
}

/** Why a port cannot be opened, with the remedy. */
export function portError(flag: string, url: ListenUrl, error: unknown): Error {
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new StartupError(
        `listen tcp ${url.text.replace(/^\w+:\/\//, '')}: bind: address already in use. Stop the other process, or choose another port with --${flag}`,
        { cause: error },
      );
    case 'EACCES':
      return new StartupError(
        `Cannot listen on ${url.text}: permission denied. Choose a port above 1023 with --${flag}`,
        { cause: error },
      );
    case 'EADDRNOTAVAIL':
      return new StartupError(
        `Cannot listen on ${url.text}: this machine does not have that address. Choose another with --${flag}`,
        { cause: error },
      );
    default:
      return error instanceof StartupError
        ? error
        : new StartupError(`Cannot listen on ${url.text} (--${flag}): ${errorMessage(error)}`, {
            cause: error,
          });
  }
}
