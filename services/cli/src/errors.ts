import { CodedError } from '@pilothouse/base';

/** Wrong use or an obstacle that the user can remove: printed as one line, exit status 1. */
export class CommandError extends CodedError {
  constructor(message: string) {
    super('command', message);
  }
}
