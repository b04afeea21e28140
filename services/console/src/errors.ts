import { CodedError } from '@pilothouse/base';

/** What the console refuses or cannot do; becomes an answer with this HTTP status and `{"message"}`. */
export class ConsoleError extends CodedError {
  readonly status: number;

  constructor(status: number, message: string) {
    super('console', message);
    this.status = status;
  }
}
