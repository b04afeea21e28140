import { CodedError } from '@pilothouse/base';

/** The request did not reach an answer: connection refused, reset, closed or timed out. `sent` is false only when the server cannot have seen it. */
export class TransportError extends CodedError {
  readonly sent: boolean;
  constructor(message: string, options: { sent: boolean; cause?: unknown }) {
    super('transport', message, { cause: options.cause });
    this.sent = options.sent;
  }
}

/** A kubeconfig that cannot be used; the message names the file or the entry. */
export class KubeconfigError extends CodedError {
  constructor(message: string) {
    super('kubeconfig', message);
  }
}
