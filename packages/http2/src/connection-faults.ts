// Rules that a client breaks, as the errors that end its connection.
import { ConnectionError, errorCode } from './protocol.ts';

export function broken(message: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, message);
}

export function sized(): ConnectionError {
  return new ConnectionError(errorCode.frameSizeError, 'Frame of the wrong size');
}

export function calm(message: string): ConnectionError {
  return new ConnectionError(errorCode.enhanceYourCalm, message);
}
