import { crc32 } from 'node:zlib';
import { CodedError } from '@pilothouse/base';

/** Stored state that cannot be used. The message names the file, what is damaged and what to do. */
export class BackendError extends CodedError {
  constructor(code: 'corrupt' | 'unreadable', message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** Stored state is not what was written. `what`: what is damaged, and how that shows. */
export function damageError(file: string, what: string, cause?: unknown): BackendError {
  return new BackendError(
    'corrupt',
    `The state is damaged: ${file}, ${what}. Remove this member from the cluster, empty its data directory and add it again, so that it copies the data from the others (pilothouse store --resync=CLIENT-URL,… does that)`,
    { cause },
  );
}

const checksumBytes = 4;

/** `value` and the CRC-32 of key and value behind it, so that neither can change unnoticed, nor a value turn up under another key. */
export function seal(key: Uint8Array, value: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(value.length + checksumBytes);
  sealed.set(value);
  sealed.writeUInt32LE(crc32(value, crc32(key)), value.length);
  return sealed;
}

/** The value, a view into `sealed`; undefined when it is damaged. */
export function unseal(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  const length = sealed.length - checksumBytes;
  if (length < 0) return undefined;
  const value = sealed.subarray(0, length);
  const wanted =
    ((sealed[length] as number) |
      ((sealed[length + 1] as number) << 8) |
      ((sealed[length + 2] as number) << 16) |
      ((sealed[length + 3] as number) << 24)) >>>
    0;
  return crc32(value, crc32(key)) === wanted ? value : undefined;
}
