import { errorCode, errorMessage } from '@pilothouse/base';
import { StartupError } from '../startup-error.ts';
import type { ListenUrl } from './listener.ts';

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
