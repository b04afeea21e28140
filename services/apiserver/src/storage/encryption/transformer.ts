import { CodedError } from '@pilothouse/base';

/** Most transformers answer at once; a KMS may have to be asked. */
export type MaybePromise<T> = T | Promise<T>;

export interface Decrypted {
  readonly value: Uint8Array;
  /** The bytes in the store are not what would be written today: the next update must write even if nothing changed. */
  readonly stale: boolean;
}

/** Turns values into what the store keeps, and back. `path` is the full key: it is authenticated with the value where the cipher can. */
export interface ValueTransformer {
  /** Throws (or rejects with) {@link EncryptionError}. */
  encrypt(value: Uint8Array, path: string): MaybePromise<Uint8Array>;
  /** Throws (or rejects with) {@link EncryptionError}; never tells the bytes. */
  decrypt(stored: Uint8Array, path: string): MaybePromise<Decrypted>;
}

/** Bytes that cannot be encrypted or decrypted. Messages never hold keys or plain text. */
export class EncryptionError extends CodedError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('encryption', message, options);
  }
}

export const encryptedPrefix = 'k8s:enc:';
const encryptedPrefixBytes = new TextEncoder().encode(encryptedPrefix);

/** Whether the bytes were written by an encrypting provider: JSON begins with `{`, protobuf with `k8s\0`. */
export function isEncrypted(stored: Uint8Array): boolean {
  return hasPrefix(stored, encryptedPrefixBytes);
}

/** Bytes as they are. Refuses to read what somebody encrypted. */
export const identityTransformer: ValueTransformer = {
  encrypt: (value) => value,
  decrypt(stored) {
    if (isEncrypted(stored)) throw new EncryptionError('identity transformer tried to read encrypted data');
    return { value: stored, stale: false };
  },
};

/** A transformer that owns the values that begin with `prefix`. */
export interface PrefixedTransformer {
  readonly prefix: string;
  readonly transformer: ValueTransformer;
}

interface PrefixBytes {
  readonly prefix: Uint8Array;
  readonly transformer: ValueTransformer;
}

/**
 * Writes with the first transformer, reads with any whose prefix fits. Several may share a prefix (an old and a new key of one provider):
 * a failure of one leaves the others their try.
 */
export class PrefixTransformers implements ValueTransformer {
  readonly #transformers: readonly PrefixBytes[];
  readonly #noMatch: string;

  constructor(transformers: readonly PrefixedTransformer[], noMatch: string) {
    const encoder = new TextEncoder();
    this.#transformers = transformers.map(({ prefix, transformer }) => ({
      prefix: encoder.encode(prefix),
      transformer,
    }));
    this.#noMatch = noMatch;
  }

  encrypt(value: Uint8Array, path: string): MaybePromise<Uint8Array> {
    const { prefix, transformer } = this.#transformers[0] as PrefixBytes;
    const written = transformer.encrypt(value, path);
    return written instanceof Promise
      ? written.then((bytes) => concat(prefix, bytes))
      : concat(prefix, written);
  }

  decrypt(stored: Uint8Array, path: string): MaybePromise<Decrypted> {
    return this.#decryptFrom(0, stored, path, undefined);
  }

  #decryptFrom(first: number, stored: Uint8Array, path: string, before: unknown): MaybePromise<Decrypted> {
    let failure = before;
    for (let index = first; index < this.#transformers.length; index++) {
      const { prefix, transformer } = this.#transformers[index] as PrefixBytes;
      if (!hasPrefix(stored, prefix)) continue;
      const failed = (error: unknown): void => {
        // Identity in front of others is how encryption is turned off: what it refuses, the others read.
        if (prefix.length > 0) failure ??= error;
      };
      try {
        const read = transformer.decrypt(stored.subarray(prefix.length), path);
        if (read instanceof Promise) {
          return read.then(
            (result) => aged(result, index),
            (error: unknown) => {
              failed(error);
              return this.#decryptFrom(index + 1, stored, path, failure);
            },
          );
        }
        return aged(read, index);
      } catch (error) {
        failed(error);
      }
    }
    throw failure === undefined ? new EncryptionError(this.#noMatch) : failure;
  }
}

function aged(result: Decrypted, index: number): Decrypted {
  return index === 0 || result.stale ? result : { value: result.value, stale: true };
}

export function hasPrefix(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let index = 0; index < prefix.length; index++) if (bytes[index] !== prefix[index]) return false;
  return true;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
