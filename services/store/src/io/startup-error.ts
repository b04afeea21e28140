import { CodedError } from '@pilothouse/base';

/** The process cannot start; the message names the file, port or flag and what to do. */
export class StartupError extends CodedError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('startup', message, options);
  }
}
